//! One message in a lane, and what became of it.

use super::envelope::Envelope;
use crate::{message::Outcome, source::resque::Seat};
use bytes::Bytes;
use std::{
    borrow::Cow,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

/// Nobody has said yet what became of it.
const OPEN: u8 = 0;
/// An outcome is there.
const SETTLED: u8 = 1;
/// Still open, and out of its lane's order because it took long.
const PARKED: u8 = 2;

/// One item of a lane.
#[derive(Debug)]
pub(in crate::source) struct Entry {
    pub(in crate::source) seq: u64,
    /// As Redis holds it.
    pub(in crate::source) raw: Bytes,
    /// Whether `past` names it; else its place in the lane does.
    pub(in crate::source) named: bool,
    /// What was known of it when it was taken, and its payload.
    pub(in crate::source) past: Envelope,
    pub(in crate::source) payload: Bytes,
    /// How often it was tried since a node ended with it in flight, this time included; 0 for what is not under suspicion.
    pub(in crate::source) tried: u32,
    /// The Resque worker that is said to process it.
    pub(in crate::source) seat: Option<Seat>,
    /// Whether the journal of Redis holds something of it.
    pub(in crate::source) journaled: AtomicBool,
    state: AtomicU8,
    /// Absent for the common outcome: done.
    outcome: OnceLock<Box<Outcome>>,
}

impl Entry {
    pub(in crate::source) fn new(
        seq: u64,
        raw: Bytes,
        named: bool,
        past: Envelope,
        payload: Bytes,
        parked: bool,
    ) -> Self {
        let state = AtomicU8::new(if parked { PARKED } else { OPEN });
        Self {
            seq,
            raw,
            named,
            past,
            payload,
            tried: 0,
            seat: None,
            journaled: AtomicBool::default(),
            state,
            outcome: OnceLock::new(),
        }
    }

    /// The message's id: the one it had, or that of the system it came from, or one of a lane whose ids begin with `origin`.
    pub(in crate::source) fn id(&self, origin: &str) -> Cow<'_, str> {
        match &self.past.item {
            _ if self.named => Cow::Borrowed(&self.past.id),
            Some(item) => Cow::Borrowed(item),
            None => Cow::Owned(self.place(origin)),
        }
    }

    /// Where it stands in its lane.
    pub(in crate::source) fn place(&self, origin: &str) -> String {
        format!("{origin}-{}", self.seq)
    }

    pub(in crate::source) fn is_settled(&self) -> bool {
        self.state.load(Ordering::Acquire) == SETTLED
    }

    /// What became of it, if not simply done.
    pub(in crate::source) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get().map(|outcome| &**outcome)
    }

    /// Takes it out of the lane's order; false when it has just been settled.
    pub(super) fn park(&self) -> bool {
        self.state.compare_exchange(OPEN, PARKED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// It was to be settled as done, and is not; `aside` if it is out of its lane's order now.
    pub(super) fn reopen(&self, aside: bool) {
        self.state.store(if aside { PARKED } else { OPEN }, Ordering::Release);
    }

    /// True when it had been parked.
    pub(in crate::source) fn settle(&self, outcome: Outcome) -> bool {
        if outcome != Outcome::Done {
            // Only the one `Delivery` of an entry settles it, so the cell is empty.
            self.outcome.get_or_init(|| Box::new(outcome));
        }
        self.state.swap(SETTLED, Ordering::AcqRel) == PARKED
    }
}

/// Items taken in one round, by sequence.
#[derive(Debug)]
pub(in crate::source) struct Batch {
    pub(in crate::source) entries: Box<[Entry]>,
}

impl Batch {
    /// The item `seq`, if it is one of these.
    pub(in crate::source) fn entry(&self, seq: u64) -> Option<&Entry> {
        let index = self.entries.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        self.entries.get(index)
    }
}
