//! What one call of the settling script carries out for a lane.

use super::{along::Last, entry::Entry};
use crate::event::Came;
use bytes::Bytes;
use std::time::Instant;

/// Settlements that have gathered.
#[derive(Debug)]
pub(in crate::source) struct Settlement {
    /// The lane's register as it is, and as it will be.
    pub(in crate::source) before: String,
    pub(in crate::source) after: String,
    /// So many items must lie in the lane, or somebody else has removed some, and nothing is done.
    pub(in crate::source) least: u64,
    /// Items at the head of the lane that are done with.
    pub(in crate::source) trim: u64,
    pub(in crate::source) steps: Vec<Step>,
    /// Messages that are settled along with commands, behind all of that.
    pub(in crate::source) last: Vec<Last>,
    /// How many messages this settles.
    pub(in crate::source) messages: usize,
    /// How long they are together.
    pub(in crate::source) bytes: usize,
    /// What becomes of those without commands.
    pub(in crate::source) came: Came,
    /// When each had its outcome.
    pub(in crate::source) since: Vec<Instant>,
}

/// One thing to do beside the trim.
#[derive(Debug, PartialEq)]
pub(in crate::source) enum Step {
    /// Put aside: it takes long.
    Park { seq: u64, raw: Bytes },
    /// It had been put aside.
    Unpark { seq: u64 },
    /// A publisher has succeeded with a message whose others have not yet.
    Note { journal: Bytes, id: Bytes, publisher: Bytes },
    /// Another attempt is due in so many milliseconds.
    Later { after_ms: u64, sealed: Bytes },
    /// Into the dead letters, as fields and values.
    Dead { fields: Vec<(&'static str, Bytes)> },
    /// A command of the system that the message came from; its keys lie in the lane's slot.
    Call { words: Vec<Bytes> },
    /// These only if the command `asked` answers with something else than nothing or 0.
    Only { asked: Vec<Bytes>, steps: Vec<Step> },
    /// The score of a member of a sorted set, if it is one, becomes the time in so many milliseconds.
    Score { key: Bytes, after_ms: u64, member: Bytes },
}

impl Step {
    /// Puts an entry aside.
    pub(super) fn park(entry: &Entry) -> Self {
        Self::Park { seq: entry.seq, raw: entry.raw.clone() }
    }

    /// A command and its arguments.
    pub(in crate::source) fn call<const N: usize>(words: [&[u8]; N]) -> Self {
        Self::Call { words: bytes(words) }
    }

    /// `steps` only if a command says so.
    pub(in crate::source) fn only<const N: usize>(asked: [&[u8]; N], steps: Vec<Self>) -> Self {
        Self::Only { asked: bytes(asked), steps }
    }

    /// The arguments that tell the script of this step.
    pub(in crate::source) fn arguments(&self) -> Vec<Bytes> {
        match self {
            Self::Park { seq, raw } => vec![Bytes::from_static(b"park"), number(*seq), raw.clone()],
            Self::Unpark { seq } => vec![Bytes::from_static(b"unpark"), number(*seq)],
            Self::Note { journal, id, publisher } => {
                vec![Bytes::from_static(b"note"), journal.clone(), id.clone(), publisher.clone()]
            }
            Self::Later { after_ms, sealed } => {
                vec![Bytes::from_static(b"later"), number(*after_ms), sealed.clone()]
            }
            Self::Dead { fields } => {
                let mut arguments = vec![Bytes::from_static(b"dead"), number(2 * fields.len() as u64)];
                for (field, value) in fields {
                    arguments.extend([Bytes::from_static(field.as_bytes()), value.clone()]);
                }
                arguments
            }
            Self::Call { words } => {
                let mut arguments = vec![Bytes::from_static(b"call"), number(words.len() as u64)];
                arguments.extend(words.iter().cloned());
                arguments
            }
            Self::Only { asked, steps } => {
                let guarded: Vec<Bytes> = steps.iter().flat_map(Self::arguments).collect();
                let counts = [number(guarded.len() as u64), number(asked.len() as u64)];
                let head = [Bytes::from_static(b"only")].into_iter().chain(counts);
                head.chain(asked.iter().cloned()).chain(guarded).collect()
            }
            Self::Score { key, after_ms, member } => {
                vec![Bytes::from_static(b"score"), key.clone(), number(*after_ms), member.clone()]
            }
        }
    }
}

/// A number as an argument.
pub(super) fn number(number: u64) -> Bytes {
    number.to_string().into()
}

fn bytes<const N: usize>(words: [&[u8]; N]) -> Vec<Bytes> {
    words.into_iter().map(Bytes::copy_from_slice).collect()
}
