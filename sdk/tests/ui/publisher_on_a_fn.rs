use gristmill_sdk::{Message, Request, Result, publisher};

#[publisher]
fn send(_message: &Message) -> Result<Vec<Request>> {
    Ok(Vec::new())
}

fn main() {}
