//! A publisher that delivers each message to a list, stream, channel, key or Thoonk queue of the node's Redis.

mod config;
mod thoonk;

use config::{Config, Side, Target};
use gristmill_sdk::{Message, Publisher, Reply, Request, Result, publisher, reply};

gristmill_sdk::needs!("redis");

/// The publisher.
pub struct Redis {
    target: Target,
    /// In the very step that settles the message.
    atomic: bool,
}

#[publisher]
impl Publisher for Redis {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        Ok(Self { atomic: config.is_atomic(), target: config.target()? })
    }

    fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
        let payload = message.payload();
        Ok(match &self.target {
            Target::List { name, pushed } => {
                let command = if *pushed == Side::Right { "RPUSH" } else { "LPUSH" };
                self.command(command, &name.fill(message)?, &[payload])
            }
            Target::Stream { name, keep } => self.command("XADD", &name.fill(message)?, &entry(message, *keep)),
            Target::Channel { command, name } => self.command(command, &name.fill(message)?, &[payload]),
            Target::Key { name, expires, only_new } => {
                let expires = expires.map(|time| time.as_millis().to_string());
                let mut words = vec![payload];
                words.extend(expires.as_ref().map(|ms| [b"PX".as_slice(), ms.as_bytes()]).into_iter().flatten());
                words.extend(only_new.then_some(b"NX".as_slice()));
                self.command("SET", &name.fill(message)?, &words)
            }
            Target::Thoonk { name, kind } => thoonk::first(&name.fill(message)?, *kind, message),
        })
    }

    fn answered(&mut self, message: &Message, replies: &[Reply]) -> Result<Vec<Request>> {
        reply::judge(replies)?;
        match &self.target {
            Target::Thoonk { name, kind } if message.round() == 1 => {
                thoonk::second(&name.fill(message)?, *kind, message, replies)
            }
            _ => Ok(Vec::new()),
        }
    }
}

impl Redis {
    fn command<W: AsRef<[u8]>>(&self, name: &str, key: &str, words: &[W]) -> Vec<Request> {
        let words = [name.as_bytes(), key.as_bytes()].into_iter().chain(words.iter().map(AsRef::as_ref));
        if self.atomic { Request::redis_with_settling(words).into() } else { Request::redis(words).into() }
    }
}

/// The words of an entry as a pipeline that takes from a stream reads it.
fn entry(message: &Message, keep: Option<u64>) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    if let Some(keep) = keep {
        words.extend([b"MAXLEN".to_vec(), b"~".to_vec(), keep.to_string().into_bytes()]);
    }
    words.extend([b"*".to_vec(), b"payload".to_vec(), message.payload().to_vec()]);
    let headers = message.headers().into_iter().filter(|(name, _)| name != "payload");
    words.extend(headers.flat_map(|(name, value)| [name.into_bytes(), value.into_bytes()]));
    words
}

#[cfg(test)]
mod tests;
