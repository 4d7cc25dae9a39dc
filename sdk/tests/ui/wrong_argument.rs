use gristmill_sdk::{Result, Verdict, filter};

#[filter]
fn keep(message: String) -> Result<Verdict> {
    Ok(Verdict::drop(message))
}

fn main() {}
