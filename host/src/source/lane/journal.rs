//! The journal: which publishers have succeeded with a message while others still work on it, so that whoever takes it over after
//! the end of this node does not run them again.
//!
//! Notes are written down with the settlements, in the script that compares the lane's register, so nobody writes into the journal of a
//! message that is no longer his. Settling a message removes what it has there. A note whose message is settled before it
//! is written down is dropped, as the settlement says more.

use super::{
    Lane,
    entry::{Batch, Entry},
    lock,
    register::Register,
    settlement::Step,
};
use std::sync::{Arc, atomic::Ordering};

/// Between publishers of one message; their names have none.
const BETWEEN: char = ',';

/// A publisher has succeeded with a message.
#[derive(Debug)]
pub(super) struct Note {
    batch: Arc<Batch>,
    index: usize,
    publisher: String,
}

impl Lane {
    /// `publisher` has succeeded with entry `index` of `batch`, and others have not yet.
    pub(in crate::source) fn note(&self, batch: Arc<Batch>, index: usize, publisher: String) {
        let mut finished = lock(&self.finished);
        if !finished.lost {
            finished.notes.push(Note { batch, index, publisher });
            drop(finished);
            self.work.notify_one();
        }
    }

    /// Writes `notes` down that still matter.
    pub(super) fn write_down(&self, register: &Register, notes: Vec<Note>, steps: &mut Vec<Step>) {
        for Note { batch, index, publisher } in notes {
            let Some(entry) = batch.entries.get(index).filter(|entry| !entry.is_settled()) else { continue };
            entry.journaled.store(true, Ordering::Relaxed);
            let (journal, id) = (self.shared.keys.journal(), entry.id(&register.origin).into_owned());
            steps.push(Step::Note { journal: journal.into(), id: id.into(), publisher: publisher.into() });
        }
    }

    /// What removes a settled entry from the journal, if it is there.
    pub(super) fn strike_out(&self, register: &Register, entry: &Entry, steps: &mut Vec<Step>) {
        if entry.journaled.load(Ordering::Relaxed) {
            let id = entry.id(&register.origin);
            steps.push(Step::call([b"HDEL", self.shared.keys.journal().as_bytes(), id.as_bytes()]));
        }
    }
}

/// The publishers that the journal names for a message.
pub(super) fn read(noted: Option<String>) -> Vec<String> {
    noted.iter().flat_map(|noted| noted.split(BETWEEN)).map(str::to_owned).collect()
}
