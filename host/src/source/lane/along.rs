//! Commands that are carried out in the very step that settles a message as done: all of that comes about, or nothing does.
//!
//! The settling script runs them when everything else has been done that can fail. Where one is refused, those behind it are left out,
//! and its message is not settled: it is put aside, beside its lane, or stays pending in its group, and is open again.

use super::{
    Done, Lane,
    entry::{Batch, Entry},
    register::Register,
    settlement::{Settlement, Step, number},
};
use crate::{
    connection::Verdict,
    message::Outcome,
    request::Failure,
    slot,
    source::{dialect::Dialect, keys},
};
use bytes::Bytes;
use redis::RedisError;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot::Sender;

/// Of commands, in one call of the script: Redis does nothing else meanwhile.
const ROOM: usize = 8 << 20;
/// Of commands, with one message: far from what Redis takes in one call.
pub(in crate::source) const MOST: usize = 64 << 20;
/// What a word counts beside its bytes.
const EACH: usize = 128;

/// What is to be carried out with the settling of a message.
#[derive(Debug)]
pub(in crate::source) struct Along {
    /// In their order, each with its arguments.
    pub(in crate::source) commands: Vec<Vec<Bytes>>,
    /// Told what came of it; nothing where the lane is lost.
    pub(in crate::source) tell: Sender<Result<(), Refusal>>,
}

/// A command that Redis did not carry out with the settling of a message, which therefore is not settled.
#[derive(Debug)]
pub struct Refusal {
    /// Its place among the commands. Those before it are done, those behind it are not.
    pub place: usize,
    /// What Redis said.
    pub failure: Failure,
}

/// A message that is settled along with commands, when nothing else can fail any more.
#[derive(Debug)]
pub(in crate::source) struct Last {
    batch: Arc<Batch>,
    index: usize,
    /// Where it lies in its lane, counted from the head; nothing where it is put aside, or lies in no list.
    place: Option<u64>,
    along: Box<Along>,
    /// What follows the commands.
    steps: Vec<Step>,
}

/// A refused command as the script tells it: the place of its message in `Settlement::last`, its own among the commands, the error.
pub(super) type Refused = (usize, usize, String);

/// How much more goes into one call of the script.
#[derive(Default)]
pub(super) struct Room {
    taken: usize,
}

impl Room {
    /// Whether `done` goes in, too; the first one always does.
    pub(super) fn holds(&mut self, done: &Done) -> bool {
        let Some(along) = &done.along else { return true };
        let weight = weight(&along.commands);
        let holds = self.taken == 0 || self.taken.saturating_add(weight) <= ROOM;
        // What comes behind one that does not go in waits as well, so that none is passed over for ever.
        self.taken = if holds { self.taken.saturating_add(weight) } else { usize::MAX };
        holds
    }
}

/// What commands count as, in bytes.
pub(in crate::source) fn weight(commands: &[Vec<Bytes>]) -> usize {
    commands.iter().flatten().map(|word| word.len().saturating_add(EACH)).fold(0, usize::saturating_add)
}

impl Last {
    /// It is put aside before anything is carried out, as nobody knows where in the lane it lies.
    pub(super) fn put_aside(mut self, steps: &mut Vec<Step>) -> Self {
        if let (Some(_), Some(entry)) = (self.place.take(), self.batch.entries.get(self.index)) {
            steps.push(Step::park(entry));
            self.steps.push(Step::Unpark { seq: entry.seq });
        }
        self
    }

    fn entry(&self) -> Option<&Entry> {
        self.batch.entries.get(self.index)
    }

    /// The arguments that tell the script of it.
    pub(super) fn arguments(&self) -> Vec<Bytes> {
        let Along { commands, .. } = &*self.along;
        let follow: Vec<Bytes> = self.steps.iter().flat_map(Step::arguments).collect();
        let place = self.place.map_or(Bytes::from_static(b"-"), number);
        let seq = self.entry().map_or(0, |entry| entry.seq);
        let mut arguments = vec![number(seq), place, number(commands.len() as u64), number(follow.len() as u64)];
        for words in commands {
            arguments.push(number(words.len() as u64));
            arguments.extend(words.iter().cloned());
        }
        arguments.extend(follow);
        arguments
    }
}

