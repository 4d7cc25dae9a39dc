//! Messages that a publisher is given together: how they are gathered, and what becomes of each.

use super::{
    bench::{Calls, End, Exchange},
    replies::Canned,
};
use crate::{
    config,
    message::{Fault, Message},
    request::{Batched, Fate, Reply, Request},
};
use std::{collections::BTreeMap, mem, sync::Arc};

/// Gathers messages into batches as a node does that has many at hand.
#[derive(Debug)]
pub(super) struct Batches<I> {
    messages: I,
    size: usize,
    /// Of payload, in one batch of more than one message.
    bytes: usize,
    /// The one that did not go into the batch before.
    held: Option<anyhow::Result<Message>>,
}

impl<I: Iterator<Item = anyhow::Result<Message>>> Batches<I> {
    /// Batches of `messages`, each of which is alone where there are no `terms`.
    pub(super) fn of(messages: I, terms: Option<config::Batch>) -> Self {
        let (size, bytes) = terms.map_or((1, usize::MAX), |terms| (terms.size, terms.bytes));
        Self { messages, size, bytes, held: None }
    }
}

impl<I: Iterator<Item = anyhow::Result<Message>>> Iterator for Batches<I> {
    type Item = anyhow::Result<Vec<Message>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut batch, mut bytes) = (Vec::new(), 0_usize);
        while batch.len() < self.size && bytes < self.bytes {
            match self.held.take().or_else(|| self.messages.next()) {
                None => break,
                Some(Ok(message)) if batch.is_empty() || bytes + message.payload.len() <= self.bytes => {
                    bytes += message.payload.len();
                    batch.push(message);
                }
                Some(Err(error)) if batch.is_empty() => return Some(Err(error)),
                other => {
                    self.held = other;
                    break;
                }
            }
        }
        (!batch.is_empty()).then_some(Ok(batch))
    }
}

/// The way of a batch, as far as it has come.
pub(super) struct Together<'a> {
    messages: &'a [Message],
    /// What became of each of them, where it is known.
    pub(super) ends: Vec<Option<End>>,
    /// For each of them the rounds of those requests that carry it first.
    pub(super) rounds: Vec<Vec<Vec<Exchange>>>,
    /// The places of those whose end is not known.
    open: Vec<usize>,
}

impl<'a> Together<'a> {
    pub(super) fn of(messages: &'a [Message]) -> Self {
        let count = messages.len();
        let (ends, rounds) = (vec![None; count], vec![Vec::new(); count]);
        Self { messages, ends, rounds, open: (0..count).collect() }
    }

    /// Publishes them together, until nothing more is asked for any of them.
    ///
    /// # Errors
    /// The fault of all those whose end is not known.
    pub(super) async fn publish(&mut self, calls: &mut Calls<'_>, canned: &Canned) -> Result<(), Fault> {
        let Some(first) = self.messages.first() else { return Ok(()) };
        let answer = calls.call(first, async |lent| lent.publish_batch(&self.left()).await).await?;
        let mut requests = self.sort(answer.fates(self.open.len()));
        let (mut round, mut asked) = (1, 0);
        while !requests.is_empty() {
            asked += requests.len();
            let allowed = calls.version.allows_requests(asked, round);
            let replies = self.answer(calls, canned, round, requests);
            allowed?;
            let Some(first) = self.left().first().copied() else { return Ok(()) };
            let answer = calls.call(first, async |lent| lent.answered_batch(&self.left(), &replies, round).await);
            let answer = answer.await?;
            requests = self.sort(answer.fates(self.open.len()));
            round += 1;
        }
        Ok(())
    }

