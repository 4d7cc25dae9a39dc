//! A lane: what one connection has taken and not settled, in the order of the Redis list that holds it.

use super::{
    delivery::{Batch, Entry},
    envelope::Envelope,
    shared::Shared,
};
use crate::message::{Message, Outcome};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::Notify;

use super::delivery::Delivery;

/// How long a message may hold back the settlement of those behind it before it is put aside.
const PATIENCE: Duration = Duration::from_millis(500);

/// What lies in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The producers' own bytes.
    Raw,
    /// Sealed envelopes.
    Sealed,
}

/// Who holds a lane, as the register in Redis has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Register {
    pub(super) revision: u64,
    /// Sequence of the oldest item.
    pub(super) head: u64,
    /// What the ids of its messages begin with.
    pub(super) origin: String,
    /// How often a node died with this lane in its hands.
    pub(super) takeovers: u32,
}

impl Register {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let register = Self {
            revision: parts.next()?.parse().ok()?,
            head: parts.next()?.parse().ok()?,
            origin: parts.next()?.to_owned(),
            takeovers: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(register)
    }
}

impl std::fmt::Display for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { revision, head, origin, takeovers } = self;
        write!(f, "{revision} {head} {origin} {takeovers}")
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) key: String,
    pub(super) content: Content,
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// Sequences of parked entries that have been settled since the last look.
    unparked: Mutex<Vec<u64>>,
    /// Something is there to be settled, or the lane is closed.
    work: Notify,
}

#[derive(Debug)]
struct State {
    register: Register,
    /// Sequence of the next item to be taken.
    tail: u64,
    batches: VecDeque<Arc<Batch>>,
    parked: BTreeMap<u64, (Arc<Batch>, usize)>,
    /// How many messages Redis keeps for it, in the list or put aside.
    held: usize,
    /// Nothing more will be taken.
    closed: bool,
    /// Another node has taken it over, or Redis has forgotten it.
    lost: bool,
}

/// Settlements that one call of the script carries out.
#[derive(Debug, PartialEq)]
pub(super) struct Settlement {
    pub(super) before: String,
    pub(super) after: String,
    /// Items at the head of the lane that are done with.
    pub(super) trim: u64,
    pub(super) steps: Vec<Step>,
}

impl Settlement {
    /// How many messages Redis keeps less of afterwards.
    fn gone(&self) -> usize {
        let count = |of: fn(&Step) -> bool| self.steps.iter().filter(|step| of(step)).count();
        let (parked, unparked) =
            (count(|step| matches!(step, Step::Park { .. })), count(|step| matches!(step, Step::Unpark { .. })));
        self.trim as usize - parked + unparked
    }
}

