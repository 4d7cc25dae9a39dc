use gristmill_sdk::{Message, NoConfig, Publisher, Request, Result, filter};

struct Send;

#[filter]
impl Publisher for Send {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self> {
        Ok(Self)
    }

    fn publish(&mut self, _message: &Message) -> Result<Vec<Request>> {
        Ok(Vec::new())
    }
}

fn main() {}