impl Lane {
    /// The Cluster slot of all keys here, if commands can be carried out along with settling; else why they cannot.
    pub(in crate::source) fn settles_in(&self) -> Result<u16, &'static str> {
        match &self.shared.dialect {
            Dialect::Thoonk(_) => Err("what becomes of a job of Thoonk is decided only while it is settled"),
            Dialect::Plain | Dialect::Stream(_) | Dialect::Resque(_) => Ok(slot::of(&self.shared.keys.list)),
        }
    }

    /// Entry `index` of `batch` is done if `along` can be carried out.
    pub(in crate::source) fn settled_along(&self, batch: Arc<Batch>, index: usize, along: Along) {
        let done = Done { batch, index, parked: false, along: Some(Box::new(along)), since: Instant::now() };
        self.has_outcome(done, Some(Outcome::Done));
    }

    /// How those are settled that take commands along; before anything else it is made sure that nothing can come in between.
    pub(super) fn last(&self, register: &mut Register, done: Vec<Done>, steps: &mut Vec<Step>) -> Vec<Last> {
        if let Some(group) = self.group().filter(|_| !done.is_empty()) {
            group.check_acknowledging(&self.shared.keys.list, steps);
        }
        let head = register.head;
        done.into_iter()
            .filter_map(|Done { batch, index, parked, along, .. }| {
                let entry = batch.entries.get(index)?;
                let mut steps = Vec::new();
                let place = (self.is_list() && !parked).then(|| entry.seq.checked_sub(head)).flatten();
                if place.is_some() {
                    register.settle(entry.seq);
                } else if self.is_list() {
                    steps.push(Step::Unpark { seq: entry.seq });
                }
                self.leave(register, entry, &mut steps);
                self.acknowledge(std::iter::once(entry), &mut steps);
                Some(Last { along: along?, batch, index, place, steps })
            })
            .collect()
    }

    /// Tells those who wait what became of their messages in `settlement`; those that were refused are open again.
    pub(super) fn tell(&self, settlement: &mut Settlement, refused: Vec<Refused>) {
        let mut refused = refused.into_iter().peekable();
        for (which, last) in std::mem::take(&mut settlement.last).into_iter().enumerate() {
            match refused.next_if(|(refused, ..)| *refused == which) {
                Some((_, place, error)) => {
                    settlement.messages -= 1;
                    settlement.bytes -= last.entry().map_or(0, |entry| entry.payload.len());
                    self.reopen(last, Refusal { place, failure: self.failure(&error) });
                }
                None => {
                    let mut state = self.state();
                    state.open = state.open.saturating_sub(1);
                    drop(state);
                    if let Some(entry) = last.entry() {
                        self.shared.dialect.ended(entry, None);
                    }
                    // Nobody may wait any more.
                    drop(last.along.tell.send(Ok(())));
                }
            }
        }
    }

    fn reopen(&self, last: Last, refusal: Refusal) {
        let Last { batch, index, along, .. } = last;
        let Some(entry) = batch.entries.get(index) else { return };
        entry.reopen(self.is_list());
        if along.tell.send(Err(refusal)).is_err() {
            self.settle(batch, index, Outcome::Again { after: Duration::ZERO, succeeded: Vec::new() });
        }
    }

    fn failure(&self, error: &str) -> Failure {
        // Before version 7 the error stands behind the place in the script.
        let plain = error.split_once(": -").filter(|_| error.starts_with('@')).map_or(error, |(_, plain)| plain);
        let why = plain.trim_end().to_owned();
        let (code, detail) = why.split_once(' ').unwrap_or((&why, ""));
        let known = redis::make_extension_error(code.to_owned(), Some(detail.to_owned()));
        // Which slot a key lies in has been looked at: this one is on its way to another server, or the Cluster is down.
        if why.contains("Script attempted to") {
            return Failure::Unreachable(why);
        }
        match self.shared.link.connector.verdict(&known) {
            Verdict::Denied => Failure::Denied(why),
            Verdict::Invalid => Failure::Invalid(why),
            Verdict::Later => Failure::Unreachable(why),
        }
    }

    /// Which messages of `settlement` are not settled, where it has been carried out and its answer was lost; nothing where the
    /// lane is not ours any more.
    pub(super) async fn refused(&self, settlement: &Settlement) -> Result<Option<Vec<Refused>>, RedisError> {
        let mut refused = Vec::new();
        for (which, last) in settlement.last.iter().enumerate() {
            if let Some(entry) = last.entry()
                && self.is_open(entry).await?
            {
                refused.push((which, 0, "TRYAGAIN the answer of Redis was lost".to_owned()));
            }
        }
        if settlement.last.is_empty() {
            return Ok(Some(refused));
        }
        // What was seen holds if the lane is ours even now.
        let mut link = self.shared.link().await?;
        let held: Option<String> =
            redis::cmd("HGET").arg(self.shared.keys.lanes()).arg(&*self.key).query_async(&mut link).await?;
        Ok((held.as_deref() == Some(&*settlement.after)).then_some(refused))
    }

    /// Whether an entry that was to be settled is still there.
    async fn is_open(&self, entry: &Entry) -> Result<bool, RedisError> {
        let mut link = self.shared.link().await?;
        match self.group() {
            Some(group) => group.is_pending(&self.shared.keys.list, &entry.past.id, &mut link).await,
            None => redis::cmd("HEXISTS").arg(keys::slow(&self.key)).arg(entry.seq).query_async(&mut link).await,
        }
    }
}
