//! What tells apart the systems whose lists are taken from: how an item becomes a message, and what else settling it does.

use super::{
    keys::Keys,
    lane::{entry::Entry, envelope::Envelope, settlement::Step},
    resque::{Jobs, Seat},
    script::Needed,
    stream::Group,
    thoonk,
};
use crate::message::Outcome;
use bytes::Bytes;
use redis::{RedisError, aio::MultiplexedConnection};
use std::sync::Arc;

/// Whose list it is.
#[derive(Debug)]
pub(super) enum Dialect {
    /// Anybody's: an item is a payload.
    Plain,
    /// A Thoonk feed's: an item is an id.
    Thoonk(Box<thoonk::Feed>),
    /// Not a list but a stream, read through this group; only its retries are a list.
    Stream(Arc<Group>),
    /// A Resque queue's: an item is a job.
    Resque(Arc<Jobs>),
}

/// Takes as the script `TAKE` does, and tells others whose the messages are, in one step.
pub(super) struct Claim {
    pub(super) script: &'static Needed,
    /// What the script has beyond the keys of `TAKE`.
    pub(super) keys: Vec<String>,
}

/// One item of a list, and what belongs to it.
#[derive(Debug)]
pub(super) struct Item {
    /// As the lane holds it.
    pub(super) raw: Bytes,
    /// Where that is not the item itself.
    pub(super) payload: Option<Bytes>,
    /// What it is about, where that is not the list's name.
    pub(super) topic: Option<String>,
    /// What the system knows of it beside its payload.
    pub(super) headers: Vec<(String, String)>,
    /// Its id in the system it came from, which is the message's id too.
    pub(super) item: Option<String>,
    /// Attempts that the system knows of.
    pub(super) attempts: u32,
    /// How often it was tried since a node ended with it in flight, this time included; 0 for what is not under suspicion.
    pub(super) tried: u32,
    /// Why it cannot be processed at all.
    pub(super) flaw: Option<String>,
    /// All that is known of it, where its system names it and tells more than fits above.
    pub(super) past: Option<Box<Envelope>>,
    /// Publishers that have succeeded with it in an attempt that broke off.
    pub(super) succeeded: Vec<String>,
}

impl From<Vec<u8>> for Item {
    fn from(raw: Vec<u8>) -> Self {
        Self {
            raw: raw.into(),
            payload: None,
            topic: None,
            headers: Vec::new(),
            item: None,
            attempts: 0,
            tried: 0,
            flaw: None,
            past: None,
            succeeded: Vec::new(),
        }
    }
}

impl Dialect {
    /// The keys that belong to `list`.
    pub(super) fn keys(&self, list: &str) -> Keys {
        match self {
            Self::Plain | Self::Thoonk(_) | Self::Resque(_) => Keys::new(list),
            Self::Stream(group) => Keys::of_group(list, group.name()),
        }
    }

    /// The stream of dead letters of a list that has `keys`, where the configuration names none.
    pub(super) fn dead_letters(&self, keys: &Keys) -> String {
        match self {
            Self::Plain | Self::Thoonk(_) | Self::Stream(_) => keys.dead(),
            Self::Resque(jobs) => jobs.dead_letters(),
        }
    }

    /// What claims the messages that are taken, where moving them into a lane is not enough.
    pub(super) fn claim(&self) -> Option<Claim> {
        match self {
            Self::Plain | Self::Stream(_) | Self::Resque(_) => None,
            Self::Thoonk(feed) => feed.claim(),
        }
    }

    /// Reads what belongs to items that lie in a lane of the producers' own bytes.
    pub(super) async fn read(
        &self,
        redis: &mut MultiplexedConnection,
        raw: Vec<Vec<u8>>,
    ) -> Result<Vec<Item>, RedisError> {
        match self {
            Self::Plain | Self::Stream(_) => Ok(raw.into_iter().map(Item::from).collect()),
            Self::Thoonk(feed) => feed.read(redis, raw).await,
            Self::Resque(jobs) => jobs.read(redis, raw).await,
        }
    }

    /// Who is shown to process a message that is about to be handed out.
    pub(super) fn seat(&self, entry: &Entry) -> Option<Seat> {
        match self {
            Self::Plain | Self::Thoonk(_) | Self::Stream(_) => None,
            Self::Resque(jobs) => Some(jobs.seat(entry)),
        }
    }

    /// A message is settled: it is shown no more, and counted.
    pub(super) fn ended(&self, entry: &Entry, outcome: Option<&Outcome>) {
        match self {
            Self::Plain | Self::Thoonk(_) | Self::Stream(_) => {}
            Self::Resque(jobs) => jobs.ended(entry, outcome),
        }
    }

    /// What settling a message does: beside what is `kept` of it here, what the system itself is told in the same script.
    pub(super) fn steps(&self, entry: &Entry, outcome: Option<&Outcome>, kept: Option<Step>, steps: &mut Vec<Step>) {
        match self {
            Self::Plain | Self::Stream(_) => steps.extend(kept),
            Self::Thoonk(feed) => feed.steps(entry, outcome, kept, steps),
            Self::Resque(jobs) => jobs.steps(entry, outcome, kept, steps),
        }
    }
}
