//! A lane: what one connection has taken and not settled, in the order of the Redis list that holds it; or what one
//! consumer of a stream's group has pending.
//!
//! A message's way: `take` moves it from the list into the lane, which hands out its `entry` as a `Delivery`; its outcome
//! becomes part of a `settlement`, which `settle` has the script in `scripts` carry out, comparing the lane's `register`;
//! `along` are commands that the same script carries out with it.
//! What waits for another attempt lies in an `envelope`. Where that way broke off, `recover` reads what lies in the lane
//! after a lost connection or after `lease` took it over from a node that is gone; `suspects` are tried out then.

pub(super) mod along;
pub(super) mod entry;
pub(super) mod envelope;
mod finished;
mod journal;
mod keep;
pub(super) mod lease;
pub(super) mod recover;
pub(super) mod register;
mod rescue;
pub(super) mod scripts;
pub(super) mod settle;
pub(super) mod settlement;
pub(super) mod suspects;
mod tally;
pub(super) mod take;

use super::{
    Delivery,
    dialect::{Dialect, Item},
    queue::shared::Shared,
    stream::Group,
};
use crate::{
    event::Came,
    message::{Message, Outcome, Trouble},
};
use entry::{Batch, Entry};
use envelope::Envelope;
use finished::{Done, Finished};
use register::Register;
use settlement::{Settlement, Step};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::Notify;

/// What lies in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The producers' own bytes.
    Raw,
    /// Sealed envelopes.
    Sealed,
    /// Not a list: what one consumer of a stream's group has pending.
    Pending,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) key: String,
    pub(super) content: Content,
    shared: Arc<Shared>,
    state: Mutex<State>,
    finished: Mutex<Finished>,
    /// Something is there to be settled, or the lane is closed.
    work: Notify,
}

#[derive(Debug)]
struct State {
    register: Register,
    /// Sequence of the next item to be taken.
    tail: u64,
    /// What is between the head and the tail.
    batches: VecDeque<Arc<Batch>>,
    /// Messages handed out and not yet collected.
    open: usize,
    /// Nothing more will be taken.
    closed: bool,
}

/// What the settler finds.
#[derive(Debug)]
pub(super) enum Work {
    /// This is to be carried out now.
    Settle(Settlement),
    /// Nothing until something happens.
    Idle,
    /// Nothing ever again.
    Finished,
}

impl Content {
    /// What the names of such lanes begin with.
    pub(super) fn letter(self) -> char {
        match self {
            Self::Raw => 'q',
            Self::Sealed => 'r',
            Self::Pending => 'c',
        }
    }
}

impl Lane {
    pub(super) fn new(shared: Arc<Shared>, key: String, content: Content, register: Register) -> Arc<Self> {
        let tail = register.head;
        let state = State { register, tail, batches: VecDeque::new(), open: 0, closed: false };
        Arc::new(Self {
            key,
            content,
            shared,
            state: Mutex::new(state),
            finished: Mutex::default(),
            work: Notify::new(),
        })
    }

