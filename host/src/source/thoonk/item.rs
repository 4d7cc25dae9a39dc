//! How ids become messages, and what the feed is told when they are settled.

use super::{claim::CLAIM, names::Names};
use crate::{
    message::Outcome,
    source::{
        dialect::{Claim, Item},
        lane::{entry::Entry, settlement::Step},
    },
};
use bytes::Bytes;
use redis::{RedisError, aio::MultiplexedConnection};
use std::time::Duration;

/// The header that tells how often a job's claim was cancelled.
const CANCELLED: &str = "thoonk-cancelled";

/// Of several fields of a hash.
type Values = Vec<Option<Vec<u8>>>;

/// A feed whose ids are taken from a list.
#[derive(Debug)]
pub(in crate::source) struct Feed {
    names: Names,
    /// Whether its items are jobs, which are claimed.
    claims: bool,
}

impl Feed {
    pub(super) fn new(names: Names, claims: bool) -> Self {
        Self { names, claims }
    }

    /// What claims the ids that are taken.
    pub(in crate::source) fn claim(&self) -> Option<Claim> {
        let keys = || vec![self.names.claimed.clone(), self.names.held.clone()];
        self.claims.then(|| Claim { script: &CLAIM, keys: keys() })
    }

    /// The items of `ids`, which stay in the feed.
    pub(in crate::source) async fn read(
        &self,
        redis: &mut MultiplexedConnection,
        ids: Vec<Vec<u8>>,
    ) -> Result<Vec<Item>, RedisError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = redis::pipe();
        asked.cmd("HMGET").arg(&self.names.items).arg(&ids);
        asked.cmd("HMGET").arg(&self.names.cancelled).arg(&ids);
        let (items, cancels): (Values, Values) = asked.query_async(redis).await?;
        let known = items.into_iter().zip(cancels);
        Ok(ids.into_iter().zip(known).map(|(id, (body, cancels))| item(id, body, count(cancels))).collect())
    }

    /// What settling a message does; `kept` is what we keep of it ourselves.
    pub(in crate::source) fn steps(
        &self,
        entry: &Entry,
        outcome: Option<&Outcome>,
        kept: Option<Step>,
        steps: &mut Vec<Step>,
    ) {
        let id = if entry.named { entry.past.item.as_deref().map(str::as_bytes) } else { Some(&*entry.raw) };
        let Some(id) = id else { return steps.extend(kept) };
        if self.claims {
            steps.push(Step::call([b"SREM", self.names.held.as_bytes(), id]));
            // As Thoonk's own calls do, nothing where somebody else has ended our claim.
            let asked = [b"ZSCORE", self.names.claimed.as_bytes(), id];
            steps.push(Step::only(asked, self.end_claim(id, outcome, kept)));
        } else {
            if matches!(outcome, None | Some(Outcome::Done | Outcome::Finished { .. } | Outcome::Dead { .. })) {
                steps.push(Step::call([b"HDEL", self.names.items.as_bytes(), id]));
            }
            steps.extend(kept);
        }
    }

    /// What becomes of a job that is still claimed.
    fn end_claim(&self, id: &[u8], outcome: Option<&Outcome>, kept: Option<Step>) -> Vec<Step> {
        let mut steps = match outcome {
            None | Some(Outcome::Done) => self.finish(id, None),
            Some(Outcome::Finished { result }) => self.finish(id, Some(result)),
            Some(Outcome::Again { after, .. } | Outcome::Retry { after, .. }) => self.stay_claimed(id, *after),
            Some(Outcome::Dead { .. }) => self.stall(id),
        };
        steps.extend(kept);
        steps
    }

    fn finish(&self, id: &[u8], result: Option<&Bytes>) -> Vec<Step> {
        let Names { claimed, cancelled, published, finishes, finish, items, .. } = &self.names;
        let mut steps = vec![
            Step::call([b"ZREM", claimed.as_bytes(), id]),
            Step::call([b"HDEL", cancelled.as_bytes(), id]),
            Step::call([b"ZREM", published.as_bytes(), id]),
            Step::call([b"INCR", finishes.as_bytes()]),
        ];
        if let Some(result) = result {
            steps.push(Step::call([b"PUBLISH", finish.as_bytes(), &[id, b"\0", result].concat()]));
        }
        steps.push(Step::call([b"HDEL", items.as_bytes(), id]));
        steps
    }

    /// An id without an item is forgotten instead: nobody could ever take it out of `stalled` again.
    fn stall(&self, id: &[u8]) -> Vec<Step> {
        let Names { claimed, cancelled, published, stalled, items, .. } = &self.names;
        let add = Step::call([b"SADD", stalled.as_bytes(), id]);
        vec![
            Step::call([b"ZREM", claimed.as_bytes(), id]),
            Step::call([b"HDEL", cancelled.as_bytes(), id]),
            Step::only([b"HEXISTS", items.as_bytes(), id], vec![add]),
            Step::call([b"ZREM", published.as_bytes(), id]),
        ]
    }

    /// The claim's time becomes that of the next attempt, so that whoever sweeps knows it to be no old one.
    fn stay_claimed(&self, id: &[u8], after: Duration) -> Vec<Step> {
        let Names { claimed, held, .. } = &self.names;
        let key = Bytes::copy_from_slice(claimed.as_bytes());
        let after_ms = after.as_millis().try_into().unwrap_or(u64::MAX);
        let score = Step::Score { key, after_ms, member: Bytes::copy_from_slice(id) };
        vec![score, Step::call([b"SADD", held.as_bytes(), id])]
    }
}

fn item(id: Vec<u8>, body: Option<Vec<u8>>, cancels: u32) -> Item {
    let name = std::str::from_utf8(&id).ok().map(str::to_owned);
    let flaw = match (&name, &body) {
        (_, None) => Some("the feed holds no item for this id".to_owned()),
        (None, _) => Some("the id of this item is not UTF-8".to_owned()),
        _ => None,
    };
    let headers = if cancels > 0 { vec![(CANCELLED.to_owned(), cancels.to_string())] } else { Vec::new() };
    let payload = body.map(Bytes::from);
    Item { payload, headers, item: name, attempts: cancels, flaw, ..Item::from(id) }
}

/// As Redis counts; what is no number counts for nothing.
fn count(cancels: Option<Vec<u8>>) -> u32 {
    cancels.and_then(|cancels| String::from_utf8(cancels).ok()?.parse().ok()).unwrap_or(0)
}
