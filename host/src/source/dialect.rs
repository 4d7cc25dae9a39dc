//! What tells apart the systems whose lists are taken from: how an item becomes a message, and what else settling it does.

use super::{
    delivery::Entry,
    keys::Keys,
    resque::{Jobs, Seat},
    settlement::Step,
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
    /// A Resque queue's: an item is a job.
    Resque(Arc<Jobs>),
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
    /// Its id in the system it came from.
    pub(super) item: Option<String>,
    /// Attempts that the system knows of.
    pub(super) attempts: u32,
    /// How often it was tried since a node ended with it in flight, this time included; 0 for what is not under suspicion.
    pub(super) tried: u32,
    /// Why it cannot be processed at all.
    pub(super) flaw: Option<String>,
}

impl From<Vec<u8>> for Item {
    fn from(raw: Vec<u8>) -> Self {
        Self { raw: raw.into(), payload: None, topic: None, item: None, attempts: 0, tried: 0, flaw: None }
    }
}

impl Dialect {
    /// Reads what belongs to items that lie in a lane of the producers' own bytes.
    pub(super) async fn read(
        &self,
        redis: &mut MultiplexedConnection,
        raw: Vec<Vec<u8>>,
    ) -> Result<Vec<Item>, RedisError> {
        match self {
            Self::Plain => Ok(raw.into_iter().map(Item::from).collect()),
            Self::Resque(jobs) => jobs.read(redis, raw).await,
        }
    }

    /// The stream of dead letters of a list that has `keys`, where the configuration names none.
    pub(super) fn dead_letters(&self, keys: &Keys) -> String {
        match self {
            Self::Plain => keys.dead(),
            Self::Resque(jobs) => jobs.dead_letters(),
        }
    }

    /// Who is shown to process a message that is about to be handed out.
    pub(super) fn seat(&self, entry: &Entry) -> Option<Seat> {
        match self {
            Self::Plain => None,
            Self::Resque(jobs) => Some(jobs.seat(entry)),
        }
    }

    /// What settling a message does: beside what is `kept` of it here, what the system itself is told in the same script.
    pub(super) fn steps(&self, entry: &Entry, outcome: Option<&Outcome>, kept: Option<Step>, steps: &mut Vec<Step>) {
        match self {
            Self::Plain => steps.extend(kept),
            Self::Resque(jobs) => jobs.steps(entry, outcome, kept, steps),
        }
    }
}
