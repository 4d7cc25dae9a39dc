use gristmill_sdk::{Result, Verdict, filter};

#[filter]
fn keep() -> Result<Verdict> {
    Ok(Verdict::pass())
}

fn main() {}
