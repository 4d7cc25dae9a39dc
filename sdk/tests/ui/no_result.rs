use gristmill_sdk::{Message, filter};

#[filter]
fn keep(_message: Message) {}

fn main() {}
