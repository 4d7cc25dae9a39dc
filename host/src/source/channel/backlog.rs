//! What has been heard and not yet begun, bounded in messages and in bytes.

use crate::config::Take;
use bytes::Bytes;
use std::{collections::VecDeque, sync::Arc};

pub(super) use crate::config::Backlog as Bound;

/// Bytes that may wait: names, payloads and what is kept beside them.
pub(super) const MOST_BYTES: usize = 64 << 20;
/// Where the configuration says nothing.
pub(super) const DEFAULT: Bound = Bound { keep: 10_000, drop: Take::Oldest };

/// A message as it was heard.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Heard {
    pub(super) source: Arc<str>,
    pub(super) topic: Arc<str>,
    pub(super) received_ms: u64,
    pub(super) payload: Bytes,
}

impl Heard {
    fn bytes(&self) -> usize {
        size_of::<(u64, Self)>() + self.topic.len() + self.payload.len()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Backlog {
    bound: Bound,
    /// With their sequence.
    waiting: VecDeque<(u64, Heard)>,
    bytes: usize,
    /// Counts what has been heard, dropped or not, so that dropped messages leave gaps in the ids.
    seq: u64,
    /// Since they were last asked for.
    dropped: u64,
}

impl Backlog {
    pub(super) fn new(bound: Bound) -> Self {
        Self { bound, waiting: VecDeque::new(), bytes: 0, seq: 0, dropped: 0 }
    }

    /// Lets a message wait. False when one was dropped for it, or it was dropped itself.
    pub(super) fn push(&mut self, heard: Heard) -> bool {
        let seq = self.seq;
        self.seq += 1;
        let (bytes, dropped) = (heard.bytes(), self.dropped);
        // What never fits must not drive out the others.
        if bytes <= MOST_BYTES {
            while self.bound.drop == Take::Oldest && !self.fits(bytes) && self.drop_oldest() {}
        }
        if self.fits(bytes) {
            self.bytes += bytes;
            self.waiting.push_back((seq, heard));
        } else {
            self.dropped += 1;
        }
        self.dropped == dropped
    }

    /// The oldest, up to `most`.
    pub(super) fn take(&mut self, most: usize) -> Vec<(u64, Heard)> {
        let taken: Vec<_> = self.waiting.drain(..most.min(self.waiting.len())).collect();
        self.bytes -= taken.iter().map(|(_, heard)| heard.bytes()).sum::<usize>();
        taken
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When the oldest was heard, in milliseconds since 1970.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.waiting.front().map(|(_, heard)| heard.received_ms)
    }

    #[cfg(test)]
    pub(super) fn heard_in_all(&self) -> u64 {
        self.seq
    }

    /// How many were dropped since this was last asked.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn fits(&self, bytes: usize) -> bool {
        (self.waiting.len() as u64) < self.bound.keep && self.bytes + bytes <= MOST_BYTES
    }

    /// False when there is none.
    fn drop_oldest(&mut self) -> bool {
        let Some((_, oldest)) = self.waiting.pop_front() else { return false };
        self.bytes -= oldest.bytes();
        self.dropped += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(payload: &[u8]) -> Heard {
        Heard { source: "c".into(), topic: "c".into(), received_ms: 0, payload: Bytes::copy_from_slice(payload) }
    }

    fn filled(drop: Take, keep: u64, messages: u8) -> (Backlog, Vec<u8>) {
        let mut backlog = Backlog::new(Bound { keep, drop });
        for n in 0..messages {
            backlog.push(heard(&[n]));
        }
        let kept = backlog.take(usize::MAX).into_iter().map(|(_, heard)| heard.payload[0]).collect();
        (backlog, kept)
    }

    #[test]
    fn the_policy_says_which_messages_are_dropped() {
        let (mut backlog, kept) = filled(Take::Oldest, 3, 10);
        assert_eq!((kept, backlog.take_dropped(), backlog.take_dropped()), (vec![7, 8, 9], 7, 0));
        let (mut backlog, kept) = filled(Take::Newest, 3, 10);
        assert_eq!((kept, backlog.take_dropped()), (vec![0, 1, 2], 7));
    }

    #[test]
    fn bytes_are_bounded_whatever_the_messages_are() {
        for (drop, first) in [(Take::Oldest, 900u64), (Take::Newest, 0)] {
            let mut backlog = Backlog::new(Bound { keep: u64::MAX, drop });
            let megabyte = heard(&vec![0; 1 << 20]);
            for _ in 0..964 {
                backlog.push(megabyte.clone());
            }
            assert!(backlog.bytes <= MOST_BYTES);
            assert_eq!(backlog.len() as u64 + backlog.dropped, 964);
            assert_eq!(backlog.len(), 63, "what is kept beside the payload counts too");
            assert!(backlog.take(1)[0].0.abs_diff(first) <= 1);
            backlog.take(usize::MAX);
            assert_eq!(backlog.bytes, 0);
        }
    }

    #[test]
    fn a_message_that_never_fits_drives_nothing_out() {
        let mut backlog = Backlog::new(DEFAULT);
        assert!(backlog.push(heard(b"small")));
        assert!(!backlog.push(heard(&vec![0; MOST_BYTES])));
        assert_eq!((backlog.len(), backlog.take_dropped()), (1, 1));
    }
}
