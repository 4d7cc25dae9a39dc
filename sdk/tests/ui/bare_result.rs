use gristmill_sdk::{Message, Verdict, filter};

#[filter]
fn keep(message: Message) -> Verdict {
    message.into()
}

fn main() {}
