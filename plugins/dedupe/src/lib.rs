//! A filter that drops messages that were seen before, within a window of time.

mod key;
mod window;

use gristmill_sdk::{Error, Filter, LookupFailure, Message, Result, Verdict, filter, store};
use key::{Key, Keys};
use serde::Deserialize;
use std::time::Duration;

gristmill_sdk::needs!("store");

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What messages have in common that are the same.
    key: Keys,
    /// For how long a message is remembered.
    window: String,
    #[serde(default)]
    missing: Missing,
    /// The header that a duplicate gets instead of being dropped.
    mark: Option<String>,
}

/// What becomes of a message without the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Missing {
    #[default]
    Pass,
    Drop,
    Reject,
}

/// The filter.
pub struct Dedupe {
    key: Key,
    window: Duration,
    missing: Missing,
    mark: Option<String>,
}

#[filter]
impl Filter for Dedupe {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        let window = window::parse(&config.window).ok_or_else(|| {
            let text = config.window;
            Error::reject(format!("config.window: expected a time such as \"10m\", \"24h\" or \"7d\", not `{text}`"))
        })?;
        Ok(Self { key: Key::new(&config.key)?, window, missing: config.missing, mark: config.mark })
    }

    fn filter(&mut self, mut message: Message) -> Result<Verdict> {
        let Some(key) = self.key.of(&message)? else {
            return self.without_key();
        };
        let Some(first) = self.seen(&key, &message.id())? else {
            return Ok(Verdict::Pass);
        };
        match &self.mark {
            Some(header) => message.set_header(header, first),
            None => return Ok(Verdict::drop(format!("seen before, as message {first}"))),
        }
        Ok(message.into())
    }
}

impl Dedupe {
    fn without_key(&self) -> Result<Verdict> {
        let why = format!("the message lacks {}, which `config.key` names", self.key);
        match self.missing {
            Missing::Pass => Ok(Verdict::Pass),
            Missing::Drop => Ok(Verdict::drop(why)),
            Missing::Reject => Err(Error::reject(why)),
        }
    }

    /// The id of another message with this key that came first; none if this is the first one itself, in whichever attempt.
    fn seen(&self, key: &str, id: &str) -> Result<Option<String>, LookupFailure> {
        // What was there may end between the two questions, but hardly twice.
        for _ in 0..3 {
            if store::add(key, id, Some(self.window))? {
                return Ok(None);
            }
            if let Some(first) = store::get(key)? {
                let first = String::from_utf8_lossy(&first).into_owned();
                return Ok(Some(first).filter(|first| first != id));
            }
        }
        Err(LookupFailure::Unavailable("the store forgets at once what it is given".to_owned()))
    }
}

#[cfg(test)]
mod tests;
