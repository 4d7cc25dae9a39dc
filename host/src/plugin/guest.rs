//! One instance of a plugin: how it is made, called, and when it is of no more use.

use super::{
    answer,
    clock::{self, GivesWay, within},
    engine::ticks,
    fault::{Stop, broken},
    looking::Looking,
    refusal::Cause,
    state::State,
    terms::Terms,
    v0_1::{Calls, Exports},
    version::Started,
};
use crate::{
    config::Isolation,
    lookup::{Access, Tally, Turn},
    message::{Fault, Message, Verdict},
    request::{BatchAnswer, Batched, Reply, Request},
};
use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{Store, component::InstancePre};

/// `init` may take as long as a call, but at least this long.
pub(super) const INIT: Duration = Duration::from_secs(1);
/// Calls after which an instance gives way to a fresh one.
pub(super) const CALLS: u64 = 1_000_000;
/// Bytes that an instance may always have grown to.
const SMALL: usize = 4 << 20;

/// All that the instances of one version share.
pub(super) struct Blueprint {
    pub(super) terms: Terms,
    pub(super) pre: InstancePre<State>,
    pub(super) exports: Exports,
    access: Arc<Access>,
    /// A call's time, with what it may wait for lookups.
    longest: Duration,
}

/// Why an instance did not come up.
pub(super) enum Unstarted {
    /// `init` said no.
    Config(String),
    /// A function of the API is not as this host calls it.
    Shape(String),
    /// It broke, or there was no room for it.
    Fault(Fault),
}

impl Unstarted {
    /// As it meets a message, for which an instance was to be made.
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Self::Config(reason) => broken(format!("refused its config: {reason}")),
            Self::Shape(reason) => broken(Cause::OtherShape(reason).to_string()),
            Self::Fault(fault) => fault,
        }
    }
}

/// As it meets a version that was to come into force.
impl From<Unstarted> for Cause {
    fn from(unstarted: Unstarted) -> Self {
        match unstarted {
            Unstarted::Config(reason) => Self::Config(reason),
            Unstarted::Shape(reason) => Self::OtherShape(reason),
            Unstarted::Fault(fault) => Self::Start(fault),
        }
    }
}

impl Blueprint {
    pub(super) fn new(terms: Terms, pre: InstancePre<State>, exports: Exports, access: Access) -> Self {
        let wait = if exports.looks_up { access.wait() } else { Duration::ZERO };
        let longest = terms.timeout.saturating_add(wait);
        Self { terms, pre, exports, access: Arc::new(access), longest }
    }

    /// Lets one more call be under way, where calls wait for lookups.
    pub(super) async fn turn(&self) -> Option<Turn> {
        if self.exports.looks_up { Some(self.access.turn().await) } else { None }
    }

    /// What `call` comes to, unless its time is over before.
    fn in_time<'a, T>(
        &'a self,
        gives_way: &'a GivesWay,
        call: Pin<&'a mut impl Future<Output = wasmtime::Result<T>>>,
    ) -> impl Future<Output = Result<T, Stop>> {
        within(&self.terms.engine, gives_way, self.longest, call)
    }

    /// A fresh instance that knows its config.
    pub(super) async fn guest(&self) -> Result<Guest, Unstarted> {
        let start = Instant::now();
        let Terms { engine, config, timeout, voice, .. } = &self.terms;
        let time = INIT.max(*timeout);
        let mut store = self.terms.store(|_| {}).map_err(Unstarted::Fault)?;
        if self.exports.looks_up {
            store.data_mut().looking = Some(Looking::new(&self.access));
        }
        clock::wind(&mut store, ticks(time));
        let gives_way = store.data().clock.gives_way();
        let made = within(engine, &gives_way, time, pin!(self.instance(&mut store))).await;
        let calls = made.map_err(|stop| self.unstarted(&store, &stop, time))?.map_err(Unstarted::Shape)?;
        let answer = within(engine, &gives_way, time, pin!(calls.init(&mut store, config))).await;
        let answer = answer.map_err(|stop| self.unstarted(&store, &stop, time))?;
        answer.map_err(|reason| Unstarted::Config(answer::shortened(&voice.veiled(&reason))))?;
        let memory = store.data().memory.used.bytes();
        let start = start.elapsed();
        Ok(Guest { store, calls, gives_way, sound: true, served: 0, start, memory, message: None })
    }

    /// The functions of a fresh instance, or which of them is not as it should be.
    async fn instance(&self, store: &mut Store<State>) -> wasmtime::Result<Result<Calls, String>> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        Ok(Calls::of(&self.exports, &instance, store))
    }

    fn unstarted(&self, store: &Store<State>, stop: &Stop, timeout: Duration) -> Unstarted {
        Unstarted::Fault(self.terms.fault_in(store, stop, timeout))
    }
}

/// One instance.
pub(super) struct Guest {
    store: Store<State>,
    calls: Calls,
    gives_way: GivesWay,
    /// Cleared before each call and set after a normal return: an instance that was left in the middle is dead.
    sound: bool,
    served: u64,
    /// How long it took to make it.
    start: Duration,
    /// Bytes of memory it started with.
    memory: usize,
    /// The id of the message it served last.
    message: Option<Arc<str>>,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest").field("sound", &self.sound).field("served", &self.served).finish_non_exhaustive()
    }
}

impl Guest {
    /// Whether it may take another message.
    pub(super) fn reusable(&self, plan: &Blueprint) -> bool {
        let fresh = self.served == 0;
        let young = self.served < CALLS && self.store.data().memory.used.bytes() <= self.soft_limit(plan);
        self.sound && (fresh || (young && plan.terms.isolation == Isolation::Reuse))
    }

