//! What a plugin says where its author listens: kept as it comes, instead of logged.

use crate::event::Loudness;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Lines that are kept until somebody asks for them; more are counted.
const LINES: usize = 1_000;

/// One line that a plugin wrote, or one text that it logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How loud it is.
    pub loudness: Loudness,
    /// Without the end of the line.
    pub text: String,
}

/// All that was said since somebody asked for it last.
#[derive(Debug, Default)]
pub struct Heard(Mutex<Said>);

/// Lines in their order, and how many came when there was no more room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// At most 1,000.
    pub lines: Vec<Line>,
    /// How many more there were.
    pub more: u64,
}

impl Heard {
    /// Takes what was said since the last time.
    pub fn take(&self) -> Said {
        std::mem::take(&mut *self.said())
    }

    pub(super) fn hear(&self, loudness: Loudness, text: String) {
        let said = &mut *self.said();
        if said.lines.len() < LINES {
            said.lines.push(Line { loudness, text });
        } else {
            said.more += 1;
        }
    }

    /// A panic with the lock held has added whole lines or none.
    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_gone_and_what_has_no_room_is_counted() {
        let heard = Heard::default();
        (0..1_002).for_each(|n| heard.hear(Loudness::Info, n.to_string()));
        let said = heard.take();
        assert_eq!((said.lines.len(), said.more), (1_000, 2));
        assert_eq!(said.lines[999], Line { loudness: Loudness::Info, text: "999".to_owned() });
        assert_eq!(heard.take(), Said::default());
    }
}
