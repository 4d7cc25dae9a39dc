//! One version of a plugin, and its instances: idle ones wait here, and are lent to whoever has a message.

use super::{
    answer,
    digest::Digest,
    guest::{Blueprint, Guest, Unstarted},
    idle::Idle,
    needs::Needs,
    program::Program,
    refusal::Cause,
    usage::{Spent, Usage},
    v0_1::{self, Kind},
};
use crate::{
    config::{self, Isolation},
    event,
    lookup::Turn,
    message::{Fault, Message, Verdict},
    request::{BatchAnswer, Batched, Reply, Request},
};
use futures_util::FutureExt;
use std::{
    path::PathBuf,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::sync::Semaphore;

/// One version of a plugin. It lives for as long as anybody holds it, in force or not.
pub struct Version {
    pub(super) name: Arc<str>,
    pub(super) file: PathBuf,
    pub(super) digest: Digest,
    pub(super) settings: config::Plugin,
    pub(super) took: Duration,
    needs: Needs,
    short: String,
    body: Body,
    /// One permit for each instance that may be lent beside those that are.
    room: Semaphore,
    overruns: event::Overruns,
    since: SystemTime,
    used: Mutex<Usage>,
}

/// What a version is.
pub(super) enum Body {
    /// A component that speaks the plugin API.
    Plugin { plan: Blueprint, started: Started, idle: Idle<Box<Guest>> },
    /// A plain WASI program, which keeps its instances itself, if it has any.
    Program(Program),
}

impl Body {
    /// A plugin whose first instance works.
    pub(super) async fn plugin(plan: Blueprint) -> Result<Self, Cause> {
        let first = Box::new(plan.guest().await?);
        Ok(Self::Plugin { plan, started: first.started(), idle: Idle::new(Some(first)) })
    }
}

/// What an instance took before its first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// From nothing to its first message, `init` included.
    pub took: Duration,
    /// Bytes of memory that it had then.
    pub memory: usize,
}

/// Where a version comes from.
pub(super) struct Origin {
    pub(super) name: Arc<str>,
    pub(super) file: PathBuf,
    pub(super) digest: Digest,
    pub(super) settings: config::Plugin,
}

impl Version {
    pub(super) fn new(origin: Origin, needs: Needs, body: Body, took: Duration) -> Self {
        let Origin { name, file, digest, settings } = origin;
        Self {
            name,
            file,
            short: digest.short(),
            digest,
            room: Semaphore::new(settings.limits.instances),
            settings,
            took,
            needs,
            body,
            overruns: event::Overruns::default(),
            since: SystemTime::now(),
            used: Mutex::new(Usage { instances: 1, ..Usage::default() }),
        }
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first 12 hex digits of the SHA-256 of its file.
    pub fn digest(&self) -> &str {
        &self.short
    }

    /// What it does with messages.
    pub fn kind(&self) -> Kind {
        match &self.body {
            Body::Plugin { plan, .. } => plan.exports.kind(),
            Body::Program(_) => Kind::Filter,
        }
    }

    /// What it is, for people: its kind, and whether it is a plain program.
    pub fn title(&self) -> &'static str {
        match (&self.body, self.kind()) {
            (Body::Program(_), _) => "filter (WASI program)",
            (Body::Plugin { .. }, Kind::Filter) => "filter",
            (Body::Plugin { plan, .. }, Kind::Publisher) if plan.exports.takes_batches() => "publisher of batches",
            (Body::Plugin { .. }, Kind::Publisher) => "publisher",
        }
    }

    /// Whether it takes many messages at once.
    pub fn takes_batches(&self) -> bool {
        matches!(&self.body, Body::Plugin { plan, .. } if plan.exports.takes_batches())
    }

    /// How many it is given at once, if that may be more than one: an instance that sees one message only sees it alone.
    pub fn batch(&self) -> Option<config::Batch> {
        let many = self.settings.batch.size > 1 && self.settings.isolation == Isolation::Reuse;
        (many && self.takes_batches()).then_some(self.settings.batch)
    }

