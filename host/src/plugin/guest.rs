//! One instance of a plugin: how it is made, called, and when it is of no more use.

use super::{
    console::Voice,
    engine::{Engine, ticks},
    fault::{Scene, Stop, broken},
    grants::Grants,
    state::State,
    v0_1::{Calls, Exports},
};
use crate::{
    config::{self, Isolation},
    message::{Change, Fault, Message, Verdict},
    request::{Reply, Request},
};
use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};
use wasmtime::{Store, component::InstancePre};

/// The longest payload or request body that a plugin may answer with, in bytes.
pub const PAYLOAD_BYTES: usize = 16 << 20;
/// Messages one message may be split into, and requests one answer may hold.
pub const ANSWERS: usize = 1_000;
/// Bytes one call may hand to the host in all; a list of a thousand names for the same bytes costs a thousand times.
const CALL_BYTES: usize = 64 << 20;
/// `init` may take as long as a call, but at least this long.
const INIT: Duration = Duration::from_secs(1);
/// Calls after which an instance gives way to a fresh one.
const CALLS: u64 = 1_000_000;
/// Bytes that an instance may always have grown to.
const SMALL: usize = 4 << 20;

/// All that the instances of one version share.
pub(super) struct Blueprint {
    pub(super) engine: Arc<Engine>,
    pub(super) pre: InstancePre<State>,
    pub(super) exports: Exports,
    pub(super) voice: Arc<Voice>,
    grants: Grants,
    /// The plugin's config as JSON.
    pub(super) config: String,
    pub(super) timeout: Duration,
    /// The timeout in ticks, because dividing for each call would cost.
    deadline: u64,
    pub(super) memory_mib: u32,
    pub(super) isolation: Isolation,
}

/// Why an instance did not come up.
pub(super) enum Unstarted {
    /// `init` said no.
    Config(String),
    /// It broke, or there was no room for it.
    Fault(Fault),
}

impl Blueprint {
    pub(super) fn new(
        engine: Arc<Engine>,
        pre: InstancePre<State>,
        exports: Exports,
        voice: Voice,
        grants: Grants,
        settings: &config::Plugin,
    ) -> Self {
        Self {
            engine,
            pre,
            exports,
            voice: Arc::new(voice),
            grants,
            config: settings.config.to_string(),
            timeout: settings.timeout,
            deadline: ticks(settings.timeout),
            memory_mib: settings.memory_mib,
            isolation: settings.isolation,
        }
    }

    fn memory_bytes(&self) -> usize {
        usize::try_from(self.memory_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20)
    }

    /// A fresh instance that knows its config.
    pub(super) async fn guest(&self) -> Result<Guest, Unstarted> {
        let time = self.timeout.max(INIT);
        let mut store = self.store().map_err(Unstarted::Fault)?;
        store.set_epoch_deadline(ticks(time));
        let made = within(&self.engine, time, self.instance(&mut store)).await;
        let calls = made.map_err(|stop| self.unstarted(&store, &stop, time))?;
        let answer = within(&self.engine, time, calls.init(&mut store, &self.config)).await;
        answer
            .map_err(|stop| self.unstarted(&store, &stop, time))?
            .map_err(|reason| Unstarted::Config(self.voice.veiled(&reason)))?;
        let memory = store.data().memory.used;
        Ok(Guest { store, calls, sound: true, served: 0, memory, message: None })
    }

    fn store(&self) -> Result<Store<State>, Fault> {
        let state = State::new(self.memory_bytes(), &self.grants, Arc::clone(&self.voice))?;
        let mut store = Store::new(self.engine.wasm(), state);
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_trap();
        store.set_hostcall_fuel(CALL_BYTES);
        Ok(store)
    }

    async fn instance(&self, store: &mut Store<State>) -> wasmtime::Result<Calls> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        Calls::of(&self.exports, &instance, store)
    }

    fn unstarted(&self, store: &Store<State>, stop: &Stop, timeout: Duration) -> Unstarted {
        Unstarted::Fault(self.veiled(self.scene(store, timeout).fault(stop)))
    }

    fn veiled(&self, fault: Fault) -> Fault {
        fault.reworded(|reason| self.voice.veiled(reason))
    }

    fn scene(&self, store: &Store<State>, timeout: Duration) -> Scene {
        Scene {
            timeout,
            memory_mib: self.memory_mib,
            denied: store.data().memory.denied,
            last_words: store.data().console.last_words(),
        }
    }
}

