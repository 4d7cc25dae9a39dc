//! One instance of a plugin: how it is made, called, and when it is of no more use.

use super::{
    answer,
    clock::{self, GivesWay, within},
    console::Voice,
    engine::{Engine, ticks},
    fault::{Scene, Stop},
    grants::Grants,
    state::State,
    v0_1::{Calls, Exports},
};
use crate::{
    config::{self, Isolation, Limits},
    message::{Fault, Message, Verdict},
    request::{Reply, Request},
};
use std::{sync::Arc, time::Duration};
use wasmtime::{Store, component::InstancePre};

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
    pub(super) limits: Limits,
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
            limits: settings.limits.clone(),
        }
    }

    fn memory_bytes(&self) -> usize {
        usize::try_from(self.memory_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20)
    }

    /// A fresh instance that knows its config.
    pub(super) async fn guest(&self) -> Result<Guest, Unstarted> {
        let time = self.timeout.max(INIT);
        let mut store = self.store().map_err(Unstarted::Fault)?;
        clock::wind(&mut store, ticks(time));
        let gives_way = store.data().clock.gives_way();
        let made = within(&self.engine, &gives_way, time, self.instance(&mut store)).await;
        let calls = made.map_err(|stop| self.unstarted(&store, &stop, time))?;
        let answer = within(&self.engine, &gives_way, time, calls.init(&mut store, &self.config)).await;
        let answer = answer.map_err(|stop| self.unstarted(&store, &stop, time))?;
        answer.map_err(|reason| Unstarted::Config(answer::shortened(&self.voice.veiled(&reason))))?;
        let memory = store.data().memory.used;
        Ok(Guest { store, calls, gives_way, sound: true, served: 0, memory, message: None })
    }

    fn store(&self) -> Result<Store<State>, Fault> {
        let state = State::new(self.memory_bytes(), &self.limits, &self.grants, Arc::clone(&self.voice))?;
        let mut store = Store::new(self.engine.wasm(), state);
        store.limiter(|state| &mut state.memory);
        clock::watch(&mut store);
        store.set_hostcall_fuel(answer::bytes_per_call(&self.limits));
        store.set_max_component_handles(self.limits.handles);
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

    fn scene(&self, store: &Store<State>, timeout: Duration) -> Scene<'_> {
        Scene {
            limits: &self.limits,
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
    gives_way: GivesWay,
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
        let answer =
            within(&plan.engine, &self.gives_way, plan.timeout, self.calls.filter(&mut self.store, message)).await;
        self.end(plan, answer).and_then(|verdict| answer::verdict(&plan.limits, verdict))
    }

    pub(super) async fn publish(&mut self, plan: &Blueprint, message: &Message) -> Result<Vec<Request>, Fault> {
        self.begin(plan, message)?;
        let answer =
            within(&plan.engine, &self.gives_way, plan.timeout, self.calls.publish(&mut self.store, message)).await;
        self.end(plan, answer).and_then(|requests| answer::requests(&plan.limits, message, requests))
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
        let answer = within(&plan.engine, &self.gives_way, plan.timeout, call).await;
        self.end(plan, answer).and_then(|requests| answer::requests(&plan.limits, message, requests))
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
        clock::wind(&mut self.store, plan.deadline);
        Ok(())
    }

    fn end<T>(&mut self, plan: &Blueprint, answer: Result<Result<T, Fault>, Stop>) -> Result<T, Fault> {
        match answer {
            Ok(answer) => {
                self.sound = true;
                answer.map_err(|fault| answer::fault(plan.veiled(fault)))
            }
            Err(stop) => Err(plan.veiled(plan.scene(&self.store, plan.timeout).fault(&stop))),
        }
    }
}
