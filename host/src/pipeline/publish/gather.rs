//! Messages of one pipeline gathered for a publisher that takes many at once, and told each what became of it.
//!
//! No task carries a batch: of those whose messages are in it, one sees to it, and the others wait to be told.

use super::{Why, along::Along};
use crate::{config::Batch, message::Message, request::Settling};
use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot::{self, Receiver, Sender};

/// What one message is told.
pub(super) type Outcome = Result<Along, Why>;

/// Where messages wait until their batch is full or has waited long enough.
#[derive(Default)]
pub(super) struct Gather(Mutex<Waiting>);

/// The batch that is not full yet.
#[derive(Default)]
struct Waiting {
    /// How many there were before it.
    number: u64,
    members: Vec<Member>,
    /// Of payload.
    bytes: usize,
}

/// A message in a batch.
pub(super) struct Member {
    pub(super) message: Message,
    /// Whether and where commands can be carried out with its settling.
    pub(super) settling: Settling,
    /// Those that are to be.
    pub(super) along: Along,
    pub(super) tell: Sender<Outcome>,
}

/// What comes of joining.
pub(super) struct Joined<'a> {
    pub(super) told: Receiver<Outcome>,
    /// Batches that have become full by that, and are to be seen to at once.
    pub(super) full: Vec<Vec<Member>>,
    /// The batch that the message is the first of, to be seen to when it has waited.
    pub(super) lead: Option<Lead<'a>>,
}

/// A batch that is not full yet, in the hands of whoever has its first message.
pub(super) struct Lead<'a> {
    gather: &'a Gather,
    number: u64,
    linger: Duration,
}

impl Gather {
    /// Puts `message` into the next batch.
    pub(super) fn join(&self, message: &Message, settling: Settling, terms: &Batch) -> Joined<'_> {
        let (tell, told) = oneshot::channel();
        let mut full = Vec::new();
        let mut waiting = self.lock();
        let bytes = message.payload.len();
        if !waiting.members.is_empty() && waiting.bytes.saturating_add(bytes) > terms.bytes {
            full.push(waiting.take());
        }
        let first = waiting.members.is_empty();
        waiting.members.push(Member { message: message.clone(), settling, along: Along::default(), tell });
        waiting.bytes = waiting.bytes.saturating_add(bytes);
        let number = waiting.number;
        if waiting.members.len() >= terms.size || waiting.bytes >= terms.bytes {
            full.push(waiting.take());
            return Joined { told, full, lead: None };
        }
        // Made only where it is given away: dropping one ends its batch.
        let lead = if first { Some(Lead { gather: self, number, linger: terms.linger }) } else { None };
        Joined { told, full, lead }
    }

    /// What is in it is whole between any two steps.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Vec<Member> {
        self.number += 1;
        self.bytes = 0;
        mem::take(&mut self.members)
    }
}

impl Lead<'_> {
    /// The batch as it is when it has waited; none if it has become full meanwhile, and somebody else sees to it.
    pub(super) async fn batch(self) -> Option<Vec<Member>> {
        if self.linger.is_zero() {
            // All that is at hand joins before this goes on.
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(self.linger).await;
        }
        self.take()
    }

    fn take(&self) -> Option<Vec<Member>> {
        let mut waiting = self.gather.lock();
        (waiting.number == self.number).then(|| waiting.take()).filter(|members| !members.is_empty())
    }
}

/// Where nobody sees to the batch any more, those in it have to know.
impl Drop for Lead<'_> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::time::Instant;

    fn message(payload: &'static str) -> Message {
        Message {
            id: payload.into(),
            source: "q".into(),
            topic: "q".into(),
            attempt: 1,
            received_ms: 0,
            headers: Vec::new(),
            payload: Bytes::from_static(payload.as_bytes()),
        }
    }

    fn terms(size: usize, linger: Duration) -> Batch {
        Batch { size, linger, bytes: 8 }
    }

    fn payloads(batch: &[Member]) -> Vec<&[u8]> {
        batch.iter().map(|member| &member.message.payload[..]).collect()
    }

    #[tokio::test]
    async fn a_full_batch_waits_for_nothing() {
        let (gather, terms) = (Gather::default(), terms(2, Duration::from_secs(3600)));
        let one = gather.join(&message("a"), Ok(0), &terms);
        assert!(one.full.is_empty() && one.lead.is_some());
        let other = gather.join(&message("b"), Ok(0), &terms);
        assert!(other.lead.is_none());
        assert_eq!(payloads(&other.full[0]), [b"a", b"b"]);
        let next = gather.join(&message("c"), Ok(0), &terms);
        assert!(next.full.is_empty() && next.lead.is_some());
        // The first one's turn has passed: it leaves the next batch alone.
        assert!(one.lead.unwrap().take().is_none());
        assert_eq!(payloads(&next.lead.unwrap().take().unwrap()), [b"c"]);
    }

    #[tokio::test]
    async fn a_batch_that_is_not_full_goes_when_it_has_waited() {
        let (gather, terms) = (Gather::default(), terms(10, Duration::from_millis(30)));
        let start = Instant::now();
        let lead = gather.join(&message("a"), Ok(0), &terms).lead.unwrap();
        let second = gather.join(&message("b"), Ok(0), &terms);
        assert!(second.lead.is_none() && second.full.is_empty());
        assert_eq!(payloads(&lead.batch().await.unwrap()), [b"a", b"b"]);
        assert!(start.elapsed() >= Duration::from_millis(30));
    }

    #[tokio::test]
    async fn without_a_wait_a_batch_is_what_is_at_hand() {
        let (gather, terms) = (Gather::default(), terms(10, Duration::ZERO));
        let lead = gather.join(&message("a"), Ok(0), &terms).lead.unwrap();
        let join = async { gather.join(&message("b"), Ok(0), &terms).lead.is_none() };
        let (batch, joined) = tokio::join!(lead.batch(), join);
        assert!(joined);
        assert_eq!(payloads(&batch.unwrap()), [b"a", b"b"]);
    }

    #[tokio::test]
    async fn payloads_that_are_too_long_together_are_parted() {
        let (gather, terms) = (Gather::default(), terms(10, Duration::ZERO));
        let lead = gather.join(&message("12345"), Ok(0), &terms).lead;
        let long = gather.join(&message("123456789"), Ok(0), &terms);
        assert_eq!(
            long.full.iter().map(|batch| payloads(batch)).collect::<Vec<_>>(),
            [[b"12345".as_slice()], [b"123456789"]]
        );
        assert!(long.lead.is_none() && lead.unwrap().batch().await.is_none());
    }

    #[tokio::test]
    async fn those_in_a_batch_that_nobody_sees_to_are_told() {
        let (gather, terms) = (Gather::default(), terms(10, Duration::ZERO));
        let first = gather.join(&message("a"), Ok(0), &terms);
        let second = gather.join(&message("b"), Ok(0), &terms);
        drop(first);
        assert!(second.told.await.is_err());
        assert!(gather.join(&message("c"), Ok(0), &terms).lead.is_some(), "the next batch is not affected");
    }
}