    /// Calls so far.
    pub(super) fn served(&self) -> u64 {
        self.served
    }

    /// Bytes of linear memory that it has now, and so the most it has had.
    pub(super) fn memory(&self) -> u64 {
        self.store.data().memory.used.bytes() as u64
    }

    /// What it has looked up since this was asked last.
    pub(super) fn take_tally(&mut self) -> Tally {
        self.store.data_mut().looking.as_mut().map(Looking::take_tally).unwrap_or_default()
    }

    /// Whether it may take `message`, which may be the one it has had before.
    pub(super) fn fit(&self, plan: &Blueprint, message: &Message) -> bool {
        self.reusable(plan) || (self.sound && self.message.as_ref() == Some(&message.id))
    }

    /// Memory never shrinks, so one huge message would be paid for for ever: half way from the start to the limit it ends.
    fn soft_limit(&self, plan: &Blueprint) -> usize {
        let room = plan.terms.memory_bytes().saturating_sub(self.memory);
        SMALL.max(self.memory.saturating_add(room / 2))
    }

    /// What it took to make it.
    pub(super) fn started(&self) -> Started {
        Started { took: self.start, memory: self.memory }
    }

    /// How long it took to make it, if it has served nothing yet.
    pub(super) fn start(&self) -> Option<Duration> {
        (self.served == 0).then_some(self.start)
    }

    /// Lets a line be heard that it has not ended.
    pub(super) fn end_line(&self) {
        self.store.data().console.end_line();
    }

    pub(super) async fn filter(&mut self, plan: &Blueprint, message: &Message) -> Result<Verdict, Fault> {
        self.begin(plan, message)?;
        let answer = plan.in_time(&self.gives_way, pin!(self.calls.filter(&mut self.store, message))).await;
        self.end(plan, answer).and_then(|verdict| answer::verdict(&plan.terms.limits, verdict))
    }

    pub(super) async fn publish(&mut self, plan: &Blueprint, message: &Message) -> Result<Vec<Request>, Fault> {
        self.begin(plan, message)?;
        let answer = plan.in_time(&self.gives_way, pin!(self.calls.publish(&mut self.store, message))).await;
        self.end(plan, answer).and_then(|requests| answer::requests(&plan.terms.limits, message, requests))
    }

    pub(super) async fn answered(
        &mut self,
        plan: &Blueprint,
        message: &Message,
        replies: &[Reply],
        round: u32,
    ) -> Result<Vec<Request>, Fault> {
        self.begin(plan, message)?;
        self.store.data_mut().envelope.round = round;
        let answer = plan.in_time(&self.gives_way, pin!(self.calls.answered(&mut self.store, message, replies))).await;
        self.end(plan, answer).and_then(|requests| answer::requests(&plan.terms.limits, message, requests))
    }

    pub(super) async fn publish_batch(
        &mut self,
        plan: &Blueprint,
        messages: &[&Message],
    ) -> Result<BatchAnswer, Fault> {
        self.begin_batch(plan, messages)?;
        let answer = plan.in_time(&self.gives_way, pin!(self.calls.publish_batch(&mut self.store, messages))).await;
        self.end_batch(plan, messages, answer)
    }

    pub(super) async fn answered_batch(
        &mut self,
        plan: &Blueprint,
        messages: &[&Message],
        replies: &[Batched<Reply>],
        round: u32,
    ) -> Result<BatchAnswer, Fault> {
        self.begin_batch(plan, messages)?;
        self.store.data_mut().envelope.round = round;
        let answer =
            plan.in_time(&self.gives_way, pin!(self.calls.answered_batch(&mut self.store, messages, replies))).await;
        self.end_batch(plan, messages, answer)
    }

    /// Readies the instance for a call about `messages`, which is as one about the first as far as the call has only one envelope.
    fn begin_batch(&mut self, plan: &Blueprint, messages: &[&Message]) -> Result<(), Fault> {
        plan.terms.fit_together(messages)?;
        match messages.first() {
            Some(first) => self.begin(plan, first),
            None => Err(Fault::Reject { reason: "a batch of nothing".to_owned() }),
        }
    }

    fn end_batch(
        &mut self,
        plan: &Blueprint,
        messages: &[&Message],
        answer: Result<Result<BatchAnswer, Fault>, Stop>,
    ) -> Result<BatchAnswer, Fault> {
        let mut answer = self.end(plan, answer)?;
        for (_, fault) in &mut answer.faults {
            let own = std::mem::replace(fault, Fault::Reject { reason: String::new() });
            *fault = plan.terms.own_words(own);
        }
        answer::batch(&plan.terms.limits, messages, answer)
    }

    /// Readies the instance for a call about `message`.
    fn begin(&mut self, plan: &Blueprint, message: &Message) -> Result<(), Fault> {
        plan.terms.fits(message)?;
        self.sound = false;
        self.served += 1;
        if plan.terms.isolation == Isolation::Message {
            self.message = Some(Arc::clone(&message.id));
        }
        self.store.data_mut().begin(message, plan.exports.reads_headers);
        clock::wind(&mut self.store, plan.terms.deadline);
        if let Some(looking) = &mut self.store.data_mut().looking {
            looking.begin();
        }
        Ok(())
    }

    fn end<T>(&mut self, plan: &Blueprint, answer: Result<Result<T, Fault>, Stop>) -> Result<T, Fault> {
        match answer {
            Ok(answer) => {
                self.sound = true;
                answer.map_err(|fault| plan.terms.own_words(fault))
            }
            Err(stop) => Err(plan.terms.fault_in(&self.store, &stop, plan.terms.timeout)),
        }
    }
}