/// One thing to do beside the trim.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Put aside: it takes long.
    Park { seq: u64, raw: Bytes },
    /// It had been put aside.
    Unpark { seq: u64 },
    /// Another attempt is due in so many milliseconds.
    Later { after_ms: u64, sealed: Vec<u8> },
    /// Into the dead letters, as fields and values.
    Dead { fields: Vec<(&'static str, Vec<u8>)> },
}

/// What the settler finds.
#[derive(Debug)]
pub(super) enum Work {
    /// This is to be carried out now.
    Settle(Settlement),
    /// Nothing, but look again after so long: a slow message holds others back.
    Wait(Duration),
    /// Nothing until something happens.
    Idle,
    /// Nothing ever again.
    Finished,
}

impl Lane {
    pub(super) fn new(shared: Arc<Shared>, key: String, content: Content, register: Register) -> Arc<Self> {
        let tail = register.head;
        let state = State {
            register,
            tail,
            batches: VecDeque::new(),
            parked: BTreeMap::new(),
            held: 0,
            closed: false,
            lost: false,
        };
        Arc::new(Self {
            key,
            content,
            shared,
            state: Mutex::new(state),
            unparked: Mutex::default(),
            work: Notify::new(),
        })
    }

    /// Nothing more will be taken: the settler may end when all is settled.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.work.notify_one();
    }

    /// An entry has an outcome; `parked` is its sequence if it had been put aside.
    pub(super) fn settled(&self, parked: Option<u64>) {
        if let Some(seq) = parked {
            lock(&self.unparked).push(seq);
        }
        self.shared.permits.add_permits(1);
        self.work.notify_one();
    }

    /// Waits for something to settle.
    pub(super) async fn work(&self) {
        self.work.notified().await;
    }

    /// The sequence of the next item.
    pub(super) fn tail(&self) -> u64 {
        self.state().tail
    }

    /// The register as it is now.
    pub(super) fn register(&self) -> Register {
        self.state().register.clone()
    }

    /// What was in the lane is no longer ours to settle; returns how many messages that are.
    pub(super) fn lose(&self) -> usize {
        let mut state = self.state();
        let lost = std::mem::take(&mut state.held);
        state.batches.clear();
        state.parked.clear();
        state.register.head = state.tail;
        (state.lost, state.closed) = (true, true);
        drop(state);
        self.shared.release(lost);
        self.work.notify_one();
        lost
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state().lost
    }

    /// Appends what was taken, as deliveries; for each, a permit was acquired and room reserved before.
    pub(super) fn append(self: &Arc<Self>, items: Vec<Vec<u8>>) -> Vec<Delivery> {
        let mut state = self.state();
        let first = state.tail;
        state.tail += items.len() as u64;
        self.keep(&mut state, items.len());
        let now = now_ms();
        let entries = (first..).zip(items).map(|(seq, raw)| self.entry(seq, raw, now, false)).collect();
        let batch = Arc::new(Batch { taken: Instant::now(), entries });
        state.batches.push_back(Arc::clone(&batch));
        drop(state);
        self.deliveries(&batch)
    }

    /// Appends what an earlier holder had put aside.
    pub(super) fn append_parked(self: &Arc<Self>, items: Vec<(u64, Vec<u8>)>) -> Vec<Delivery> {
        let now = now_ms();
        let entries = items.into_iter().map(|(seq, raw)| self.entry(seq, raw, now, true)).collect();
        let batch = Arc::new(Batch { taken: Instant::now(), entries });
        let mut state = self.state();
        self.keep(&mut state, batch.entries.len());
        for (index, entry) in batch.entries.iter().enumerate() {
            state.parked.insert(entry.seq, (Arc::clone(&batch), index));
        }
        drop(state);
        self.deliveries(&batch)
    }

    /// Counts messages for which there is room as held by this lane, if it still holds anything.
    fn keep(&self, state: &mut State, messages: usize) {
        if state.lost {
            self.shared.release(messages);
        } else {
            state.held += messages;
        }
    }

    fn entry(&self, seq: u64, raw: Vec<u8>, received_ms: u64, parked: bool) -> Entry {
        let raw = Bytes::from(raw);
        let opened = match self.content {
            Content::Raw => None,
            Content::Sealed => Envelope::open(&raw),
        };
        let sealed = opened.is_some();
        let (past, payload) = opened.unwrap_or_else(|| (Envelope { received_ms, ..Envelope::default() }, raw.clone()));
        Entry::new(seq, raw, sealed, past, payload, parked)
    }

    fn deliveries(self: &Arc<Self>, batch: &Arc<Batch>) -> Vec<Delivery> {
        let (origin, takeovers) = {
            let state = self.state();
            (state.register.origin.clone(), state.register.takeovers)
        };
        let source = &self.shared.source;
        let message = |entry: &Entry| Message {
            id: if entry.sealed { entry.past.id.as_str().into() } else { format!("{origin}-{}", entry.seq).into() },
            source: Arc::clone(source),
            topic: Arc::clone(source),
            attempt: 1 + entry.past.attempts + takeovers,
            received_ms: entry.past.received_ms,
            headers: Vec::new(),
            payload: entry.payload.clone(),
        };
        let entries = batch.entries.iter().enumerate();
        entries
            .map(|(index, entry)| Delivery::new(message(entry), Arc::clone(self), Arc::clone(batch), index))
            .collect()
    }

    /// What is to be settled now.
    pub(super) fn collect(&self) -> Work {
        let unparked = std::mem::take(&mut *lock(&self.unparked));
        let mut state = self.state();
        let mut steps = Vec::new();
        for seq in unparked {
            if let Some((batch, index)) = state.parked.remove(&seq) {
                steps.push(Step::Unpark { seq });
                steps.extend(batch.entries.get(index).and_then(|entry| self.copy(&state.register, entry)));
            }
        }
        let crowded = self.shared.is_crowded();
        let (trim, wait) = state.pass(crowded, |register, entry| self.copy(register, entry), &mut steps);
        if trim == 0 && steps.is_empty() {
            let empty = state.batches.is_empty() && state.parked.is_empty();
            return match wait {
                Some(wait) => Work::Wait(wait),
                None if state.closed && empty => Work::Finished,
                None => Work::Idle,
            };
        }
        let before = state.register.to_string();
        state.register.revision += 1;
        state.register.head += trim;
        Work::Settle(Settlement { before, after: state.register.to_string(), trim, steps })
    }

    /// `settlement` has been carried out.
    pub(super) fn done(&self, settlement: &Settlement) {
        let mut state = self.state();
        // Nothing is held any more where the lane was lost meanwhile.
        let gone = settlement.gone().min(state.held);
        state.held -= gone;
        drop(state);
        self.shared.release(gone);
    }

    /// What Redis must keep of a settled entry.
    fn copy(&self, register: &Register, entry: &Entry) -> Option<Step> {
        let (trouble, succeeded, again) = match entry.outcome()? {
            Outcome::Done => return None,
            Outcome::Retry { after, trouble, succeeded } => (trouble, succeeded, Some(after)),
            Outcome::Dead { trouble, succeeded } => (trouble, succeeded, None),
        };
        let mut envelope = entry.past.clone();
        if !entry.sealed {
            envelope.id = format!("{}-{}", register.origin, entry.seq);
        }
        envelope.attempts = trouble.attempt;
        envelope.troubles.push(trouble.clone());
        envelope.succeeded.clone_from(succeeded);
        Some(match again {
            Some(after) => {
                let after_ms = after.as_millis().try_into().unwrap_or(u64::MAX);
                Step::Later { after_ms, sealed: envelope.seal(&entry.payload) }
            }
            None => Step::Dead { fields: super::dead::fields(&self.shared, &envelope, &entry.payload) },
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Passes over the settled entries at the head, and puts aside slow ones in front of settled ones.
    /// Returns how many were passed, and how long to wait for the slow one at the head.
    fn pass(
        &mut self,
        crowded: bool,
        copy: impl Fn(&Register, &Entry) -> Option<Step>,
        steps: &mut Vec<Step>,
    ) -> (u64, Option<Duration>) {
        let mut passed = 0;
        loop {
            let Some(batch) = self.batches.front().map(Arc::clone) else { return (passed, None) };
            let first = batch.entries.first().map_or(0, |entry| entry.seq);
            let begin = (self.register.head + passed).saturating_sub(first) as usize;
            for (index, entry) in batch.entries.iter().enumerate().skip(begin) {
                if entry.is_settled() {
                    steps.extend(copy(&self.register, entry));
                } else {
                    let age = batch.taken.elapsed();
                    if !self.holds_back(&batch, index) {
                        return (passed, None);
                    }
                    if age < PATIENCE && !crowded {
                        return (passed, Some(PATIENCE - age));
                    }
                    if entry.park() {
                        steps.push(Step::Park { seq: entry.seq, raw: entry.raw.clone() });
                        self.parked.insert(entry.seq, (Arc::clone(&batch), index));
                    } else {
                        // It was settled while we looked.
                        steps.extend(copy(&self.register, entry));
                    }
                }
                passed += 1;
            }
            self.batches.pop_front();
        }
    }

    /// Whether something behind entry `index` of the first batch is settled.
    fn holds_back(&self, batch: &Batch, index: usize) -> bool {
        let rest = batch.entries.iter().skip(index + 1);
        rest.chain(self.batches.iter().skip(1).flat_map(|batch| batch.entries.iter())).any(Entry::is_settled)
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