    /// The version of the plugin API that it speaks; a plain program speaks none.
    pub fn api(&self) -> Option<&'static str> {
        matches!(self.body, Body::Plugin { .. }).then_some(v0_1::VERSION)
    }

    /// From its file to its first instance.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// What its first instance took.
    pub fn started(&self) -> Started {
        match &self.body {
            Body::Plugin { started, .. } => *started,
            Body::Program(program) => program.started(),
        }
    }

    /// What the operator told and allowed it.
    pub fn settings(&self) -> &config::Plugin {
        &self.settings
    }

    /// What its file says it needs.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// What has been told of its going beyond its limits.
    pub(crate) fn overruns(&self) -> &event::Overruns {
        &self.overruns
    }

    /// One message has become `count` of them behind this filter.
    ///
    /// # Errors
    /// [`Fault::Broken`] where that is more than it may make of one.
    pub fn allows_children(&self, count: usize) -> Result<(), Fault> {
        let limits = &self.settings.limits;
        if count <= limits.children { Ok(()) } else { Err(answer::too_many_children(limits, count)) }
    }

    /// It has asked for `count` requests for one message, and is to be asked once more after `rounds` rounds of them.
    ///
    /// # Errors
    /// [`Fault::Broken`] where either is more than it may have.
    pub fn allows_requests(&self, count: usize, rounds: u32) -> Result<(), Fault> {
        let limits = &self.settings.limits;
        match (count, rounds) {
            (count, _) if count > limits.requests => Err(answer::too_many_requests(limits, count)),
            (_, rounds) if rounds > limits.rounds => Err(answer::too_many_rounds(limits)),
            _ => Ok(()),
        }
    }

    /// An instance, idle or fresh; waits while as many are lent as may live at once, or look things up.
    ///
    /// # Errors
    /// A fresh instance may not come up: [`Fault::Retry`] where there is no room for it, [`Fault::Broken`] else.
    pub async fn lend(self: &Arc<Self>) -> Result<Lent, Fault> {
        if let Ok(permit) = self.room.acquire().await {
            permit.forget();
        }
        // From here on its drop gives the permit back.
        let mut lent =
            Lent { version: Arc::clone(self), guest: None, taken: false, turn: None, used: Usage::default() };
        if let Body::Plugin { plan, idle, .. } = &self.body {
            lent.turn = plan.turn().await;
            // Where calls wait for lookups, their turns bound them.
            lent.guest = idle.take(lent.turn.is_none()).await;
            lent.taken = true;
            if lent.guest.is_none() {
                lent.guest = Some(fresh(plan, &mut lent.used).await?);
            }
        }
        Ok(lent)
    }

    /// Instances that wait for messages.
    pub fn idle_instances(&self) -> usize {
        match &self.body {
            Body::Plugin { idle, .. } => idle.len(),
            Body::Program(program) => program.idle_instances(),
        }
    }

    /// Instances that live, whether they are at a message or wait for one.
    pub fn live_instances(&self) -> usize {
        match &self.body {
            Body::Plugin { idle, .. } => idle.alive(),
            Body::Program(program) => program.idle_instances(),
        }
    }

    /// The linear memory of the instances that wait for messages, in bytes.
    pub fn idle_memory(&self) -> u64 {
        match &self.body {
            Body::Plugin { idle, .. } => idle.sum(|guest| guest.memory()),
            Body::Program(_) => 0,
        }
    }

    /// When it came up.
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// What it has used since then, but for the loans that have not ended.
    pub fn usage(&self) -> Usage {
        *self.used()
    }

    /// The host has carried out so many requests for it, which took `time` together.
    pub fn carried_out(&self, requests: usize, time: Duration) {
        self.used().add(&Usage { requests: requests as u64, request_time: time, ..Usage::default() });
    }

    /// Sums are whole at any time.
    fn used(&self) -> MutexGuard<'_, Usage> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_back(&self, guest: Option<Box<Guest>>) {
        if let Body::Plugin { plan, idle, .. } = &self.body {
            idle.give(guest.filter(|guest| guest.reusable(plan)));
        }
    }
}

async fn fresh(plan: &Blueprint, used: &mut Usage) -> Result<Box<Guest>, Fault> {
    let mut spent = Spent::for_call(1);
    // Boxed, as it is rare: what it takes to begin an instance would else lie in the future of every message, and be moved with it.
    let guest = spent.over(plan.guest().boxed().as_mut()).await;
    used.instances += 1;
    used.time(spent);
    guest.map(Box::new).map_err(Unstarted::into_fault)
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Version").field("name", &self.name).field("digest", &self.short).finish_non_exhaustive()
    }
}

/// An instance on loan. It may serve many messages in turn: one that broke, is worn out, or may see only one message
/// gives way to a fresh one. With `isolation = "message"` the calls about one message share an instance only within one loan.
/// A plain program is lent without one.
#[derive(Debug)]
pub struct Lent {
    version: Arc<Version>,
    guest: Option<Box<Guest>>,
    /// Whether it counts among those that live.
    taken: bool,
    /// Held for its drop, which comes after the instance has gone back.
    turn: Option<Turn>,
    used: Usage,
}

impl Lent {
    /// The version that it is an instance of.
    pub fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// Has an instance ready for `message`, so that the next call about it takes the guest's time alone. Returns how
    /// long a fresh one took to start. A plain program starts within its calls.
    ///
    /// # Errors
    /// As [`Version::lend`].
    pub async fn prepare(&mut self, message: &Message) -> Result<Option<Duration>, Fault> {
        if matches!(self.version.body, Body::Program(_)) {
            return Ok(None);
        }
        let (_, guest, _) = self.ready(message).await?;
        Ok(guest.start())
    }

    /// The memory that the instance had after its calls, in bytes; of a plain program the most that one of this loan had. A line that a
    /// plugin has left unfinished is heard now.
    pub fn memory(&self) -> Option<usize> {
        let bytes = match &self.guest {
            Some(guest) => {
                guest.end_line();
                guest.memory()
            }
            None => self.used.memory_peak,
        };
        usize::try_from(bytes).ok().filter(|bytes| *bytes > 0)
    }

