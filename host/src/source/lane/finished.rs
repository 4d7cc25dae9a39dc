//! What has an outcome and is not settled in Redis yet.

use super::{
    along::{self, Along},
    entry::{Batch, Entry},
    journal::{Note, Notes},
};
use std::{sync::Arc, time::Instant};

/// Messages that have an outcome, since the last look.
#[derive(Debug, Default)]
pub(super) struct Finished {
    pub(super) entries: Vec<Done>,
    /// Some that were here are on their way to Redis.
    pub(super) leaving: bool,
    /// What the journal is to be told.
    pub(super) notes: Notes,
    /// Another node has taken the lane over, or Redis has forgotten it.
    pub(super) lost: bool,
}

impl Finished {
    /// What is settled next: all that has gathered, but no more with commands than one call of the script should carry.
    pub(super) fn take(&mut self) -> (Vec<Done>, Vec<Note>) {
        let mut now = std::mem::take(&mut self.entries);
        if now.iter().any(|done| done.along.is_some()) {
            let mut room = along::Room::default();
            (now, self.entries) = now.into_iter().partition(|done| room.holds(done));
        }
        self.leaving = !now.is_empty();
        (now, self.notes.take_due())
    }

    /// Whether Redis knows of everything that was here.
    pub(super) fn is_carried_out(&self) -> bool {
        self.lost || (self.entries.is_empty() && !self.leaving)
    }
}

/// An entry with an outcome.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) batch: Arc<Batch>,
    pub(super) index: usize,
    /// Whether it had been put aside.
    pub(super) parked: bool,
    /// What is carried out in the same step.
    pub(super) along: Option<Box<Along>>,
    /// When it had its outcome.
    pub(super) since: Instant,
}

impl Done {
    pub(super) fn entry(&self) -> Option<&Entry> {
        self.batch.entries.get(self.index)
    }

    pub(super) fn bytes(&self) -> usize {
        self.entry().map_or(0, |entry| entry.payload.len())
    }
}
