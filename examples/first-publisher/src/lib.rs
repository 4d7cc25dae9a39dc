//! Posts every message to one URL.

use gristmill_sdk::{Message, Publisher, Request, Result, publisher};

#[derive(serde::Deserialize)]
pub struct Hook {
    url: String,
}

#[publisher]
impl Publisher for Hook {
    type Config = Hook;

    fn new(config: Hook) -> Result<Self> {
        Ok(config)
    }

    fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
        Ok(Request::post(&self.url).header("x-topic", message.topic()).into())
    }
}
