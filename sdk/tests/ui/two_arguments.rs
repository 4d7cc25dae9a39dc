use gristmill_sdk::{Message, Result, Verdict, filter};

#[filter]
fn keep(message: Message, strict: bool) -> Result<Verdict> {
    if strict { Ok(Verdict::pass()) } else { Ok(message.into()) }
}

fn main() {}
