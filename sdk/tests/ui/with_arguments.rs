use gristmill_sdk::{Message, Result, Verdict, filter};

#[filter(name = "keep")]
fn keep(message: Message) -> Result<Verdict> {
    Ok(message.into())
}

fn main() {}
