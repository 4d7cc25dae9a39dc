//! Checks a notification, drops what is private, and says whom it is for.

use gristmill_sdk::{
    Error, Filter, Message, Result, Verdict, filter,
    json::{Edit, Paths},
};
use serde::Deserialize;

/// The plugin's `config`.
#[derive(Deserialize)]
pub struct Config {
    /// The path of the field that is private.
    #[serde(default = "ip")]
    private: String,
}

fn ip() -> String {
    "ip".to_owned()
}

/// What a notification has to hold.
#[derive(Deserialize)]
struct Expected {
    user: String,
    #[serde(rename = "text")]
    _text: String,
}

/// The filter.
pub struct Notification {
    private: Paths,
}

#[filter]
impl Filter for Notification {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        Ok(Self { private: Paths::new([config.private])? })
    }

    fn filter(&mut self, mut message: Message) -> Result<Verdict> {
        let user = expected(&message)?.user;
        message.edit(&self.private, |_| Edit::Remove)?;
        message.set_header("user", user);
        Ok(message.into())
    }
}

/// Everything else never will be one, so it is rejected.
fn expected(message: &Message) -> Result<Expected> {
    gristmill_sdk::json::check(message.payload()).map_err(|error| Error::reject(format!("not JSON: {error}")))?;
    message.json().map_err(|error| Error::reject(format!("no notification: {}", error.reason())))
}