    /// The verdict on `message`.
    ///
    /// # Errors
    /// The plugin's own fault, or [`Fault::Broken`] when it ran into a limit.
    pub async fn filter(&mut self, message: &Message) -> Result<Verdict, Fault> {
        if let Body::Program(program) = &self.version.body {
            let mut spent = Spent::for_call(1);
            // Boxed, as `fresh` is.
            let (verdict, memory) = spent.over(program.filter(message).boxed().as_mut()).await;
            self.used.memory_peak = self.used.memory_peak.max(memory as u64);
            self.used.call(message, spent, &verdict, answer::verdict_bytes);
            return verdict;
        }
        let (plan, guest, used) = self.ready(message).await?;
        let mut spent = Spent::for_call(guest.served() + 1);
        let verdict = spent.over(pin!(guest.filter(plan, message))).await;
        used.call(message, spent, &verdict, answer::verdict_bytes);
        verdict
    }

    /// What to send for `message`; nothing means done.
    ///
    /// # Errors
    /// As [`Lent::filter`].
    pub async fn publish(&mut self, message: &Message) -> Result<Vec<Request>, Fault> {
        let (plan, guest, used) = self.ready(message).await?;
        let mut spent = Spent::for_call(guest.served() + 1);
        let requests = spent.over(pin!(guest.publish(plan, message))).await;
        used.call(message, spent, &requests, |requests| answer::requests_bytes(requests, message));
        requests
    }

    /// What else to send for `message` now that `replies` have come, in the order of the requests; it is the `round`th
    /// time, from 1, that replies to its requests are judged.
    ///
    /// # Errors
    /// As [`Lent::filter`].
    pub async fn answered(&mut self, message: &Message, replies: &[Reply], round: u32) -> Result<Vec<Request>, Fault> {
        let (plan, guest, used) = self.ready(message).await?;
        let mut spent = Spent::for_call(guest.served() + 1);
        let requests = spent.over(pin!(guest.answered(plan, message, replies, round))).await;
        used.call(message, spent, &requests, |requests| answer::requests_bytes(requests, message));
        used.bytes_in += replies.iter().map(|reply| reply.bytes() as u64).sum::<u64>();
        requests
    }

    /// What to send for `messages`, of which there is at least one.
    ///
    /// # Errors
    /// As [`Lent::filter`], for all of them.
    pub async fn publish_batch(&mut self, messages: &[&Message]) -> Result<BatchAnswer, Fault> {
        let (plan, guest, used) = self.ready_for(messages).await?;
        let mut spent = Spent::for_call(guest.served() + 1);
        let answer = spent.over(pin!(guest.publish_batch(plan, messages))).await;
        used.batch_call(messages, spent, &answer, |answer| answer::batch_bytes(answer, messages));
        answer
    }

    /// As [`Lent::answered`], for `messages`, of which there is at least one.
    ///
    /// # Errors
    /// As [`Lent::filter`], for all of them.
    pub async fn answered_batch(
        &mut self,
        messages: &[&Message],
        replies: &[Batched<Reply>],
        round: u32,
    ) -> Result<BatchAnswer, Fault> {
        let (plan, guest, used) = self.ready_for(messages).await?;
        let mut spent = Spent::for_call(guest.served() + 1);
        let answer = spent.over(pin!(guest.answered_batch(plan, messages, replies, round))).await;
        used.batch_call(messages, spent, &answer, |answer| answer::batch_bytes(answer, messages));
        used.bytes_in += replies.iter().map(|reply| reply.what.bytes() as u64).sum::<u64>();
        answer
    }

    async fn ready_for(&mut self, messages: &[&Message]) -> Result<(&Blueprint, &mut Guest, &mut Usage), Fault> {
        match messages.first() {
            Some(first) => self.ready(first).await,
            None => Err(Fault::Reject { reason: "a batch of nothing".to_owned() }),
        }
    }

    /// An instance that may take `message`; the one at hand stays where it is if it is fit, moving it would cost.
    async fn ready(&mut self, message: &Message) -> Result<(&Blueprint, &mut Guest, &mut Usage), Fault> {
        let Body::Plugin { plan, .. } = &self.version.body else {
            return Err(v0_1::not_a(Kind::Publisher));
        };
        if self.guest.as_ref().is_none_or(|guest| !guest.fit(plan, message)) {
            // Its place in the pool is free before the next one needs one.
            if let Some(mut worn) = self.guest.take() {
                self.used.leave(&mut worn);
            }
            self.guest = Some(fresh(plan, &mut self.used).await?);
        }
        let guest = self.guest.as_mut().expect("there is one, or it was just made");
        Ok((plan, guest, &mut self.used))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(guest) = &mut self.guest {
            self.used.leave(guest);
        }
        if self.taken {
            self.version.take_back(self.guest.take());
        }
        self.version.used().add(&self.used);
        self.version.room.add_permits(1);
    }
}
