use gristmill_sdk::{Message, Result, Verdict, filter};

struct Keep;

#[filter]
impl Keep {
    fn filter(&mut self, message: Message) -> Result<Verdict> {
        Ok(message.into())
    }
}

fn main() {}
