use gristmill_sdk::{Message, Result, Verdict, filter};

#[filter]
fn keep(message: &Message) -> Result<Verdict> {
    Ok(Verdict::drop(message.id()))
}

fn main() {}
