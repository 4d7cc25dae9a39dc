use gristmill_sdk::{Message, Result, Verdict, filter};

#[filter]
fn keep<T: From<Message>>(message: Message) -> Result<Verdict> {
    let _ = T::from(message);
    Ok(Verdict::pass())
}

fn main() {}