/// One instance.
pub(super) struct Guest {
    store: Store<State>,
    calls: Calls,
    /// Cleared before each call and set after a normal return: an instance that was left in the middle is dead.
    sound: bool,
    served: u64,
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
        let young = self.served < CALLS && self.store.data().memory.used <= self.soft_limit(plan);
        self.sound && (fresh || (young && plan.isolation == Isolation::Reuse))
    }

    /// Whether it may take `message`, which may be the one it has had before.
    pub(super) fn fit(&self, plan: &Blueprint, message: &Message) -> bool {
        self.reusable(plan) || (self.sound && self.message.as_ref() == Some(&message.id))
    }

    /// Memory never shrinks, so one huge message would be paid for for ever: half way from the start to the limit it ends.
    fn soft_limit(&self, plan: &Blueprint) -> usize {
        let room = plan.memory_bytes().saturating_sub(self.memory);
        SMALL.max(self.memory.saturating_add(room / 2))
    }

    pub(super) async fn filter(&mut self, plan: &Blueprint, message: &Message) -> Result<Verdict, Fault> {
        self.begin(plan, message)?;
        let answer = within(&plan.engine, plan.timeout, self.calls.filter(&mut self.store, message)).await;
        self.end(plan, answer).and_then(allowed_verdict)
    }

    pub(super) async fn publish(&mut self, plan: &Blueprint, message: &Message) -> Result<Vec<Request>, Fault> {
        self.begin(plan, message)?;
        let answer = within(&plan.engine, plan.timeout, self.calls.publish(&mut self.store, message)).await;
        self.end(plan, answer).and_then(allowed_requests)
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
        let call = self.calls.answered(&mut self.store, message, replies);
        let answer = within(&plan.engine, plan.timeout, call).await;
        self.end(plan, answer).and_then(allowed_requests)
    }

    /// Readies the instance for a call about `message`; a payload that cannot fit would kill it, and never heals.
    fn begin(&mut self, plan: &Blueprint, message: &Message) -> Result<(), Fault> {
        if message.payload.len() > plan.memory_bytes() {
            let (bytes, mib) = (message.payload.len(), plan.memory_mib);
            return Err(Fault::Reject {
                reason: format!("a payload of {bytes} bytes does not fit into memory_mib = {mib}"),
            });
        }
        self.sound = false;
        self.served += 1;
        if plan.isolation == Isolation::Message {
            self.message = Some(Arc::clone(&message.id));
        }
        self.store.data_mut().begin(message, plan.exports.reads_headers);
        self.store.set_epoch_deadline(plan.deadline);
        Ok(())
    }

    fn end<T>(&mut self, plan: &Blueprint, answer: Result<Result<T, Fault>, Stop>) -> Result<T, Fault> {
        match answer {
            Ok(answer) => {
                self.sound = true;
                answer.map_err(|fault| plan.veiled(fault))
            }
            Err(stop) => Err(plan.veiled(plan.scene(&self.store, plan.timeout).fault(&stop))),
        }
    }
}

/// Runs `call` for at most `time`. Most calls are over at the first poll and never see a timer; the epoch deadline
/// ends what computes for too long, the timer what waits for too long.
async fn within<T>(
    engine: &Engine,
    time: Duration,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> Result<T, Stop> {
    let start = engine.now();
    let mut call = pin!(call);
    if let Poll::Ready(answer) = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
        return Ok(answer?);
    }
    let left = time.saturating_sub(engine.since(start));
    match tokio::time::timeout(left, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Stop::Time),
    }
}

fn allowed_verdict(verdict: Verdict) -> Result<Verdict, Fault> {
    match &verdict {
        Verdict::Replace(change) => allowed_change(change)?,
        Verdict::Split(changes) => {
            allowed_count("messages", changes.len())?;
            changes.iter().try_for_each(allowed_change)?;
        }
        Verdict::Pass | Verdict::Drop(_) => {}
    }
    Ok(verdict)
}

fn allowed_change(change: &Change) -> Result<(), Fault> {
    allowed_bytes("payload", change.payload.as_ref().map_or(0, bytes::Bytes::len))
}

fn allowed_requests(requests: Vec<Request>) -> Result<Vec<Request>, Fault> {
    allowed_count("requests", requests.len())?;
    for request in &requests {
        match request {
            Request::Http(http) => allowed_bytes("body", http.body.len())?,
            Request::Redis(words) => allowed_bytes("command", words.iter().map(bytes::Bytes::len).sum())?,
        }
    }
    Ok(requests)
}

fn allowed_count(what: &str, count: usize) -> Result<(), Fault> {
    if count <= ANSWERS {
        return Ok(());
    }
    Err(broken(format!("answered with {count} {what}, more than the {ANSWERS} that are allowed")))
}

fn allowed_bytes(what: &str, bytes: usize) -> Result<(), Fault> {
    if bytes <= PAYLOAD_BYTES {
        return Ok(());
    }
    Err(broken(format!("answered with a {what} of {bytes} bytes, more than the {PAYLOAD_BYTES} that are allowed")))
}
