use gristmill_sdk::{Message, Result, filter};

#[filter]
fn keep(message: Message) -> Result<bool> {
    Ok(message.payload().is_empty())
}

fn main() {}
