use gristmill_sdk::{Filter, Message, NoConfig, Result, Verdict, filter};

struct Keep;

#[filter]
impl Filter for Keep {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self> {
        Ok(Self)
    }

    fn filter(&mut self, message: &Message) -> Result<Verdict> {
        Ok(Verdict::drop(message.id()))
    }
}

fn main() {}
