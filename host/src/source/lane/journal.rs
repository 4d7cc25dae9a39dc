//! The journal: which publishers have succeeded with a message while others still work on it, so that whoever takes it over after
//! the end of this node does not run them again.
//!
//! Notes are written down with the settlements, in the script that compares the lane's register, so nobody writes into the journal of a
//! message that is no longer his. Settling a message removes what it has there. A note waits for a moment, and is dropped where its
//! message is settled meanwhile, as the settlement says more; all that are due are written down, and struck out, together.

use super::{
    Lane,
    entry::{Batch, Entry},
    lock,
    register::Register,
    settlement::Step,
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// Between publishers of one message; their names have none.
const BETWEEN: char = ',';

/// How long a note waits for the settlement of its message: publishers that are about as fast need no journal.
const WAIT: Duration = Duration::from_millis(5);
/// Messages of which one command tells; a script can pass on some thousand words.
const TOGETHER: usize = 1_000;

/// A publisher has succeeded with a message.
#[derive(Debug)]
pub(super) struct Note {
    batch: Arc<Batch>,
    index: usize,
    publisher: String,
}

/// Notes that wait, in their order.
#[derive(Debug, Default)]
pub(super) struct Notes(VecDeque<(Instant, Note)>);

impl Notes {
    /// When the first is to be written down.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.front().map(|(due, _)| *due)
    }

    /// Those that are to be written down by now.
    pub(super) fn take_due(&mut self) -> Vec<Note> {
        if self.0.is_empty() { Vec::new() } else { self.take_due_by(Instant::now()) }
    }

    fn take_due_by(&mut self, now: Instant) -> Vec<Note> {
        let due = self.0.partition_point(|(due, _)| *due <= now);
        self.0.drain(..due).map(|(_, note)| note).collect()
    }

    fn add(&mut self, note: Note, now: Instant) {
        self.0.push_back((now + WAIT, note));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Lane {
    /// `publisher` has succeeded with entry `index` of `batch`, and others have not yet.
    pub(in crate::source) fn note(&self, batch: Arc<Batch>, index: usize, publisher: String) {
        let mut finished = lock(&self.finished);
        if finished.lost {
            return;
        }
        let is_first = finished.notes.0.is_empty();
        finished.notes.add(Note { batch, index, publisher }, Instant::now());
        drop(finished);
        if is_first {
            // So that it is waited for.
            self.work.notify_one();
        }
    }

    /// Writes `notes` down that still matter.
    pub(super) fn write_down(&self, register: &Register, notes: Vec<Note>, steps: &mut Vec<Step>) {
        if notes.is_empty() {
            return;
        }
        let (journal, mut more) = (Bytes::from(self.shared.keys.journal()), Vec::new());
        for Note { batch, index, publisher } in notes {
            let Some(entry) = batch.entries.get(index).filter(|entry| !entry.is_settled()) else { continue };
            let (id, publisher) = (Bytes::from(entry.id(&register.origin).into_owned()), Bytes::from(publisher));
            if entry.journaled.swap(true, Ordering::Relaxed) {
                more.push(Step::Note { journal: journal.clone(), id, publisher });
            } else {
                add(steps, b"HSET", &journal, [id, publisher]);
            }
        }
        steps.extend(more);
    }

    /// What removes a settled entry from the journal, if it is there.
    pub(super) fn strike_out(&self, register: &Register, entry: &Entry, steps: &mut Vec<Step>) {
        if entry.journaled.load(Ordering::Relaxed) {
            let id = Bytes::from(entry.id(&register.origin).into_owned());
            add(steps, b"HDEL", &Bytes::from(self.shared.keys.journal()), [id]);
        }
    }
}

/// Has the last of `steps` do this in the journal for one message more, or makes one that does.
fn add<const N: usize>(steps: &mut Vec<Step>, name: &'static [u8], journal: &Bytes, words: [Bytes; N]) {
    if let Some(Step::Call { words: known }) = steps.last_mut()
        && let [known_name, known_key, ..] = &known[..]
        && (&known_name[..], known_key) == (name, journal)
        && known.len() < 2 + N * TOGETHER
    {
        known.extend(words);
        return;
    }
    let head = [Bytes::from_static(name), journal.clone()];
    steps.push(Step::Call { words: head.into_iter().chain(words).collect() });
}

/// The publishers that the journal names for a message.
pub(super) fn read(noted: Option<String>) -> Vec<String> {
    noted.iter().flat_map(|noted| noted.split(BETWEEN)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_waits_for_what_may_make_it_needless() {
        let (now, mut notes) = (Instant::now(), Notes::default());
        let batch = Arc::new(Batch { entries: Box::default() });
        let note = |index| Note { batch: Arc::clone(&batch), index, publisher: "one".to_owned() };
        let indices = |notes: Vec<Note>| notes.into_iter().map(|note| note.index).collect::<Vec<_>>();
        assert_eq!(notes.due(), None);
        for index in 0..3 {
            notes.add(note(index), now + WAIT / 4 * index as u32);
        }
        assert_eq!(notes.due(), Some(now + WAIT));
        assert!(notes.take_due_by(now + WAIT / 2).is_empty());
        assert_eq!(indices(notes.take_due_by(now + WAIT / 4 * 5)), [0, 1]);
        assert_eq!((notes.due(), indices(notes.take_due_by(now + WAIT * 2))), (Some(now + WAIT / 2 * 3), vec![2]));
    }

    #[test]
    fn what_is_done_with_the_journal_is_done_with_many_messages_at_once_but_not_too_many() {
        let (journal, mut steps) = (Bytes::from_static(b"j"), Vec::new());
        let words = |steps: &[Step]| -> Vec<usize> { steps.iter().map(|step| step.arguments().len()).collect() };
        for _ in 0..TOGETHER + 1 {
            add(&mut steps, b"HSET", &journal, [Bytes::from_static(b"id"), Bytes::from_static(b"one")]);
        }
        // Beside `call`, how many words, the command and its key.
        assert_eq!(words(&steps), [4 + 2 * TOGETHER, 4 + 2]);
        add(&mut steps, b"HDEL", &journal, [Bytes::from_static(b"id")]);
        steps.push(Step::Unpark { seq: 1 });
        add(&mut steps, b"HDEL", &journal, [Bytes::from_static(b"id")]);
        add(&mut steps, b"HDEL", &Bytes::from_static(b"k"), [Bytes::from_static(b"id")]);
        assert_eq!(words(&steps[2..]), [5, 2, 5, 5], "others stand between");
    }
}