    /// The messages whose end is not known.
    fn left(&self) -> Vec<&'a Message> {
        self.open.iter().filter_map(|index| self.messages.get(*index)).collect()
    }

    /// Notes what became of messages; returns the requests for those that are left.
    fn sort(&mut self, (fates, requests): (Vec<Fate>, Vec<Batched<Request>>)) -> Vec<Batched<Request>> {
        for (index, fate) in mem::take(&mut self.open).into_iter().zip(fates) {
            let end = match fate {
                Fate::Open => {
                    self.open.push(index);
                    continue;
                }
                Fate::Done => End::Done,
                Fate::Failed(fault) => End::of_fault(fault),
            };
            if let Some(place) = self.ends.get_mut(index) {
                *place = Some(end);
            }
        }
        requests
    }

    /// The replies to the `requests` of this round, which are noted.
    fn answer(
        &mut self,
        calls: &Calls<'_>,
        canned: &Canned,
        round: u32,
        requests: Vec<Batched<Request>>,
    ) -> Vec<Batched<Reply>> {
        let (requests, carries): (Vec<_>, Vec<_>) =
            requests.into_iter().map(|request| (request.what, request.carries)).unzip();
        let replies = calls.replies(canned, round, &requests);
        let secrets = &calls.version.settings().secrets;
        let mut noted: BTreeMap<usize, Vec<Exchange>> = BTreeMap::new();
        for ((request, reply), carries) in requests.into_iter().zip(&replies).zip(&carries) {
            let members: Vec<usize> = carries.iter().filter_map(|place| self.open.get(*place).copied()).collect();
            let messages = members.iter().filter_map(|index| self.messages.get(*index));
            let ids = messages.map(|message| Arc::clone(&message.id)).collect();
            if let Some(first) = members.first() {
                noted.entry(*first).or_default().push(Exchange::new(request, reply.clone(), ids, secrets));
            }
        }
        for (index, round) in noted {
            if let Some(rounds) = self.rounds.get_mut(index) {
                rounds.push(round);
            }
        }
        replies.into_iter().zip(carries).map(|(what, carries)| Batched { what, carries }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};
    use anyhow::anyhow;
    use std::time::Duration;

    fn message(payload: &str) -> Message {
        Message { id: payload.into(), ..sample::message(payload.as_bytes()) }
    }

    /// The batches of these payloads, of which `""` is no message but an error.
    fn batches(payloads: &[&'static str], terms: Option<config::Batch>) -> Vec<Result<Vec<String>, String>> {
        let messages = payloads.iter().map(|payload| match *payload {
            "" => Err(anyhow!("no message")),
            payload => Ok(message(payload)),
        });
        let ids = |batch: Vec<Message>| batch.iter().map(|message| message.id.to_string()).collect();
        Batches::of(messages, terms).map(|batch| batch.map(ids).map_err(|error| error.to_string())).collect()
    }

    fn terms(size: usize) -> Option<config::Batch> {
        Some(config::Batch { size, linger: Duration::ZERO, bytes: 8 })
    }

    #[test]
    fn batches_are_as_large_as_they_may_be_and_what_is_over_makes_a_smaller_one() {
        let all = |sizes: &[&[&str]]| -> Vec<Result<Vec<String>, String>> {
            sizes.iter().map(|ids| Ok(ids.iter().map(ToString::to_string).collect())).collect()
        };
        assert_eq!(batches(&["a", "b", "c"], terms(2)), all(&[&["a", "b"], &["c"]]));
        assert_eq!(batches(&["a", "b"], None), all(&[&["a"], &["b"]]));
        assert_eq!(
            batches(&["1234", "12345", "more than eight", "a"], terms(9)),
            all(&[&["1234"], &["12345"], &["more than eight"], &["a"]])
        );
    }

    #[test]
    fn what_is_no_message_ends_a_batch_and_is_told_behind_it() {
        let [first, second, third] = &batches(&["a", "", "b"], terms(9))[..] else { panic!("three") };
        assert_eq!((first, third), (&Ok(vec!["a".to_owned()]), &Ok(vec!["b".to_owned()])));
        assert_eq!(*second, Err("no message".to_owned()));
    }
}
