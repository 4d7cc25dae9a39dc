//! Dead letters: messages that were given up, with their whole story, until somebody replays or drops them.

mod letter;
mod place;
mod replay;
#[cfg(test)]
mod tests;
mod walk;

use super::{
    connection::{self, Connector},
    script::FORGET_EMPTY,
};
use crate::slot;
use redis::{RedisError, Script, aio::MultiplexedConnection};
use std::{
    collections::{BTreeSet, HashMap},
    sync::LazyLock,
};
use walk::page;

pub use letter::Letter;
pub(super) use letter::fields;
pub use place::Place;
pub use replay::{Changes, Replayed};
pub use walk::{Filter, Walk};

/// Why dead letters cannot be looked after.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] connection::Error),
    /// The source keeps no message, so it has none to give up or to take again.
    #[error(
        "pipeline `{pipeline}` takes from {from}, which keeps no messages: it has no dead letters and takes none back"
    )]
    NothingKept {
        /// The pipeline.
        pipeline: String,
        /// Such as "channel `news`".
        from: String,
    },
    /// The pipeline that gave a letter up is not there any more.
    #[error(
        "the dead letter `{entry}` is of pipeline `{pipeline}`, which is not in the configuration; say where it is to go with `--to`"
    )]
    Homeless {
        /// Its place in the dead letters.
        entry: String,
        /// The pipeline that is missing.
        pipeline: String,
    },
    /// A pipeline with patterns for queues takes from none that fits.
    #[error(
        "pipeline `{pipeline}` names no queue but patterns, and did not give up what came from `{queue}`; push it with other means"
    )]
    NoQueue {
        /// The pipeline that was to take it.
        pipeline: String,
        /// Where the message came from.
        queue: String,
    },
}

impl From<RedisError> for Error {
    fn from(cause: RedisError) -> Self {
        Self::Redis(cause.into())
    }
}

/// The dead letters of one pipeline or several.
#[derive(Debug)]
pub struct DeadLetters {
    connector: Connector,
    /// By slot.
    links: HashMap<u16, MultiplexedConnection>,
    streams: Vec<Stream>,
    places: Vec<Place>,
}

/// A stream of letters, and the server that holds it.
#[derive(Clone, Debug)]
struct Stream {
    key: String,
    link: MultiplexedConnection,
}

/// Key: the stream. Argument: an entry. Returns 1 when the letter was there.
static DROP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!("local dropped = redis.call('XDEL', KEYS[1], ARGV[1])\n{FORGET_EMPTY}\nreturn dropped"))
});

impl DeadLetters {
    /// Those at `places`.
    pub async fn open(connector: &Connector, places: Vec<Place>) -> Result<Self, Error> {
        let mut letters = Self { connector: connector.clone(), links: HashMap::new(), streams: Vec::new(), places };
        let keys: BTreeSet<String> = letters.places.iter().flat_map(|place| place.streams.iter().cloned()).collect();
        for key in keys {
            let link = letters.link(&key).await?;
            letters.streams.push(Stream { key, link });
        }
        Ok(letters)
    }

    /// How many letters there are, those of other pipelines in the same streams included.
    pub async fn count(&mut self) -> Result<u64, Error> {
        let mut count = 0;
        for stream in &mut self.streams {
            count += redis::cmd("XLEN").arg(&stream.key).query_async::<u64>(&mut stream.link).await?;
        }
        Ok(count)
    }

    /// Those that `filter` lets through, oldest first, up to those that are there now.
    pub async fn walk(&self, filter: Filter) -> Result<Walk, Error> {
        Walk::begin(&self.streams, filter).await
    }

    /// The letters at `entry`: none, one, or one in each of several streams.
    pub async fn find(&mut self, entry: &str, filter: &Filter) -> Result<Vec<Letter>, Error> {
        let mut found = Vec::new();
        if letter::age(entry).is_some() {
            for stream in &mut self.streams {
                let page = page(stream, entry, entry, 1).await?;
                found.extend(page.into_iter().filter_map(|(_, letter)| letter).filter(|letter| filter.admits(letter)));
            }
        }
        Ok(found)
    }

    /// Forgets a letter for good. False when it is no longer there.
    pub async fn drop(&mut self, letter: &Letter) -> Result<bool, Error> {
        let mut link = self.link(&letter.stream).await?;
        Ok(DROP.key(&letter.stream).arg(&letter.entry).invoke_async(&mut link).await?)
    }

    /// A connection to the server that holds `key`.
    async fn link(&mut self, key: &str) -> Result<MultiplexedConnection, Error> {
        let slot = slot::of(key);
        if let Some(link) = self.links.get(&slot) {
            return Ok(link.clone());
        }
        let unreachable = |cause| connection::Error::Unreachable { url: self.connector.url().to_owned(), cause };
        let link = self.connector.at(key).shared().await.map_err(unreachable)?;
        self.links.insert(slot, link.clone());
        Ok(link)
    }
}
