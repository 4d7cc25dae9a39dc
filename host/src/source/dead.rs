//! The dead letters of a list: messages that were given up, with their whole story.

use super::{
    connection::{Connector, Error},
    envelope::Envelope,
    keys::Keys,
    shared::Shared,
};
use crate::{config, message::Trouble};
use bytes::Bytes;
use redis::{RedisError, Script, aio::MultiplexedConnection, from_redis_value};
use std::{collections::HashMap, sync::LazyLock};

/// Entries read at a time.
const PAGE: usize = 100;

/// The dead letters of one pipeline.
#[derive(Debug)]
pub struct DeadLetters {
    link: MultiplexedConnection,
    keys: Keys,
    stream: String,
}

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Letter {
    /// Its place in the dead letters, such as `1700000000000-0`; begins with the millisecond of its death.
    pub entry: String,
    /// The message's id.
    pub id: String,
    /// The pipeline that gave it up.
    pub pipeline: String,
    /// The list it came from.
    pub source: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was first taken or first failed, in milliseconds since 1970.
    pub received_ms: u64,
    /// One for each failed attempt, oldest first.
    pub troubles: Vec<Trouble>,
    /// Publishers that had succeeded; a replay does not run them again.
    pub succeeded: Vec<String>,
    /// What it is about, where that is not its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// As the source gave them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Its id in the system it came from, where that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The original bytes.
    #[serde(skip)]
    pub payload: Vec<u8>,
}

impl Letter {
    /// Why it was given up.
    pub fn reason(&self) -> &str {
        self.troubles.last().map_or("unknown", |trouble| &trouble.reason)
    }

    fn envelope(&self) -> Envelope {
        let Self { id, received_ms, succeeded, topic, headers, item, .. } = self.clone();
        Envelope { id, received_ms, succeeded, topic, headers, item, ..Envelope::default() }
    }
}

/// What a stream entry of a dead letter holds: `envelope` is for us, the others are for people who look with other tools.
pub(super) fn fields(shared: &Shared, envelope: &Envelope, payload: &Bytes) -> Vec<(&'static str, Bytes)> {
    let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let reason = envelope.troubles.last().map_or("", |trouble| &trouble.reason);
    vec![
        ("id", text(&envelope.id)),
        ("pipeline", text(&shared.pipeline)),
        ("source", text(&shared.source)),
        ("reason", text(reason)),
        ("envelope", envelope.line().into()),
        ("payload", payload.clone()),
    ]
}

/// Keys: dead, retry. Arguments: entry, envelope. Returns 1 when the letter was there.
static REPLAY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[1])
if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[1]) end
return 1
",
    )
});

/// Key: dead. Argument: entry. Returns 1 when the letter was there. An empty stream would stay as a key.
static DROP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local dropped = redis.call('XDEL', KEYS[1], ARGV[1])
if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[1]) end
return dropped
",
    )
});

impl DeadLetters {
    /// Those of a pipeline that takes `from`, or in `stream` where it names one.
    pub async fn open(connector: &Connector, from: &config::From, stream: Option<&str>) -> Result<Self, Error> {
        let link =
            connector.shared().await.map_err(|cause| Error::Unreachable { url: connector.url().to_owned(), cause })?;
        let keys = match from {
            config::From::Lists(lists) => Keys::new(lists.names.first().map_or("", String::as_str)),
            config::From::Stream(stream) => Keys::of_group(&stream.name, &stream.group),
            _ => Keys::new(""),
        };
        let stream = stream.map_or_else(|| keys.dead(), str::to_owned);
        Ok(Self { link, keys, stream })
    }

    /// How many there are.
    pub async fn count(&mut self) -> Result<u64, Error> {
        Ok(redis::cmd("XLEN").arg(&self.stream).query_async(&mut self.link).await?)
    }

    /// The oldest `most`, or those after the entry `after`.
    pub async fn list(&mut self, after: Option<&str>, most: usize) -> Result<Vec<Letter>, Error> {
        let from = after.map_or_else(|| "-".to_owned(), |entry| format!("({entry}"));
        self.range(&from, "+", most).await
    }

    /// One of them.
    pub async fn get(&mut self, entry: &str) -> Result<Option<Letter>, Error> {
        Ok(self.range(entry, entry, 1).await?.pop())
    }

    async fn range(&mut self, from: &str, to: &str, most: usize) -> Result<Vec<Letter>, Error> {
        let mut range = redis::cmd("XRANGE");
        range.arg(&self.stream).arg(from).arg(to).arg("COUNT").arg(most);
        let entries: Vec<(String, HashMap<String, redis::Value>)> = range.query_async(&mut self.link).await?;
        Ok(entries.into_iter().map(|(entry, fields)| letter(entry, &fields)).collect::<Result<_, _>>()?)
    }

    /// Tries a letter again from the first attempt, under its own id. False when it is no longer there.
    pub async fn replay(&mut self, letter: &Letter) -> Result<bool, Error> {
        let sealed = letter.envelope().seal(&letter.payload);
        let mut replay = REPLAY.key(&self.stream);
        replay.key(self.keys.retry()).arg(&letter.entry).arg(sealed);
        Ok(replay.invoke_async(&mut self.link).await?)
    }

    /// Forgets a letter for good. False when it is no longer there.
    pub async fn drop(&mut self, letter: &Letter) -> Result<bool, Error> {
        Ok(DROP.key(&self.stream).arg(&letter.entry).invoke_async(&mut self.link).await?)
    }

    /// All of them, oldest first, up to those that are there now.
    pub async fn all(&mut self) -> Result<Vec<Letter>, Error> {
        let mut letters: Vec<Letter> = Vec::new();
        loop {
            let after = letters.last().map(|letter| letter.entry.clone());
            let page = self.list(after.as_deref(), PAGE).await?;
            let last = page.len() < PAGE;
            letters.extend(page);
            if last {
                return Ok(letters);
            }
        }
    }
}

fn letter(entry: String, fields: &HashMap<String, redis::Value>) -> Result<Letter, RedisError> {
    let bytes = |name: &str| fields.get(name).cloned().map_or(Ok(Vec::new()), from_redis_value::<Vec<u8>>);
    let text = |name: &str| bytes(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let Envelope { id, attempts, crashes, received_ms, topic, headers, item, troubles, succeeded } =
        serde_json::from_slice(&bytes("envelope")?).unwrap_or_default();
    Ok(Letter {
        entry,
        id,
        pipeline: text("pipeline")?,
        source: text("source")?,
        attempts: attempts + crashes,
        received_ms,
        troubles,
        succeeded,
        topic,
        headers,
        item,
        payload: bytes("payload")?,
    })
}