    /// Nothing more will be taken: the settler may end when all is settled.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.work.notify_one();
    }

    /// Entry `index` of `batch` has this outcome.
    pub(super) fn settle(&self, batch: Arc<Batch>, index: usize, outcome: Outcome) {
        self.has_outcome(Done { batch, index, parked: false, along: None, since: Instant::now() }, Some(outcome));
    }

    /// `done` has this outcome, or has had one before.
    fn has_outcome(&self, mut done: Done, outcome: Option<Outcome>) {
        // Whoever sees that it is settled is to find it here.
        let mut finished = lock(&self.finished);
        if let Some(outcome) = outcome {
            done.parked = done.entry().is_some_and(|entry| entry.settle(outcome));
        }
        if finished.lost {
            drop(finished);
            return self.give_up(1, done.bytes());
        }
        finished.entries.push(done);
        drop(finished);
        self.work.notify_one();
    }

    /// A message is given back that was not tried, so it pays when it comes again.
    pub(super) fn untried(&self) {
        self.shared.flow.pace.put_back(1);
    }

    /// Waits for something to settle, or to write down.
    pub(super) async fn work(&self) {
        let due = lock(&self.finished).notes.due();
        match due {
            None => self.work.notified().await,
            // Either is what is waited for.
            Some(due) => drop(tokio::time::timeout_at(due, self.work.notified()).await),
        }
    }

    /// The sequence of the next item.
    pub(super) fn tail(&self) -> u64 {
        self.state().tail
    }

    /// The register as it is now.
    pub(super) fn register(&self) -> Register {
        self.state().register.clone()
    }

    /// What is in the lane is no longer ours to settle; returns how many messages that are.
    pub(super) fn lose(&self) -> usize {
        let mut state = self.state();
        let lost = std::mem::take(&mut state.open);
        state.batches.clear();
        state.closed = true;
        drop(state);
        let mut finished = lock(&self.finished);
        finished.lost = true;
        finished.notes.clear();
        let settled = std::mem::take(&mut finished.entries);
        drop(finished);
        self.give_up(settled.len(), settled.iter().map(Done::bytes).sum());
        self.work.notify_one();
        lost
    }

    /// Whether Redis knows of everything that has an outcome.
    pub(super) fn is_carried_out(&self) -> bool {
        lock(&self.finished).is_carried_out()
    }

    pub(super) fn is_lost(&self) -> bool {
        lock(&self.finished).lost
    }

    /// Appends what was taken, as deliveries; for each, a permit was acquired.
    pub(super) fn append(self: &Arc<Self>, items: Vec<Item>) -> Vec<Delivery> {
        let state = self.state();
        let first = state.tail;
        self.append_read(state, first, items)
    }

    /// As `append`, for items that were read from the sequence `first` on.
    pub(super) fn append_from(self: &Arc<Self>, first: u64, items: Vec<Item>) -> Vec<Delivery> {
        self.append_read(self.state(), first, items)
    }

    fn append_read(self: &Arc<Self>, mut state: MutexGuard<'_, State>, first: u64, items: Vec<Item>) -> Vec<Delivery> {
        let (now, count) = (now_ms(), items.len());
        state.tail = state.tail.max(first + count as u64);
        // An earlier holder may have settled what lies behind its head.
        let due = (first..).zip(items).filter(|(seq, _)| !state.register.is_done(*seq));
        let entries = due.map(|(seq, item)| self.entry(seq, item, now, false)).collect();
        let batch = Arc::new(Batch { entries });
        if self.is_list() {
            state.batches.push_back(Arc::clone(&batch));
        }
        self.hand_out(state, &batch, count)
    }

    /// Appends what an earlier holder had put aside.
    pub(super) fn append_parked(self: &Arc<Self>, items: Vec<(u64, Item)>) -> Vec<Delivery> {
        let (now, count) = (now_ms(), items.len());
        let entries = items.into_iter().map(|(seq, item)| self.entry(seq, item, now, true)).collect();
        let batch = Arc::new(Batch { entries });
        self.hand_out(self.state(), &batch, count)
    }

    fn entry(&self, seq: u64, item: Item, received_ms: u64, parked: bool) -> Entry {
        let opened = match self.content {
            Content::Raw | Content::Pending => None,
            Content::Sealed => Envelope::open(&item.raw),
        };
        let Item { raw, payload, topic, headers, item, attempts, tried, flaw, past, succeeded } = item;
        let named = opened.is_some() || past.is_some();
        let (mut past, payload) = opened.unwrap_or_else(|| {
            let told = || Envelope { received_ms, topic, headers, item, attempts, ..Envelope::default() };
            let past = past.map_or_else(told, |past| *past);
            (past, payload.unwrap_or_else(|| raw.clone()))
        });
        past.crashes += tried;
        let journaled = !succeeded.is_empty();
        past.succeeded.extend(succeeded);
        let mut entry = Entry::new(seq, raw, named, past, payload, parked);
        entry.journaled = journaled.into();
        entry.tried = tried;
        if let Some(reason) = flaw {
            let attempt = 1 + entry.past.attempts + entry.past.crashes;
            let trouble = Trouble { attempt, plugin: None, digest: None, broke: false, limit: None, reason };
            entry.settle(Outcome::Dead { trouble, succeeded: Vec::new() });
        } else {
            entry.seat = self.shared.dialect.seat(&entry);
        }
        entry
    }

    /// Makes deliveries of `batch`, for which there are `permits`.
    fn hand_out(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        batch: &Arc<Batch>,
        permits: usize,
    ) -> Vec<Delivery> {
        state.open += batch.entries.len();
        let origin = state.register.origin.clone();
        drop(state);
        self.shared.flow.release(permits - batch.entries.len());
        self.shared.flow.carry(batch.entries.iter().map(|entry| entry.payload.len()).sum());
        self.count_taken(batch);
        let taken = Instant::now();
        let mut deliveries = Vec::with_capacity(batch.entries.len());
        for (index, entry) in batch.entries.iter().enumerate() {
            let message = self.message(&origin, entry);
            if let Some(outcome) = entry.outcome() {
                self.shared.flawed(&message, outcome);
                let batch = Arc::clone(batch);
                self.has_outcome(Done { batch, index, parked: false, along: None, since: Instant::now() }, None);
            } else {
                deliveries.push(Delivery::new(message, taken, Arc::clone(self), Arc::clone(batch), index));
            }
        }
        deliveries
    }

    fn message(&self, origin: &str, entry: &Entry) -> Message {
        let source = &self.shared.source;
        Message {
            id: entry.id(origin).into(),
            source: Arc::clone(source),
            topic: entry.past.topic.as_deref().map_or_else(|| Arc::clone(source), Into::into),
            attempt: 1 + entry.past.attempts + entry.past.crashes,
            received_ms: entry.past.received_ms,
            headers: entry.past.headers.clone(),
            payload: entry.payload.clone(),
        }
    }

    /// What is to be settled now.
    pub(super) fn collect(&self) -> Work {
        let (finished, notes) = lock(&self.finished).take();
        let mut state = self.state();
        if finished.is_empty() && notes.is_empty() {
            return if state.closed && state.open == 0 { Work::Finished } else { Work::Idle };
        }
        let before = state.register.to_string();
        let known = if self.is_list() { state.tail.saturating_sub(state.register.head) } else { 0 };
        let mut steps = Vec::new();
        if let Some(group) = self.group() {
            group.check(&self.shared.keys.list, &mut steps);
        }
        self.write_down(&state.register, notes, &mut steps);
        let (messages, bytes) = (finished.len(), finished.iter().map(Done::bytes).sum());
        let since = finished.iter().map(|done| done.since).collect();
        let mut came = Came::default();
        let (along, finished): (Vec<_>, _) = finished.into_iter().partition(|done| done.along.is_some());
        for done in &finished {
            let Some(entry) = done.entry() else { continue };
            came.to(entry.outcome());
            if done.parked {
                steps.push(Step::Unpark { seq: entry.seq });
            } else if self.is_list() {
                state.register.settle(entry.seq);
            }
            self.copy(&state.register, entry, &mut steps);
        }
        self.acknowledge(finished.iter().filter_map(Done::entry), &mut steps);
        let last = self.last(&mut state.register, along, &mut steps);
        state.open = state.open.saturating_sub(finished.len());
        let trim = state.register.pass() + state.put_aside(self.longest(), &mut steps);
        state.register.revision += 1;
        // What an earlier holder has settled need not be read.
        state.tail = state.tail.max(state.register.head);
        state.forget_passed();
        let after = state.register.to_string();
        let least = known.max(trim);
        Work::Settle(Settlement { before, after, least, trim, steps, last, messages, bytes, came, since })
    }

    /// Tells the group that has them pending of entries that are settled.
    fn acknowledge<'a>(&self, entries: impl Iterator<Item = &'a Entry>, steps: &mut Vec<Step>) {
        if let Some(group) = self.group() {
            group.acknowledge(&self.shared.keys.list, entries, steps);
        }
    }

    /// Whether its items lie one behind the other, so that it matters which is the oldest.
    fn is_list(&self) -> bool {
        self.content != Content::Pending
    }

    /// The group that has these pending.
    fn group(&self) -> Option<&Group> {
        match (self.content, &self.shared.dialect) {
            (Content::Pending, Dialect::Stream(group)) => Some(group),
            _ => None,
        }
    }

    /// How many items may lie between the head and the tail: settled ones behind one that is not stay in Redis.
    fn longest(&self) -> u64 {
        2 * self.shared.flow.in_flight as u64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Puts slow messages at the head aside while more than `longest` items lie in the lane; returns how many items the
    /// head has moved by that.
    fn put_aside(&mut self, longest: u64, steps: &mut Vec<Step>) -> u64 {
        let mut passed = 0;
        while self.tail.saturating_sub(self.register.head) > longest {
            let Some(entry) = self.batches.iter().find_map(|batch| batch.entry(self.register.head)) else { break };
            if !entry.park() {
                // It was settled while we looked, and comes with the next settlement.
                break;
            }
            steps.push(Step::park(entry));
            self.register.settle(entry.seq);
            passed += self.register.pass();
        }
        passed
    }

    fn forget_passed(&mut self) {
        let head = self.register.head;
        while self.batches.front().is_some_and(|batch| batch.entries.last().is_none_or(|entry| entry.seq < head)) {
            self.batches.pop_front();
        }
    }
}

/// Nothing panics while it holds these locks, and what they guard is consistent at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970 by this node's clock.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
