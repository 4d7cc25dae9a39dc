//! What waits for another attempt, bounded as what waits for its first one is.

use super::backlog::{Bound, MOST_BYTES};
use crate::{
    config::Take,
    message::{Message, Trouble},
};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Earlier attempts of a message.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) troubles: Vec<Trouble>,
    pub(super) succeeded: Vec<String>,
}

/// A message that waits.
#[derive(Debug)]
pub(super) struct Put {
    /// Tells by which of two messages was heard first.
    pub(super) seq: u64,
    pub(super) message: Message,
    pub(super) past: Box<Past>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Later {
    bound: Bound,
    /// By when they are due.
    due: BTreeMap<(Instant, u64), Put>,
    /// When each is, by sequence.
    heard: BTreeMap<u64, Instant>,
    bytes: usize,
    /// Since they were last asked for.
    dropped: u64,
}

impl Past {
    fn bytes(&self) -> usize {
        let troubles: usize = self.troubles.iter().map(|trouble| size_of::<Trouble>() + trouble.reason.len()).sum();
        let succeeded: usize = self.succeeded.iter().map(|name| size_of::<String>() + name.len()).sum();
        size_of::<Self>() + troubles + succeeded
    }
}

impl Put {
    fn bytes(&self) -> usize {
        let Message { topic, headers, payload, .. } = &self.message;
        let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        size_of::<(Instant, u64, Self)>() + topic.len() + headers + payload.len() + self.past.bytes()
    }
}

impl Later {
    pub(super) fn new(bound: Bound) -> Self {
        Self { bound, due: BTreeMap::new(), heard: BTreeMap::new(), bytes: 0, dropped: 0 }
    }

    /// Lets a message wait until `due`; returns those that have to go for it, of which it may be one.
    pub(super) fn push(&mut self, put: Put, due: Instant) -> Vec<Message> {
        self.bytes += put.bytes();
        self.heard.insert(put.seq, due);
        self.due.insert((due, put.seq), put);
        let gone: Vec<Message> = std::iter::from_fn(|| self.drop_one()).collect();
        self.dropped += gone.len() as u64;
        gone
    }

    /// The one that is due first, if that is by `now`; with none, whenever it is.
    pub(super) fn pop(&mut self, now: Option<Instant>) -> Option<Put> {
        let first = self.due.first_entry()?;
        if now.is_some_and(|now| first.key().0 > now) {
            return None;
        }
        let put = first.remove();
        self.forget(&put);
        Some(put)
    }

    /// How many are due by `now`, or all if that is absent, and when the next is.
    pub(super) fn due(&self, now: Option<Instant>) -> (usize, Option<Instant>) {
        let due = now.map_or(self.due.len(), |now| self.due.range(..=(now, u64::MAX)).count());
        (due, self.due.keys().nth(due).map(|(next, _)| *next))
    }

    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// How many were dropped since this was last asked.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn forget(&mut self, put: &Put) {
        self.heard.remove(&put.seq);
        self.bytes -= put.bytes();
    }

    fn drop_one(&mut self) -> Option<Message> {
        if (self.len() as u64) <= self.bound.keep && self.bytes <= MOST_BYTES {
            return None;
        }
        let (seq, due) = match self.bound.drop {
            Take::Oldest => self.heard.pop_first()?,
            Take::Newest => self.heard.pop_last()?,
        };
        let put = self.due.remove(&(due, seq))?;
        self.forget(&put);
        Some(put.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn put(seq: u64, bytes: usize) -> Put {
        let message = Message {
            id: format!("o-{seq}").into(),
            source: "c".into(),
            topic: "c".into(),
            attempt: 2,
            received_ms: 0,
            headers: Vec::new(),
            payload: Bytes::from(vec![0; bytes]),
        };
        Put { seq, message, past: Box::default() }
    }

    fn keeping(keep: u64, drop: Take) -> Later {
        Later::new(Bound { keep, drop })
    }

    fn left(later: &mut Later) -> Vec<u64> {
        std::iter::from_fn(|| later.pop(None)).map(|put| put.seq).collect()
    }

    #[test]
    fn the_policy_goes_by_when_messages_were_heard_and_not_by_when_they_are_due() {
        let now = Instant::now();
        for (drop, gone, kept) in [(Take::Oldest, ["o-1", "o-2"], [5, 4, 3]), (Take::Newest, ["o-4", "o-5"], [3, 2, 1])]
        {
            let mut later = keeping(3, drop);
            let mut dropped = Vec::new();
            for seq in [3, 1, 5, 2, 4] {
                let due = now + SECOND * (10 - seq as u32);
                dropped.extend(later.push(put(seq, 0), due).into_iter().map(|message| message.id.to_string()));
            }
            dropped.sort();
            assert_eq!(
                (&dropped[..], later.take_dropped(), later.take_dropped()),
                (&gone.map(str::to_owned)[..], 2, 0)
            );
            assert_eq!(left(&mut later), kept, "in the order in which they are due");
            assert_eq!((later.bytes, later.heard.len()), (0, 0));
        }
    }

    #[test]
    fn only_what_is_due_is_taken() {
        let now = Instant::now();
        let mut later = keeping(10, Take::Oldest);
        for (seq, after) in [(1, 3), (2, 1), (3, 2)] {
            later.push(put(seq, 0), now + SECOND * after);
        }
        assert_eq!(later.due(Some(now)), (0, Some(now + SECOND)));
        assert_eq!(later.due(Some(now + SECOND * 2)), (2, Some(now + SECOND * 3)));
        assert_eq!(later.due(None), (3, None));
        assert!(later.pop(Some(now)).is_none());
        assert_eq!(later.pop(Some(now + SECOND)).map(|put| put.seq), Some(2));
        assert!(later.pop(Some(now + SECOND)).is_none());
        assert_eq!(later.len(), 2);
    }

    #[test]
    fn bytes_are_bounded_whatever_the_messages_are() {
        let now = Instant::now();
        let mut later = keeping(u64::MAX, Take::Oldest);
        for seq in 0..200 {
            later.push(put(seq, 1 << 20), now);
            assert!(later.bytes <= MOST_BYTES);
        }
        assert_eq!((later.len(), later.take_dropped()), (63, 137), "what is kept beside the payload counts too");
        let told = Trouble {
            attempt: 1,
            plugin: None,
            digest: None,
            broke: false,
            limit: None,
            reason: "x".repeat(MOST_BYTES),
        };
        let long = Put { past: Box::new(Past { troubles: vec![told], succeeded: Vec::new() }), ..put(0, 0) };
        assert_eq!(later.push(long, now).len(), 1, "and so does what went wrong before");
        left(&mut later);
        assert_eq!(later.bytes, 0);
    }
}
