//! What holds for every instance of one version, plugin or program: its limits, its grants, its voice, its config.

use super::{
    answer, clock,
    console::{Console, Voice},
    engine::{Engine, ticks},
    fault::{Scene, Stop},
    grants::Grants,
    state::State,
};
use crate::{
    config::{self, Isolation, Limits},
    message::{Fault, Limit, Message},
};
use std::{sync::Arc, time::Duration};
use wasmtime::Store;
use wasmtime_wasi::WasiCtxBuilder;

/// What holds for every instance of one version.
pub(super) struct Terms {
    pub(super) engine: Arc<Engine>,
    pub(super) voice: Arc<Voice>,
    grants: Grants,
    /// The plugin's config as JSON.
    pub(super) config: String,
    pub(super) timeout: Duration,
    /// The timeout in ticks, because dividing for each call would cost.
    pub(super) deadline: u64,
    pub(super) isolation: Isolation,
    pub(super) limits: Limits,
    memory_mib: u32,
}

impl Terms {
    pub(super) fn new(engine: Arc<Engine>, voice: Voice, grants: Grants, settings: &config::Plugin) -> Self {
        Self {
            engine,
            voice: Arc::new(voice),
            grants,
            config: settings.config.to_string(),
            timeout: settings.timeout,
            deadline: ticks(settings.timeout),
            isolation: settings.isolation,
            limits: settings.limits.clone(),
            memory_mib: settings.memory_mib,
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        usize::try_from(self.memory_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20)
    }

    /// A store with every limit on; `give` adds to what its instance meets of WASI.
    ///
    /// # Errors
    /// As [`Grants::give`].
    pub(super) fn store(&self, give: impl FnOnce(&mut WasiCtxBuilder)) -> Result<Store<State>, Fault> {
        let state = State::new(self.memory_bytes(), &self.limits, &self.grants, Arc::clone(&self.voice), give)?;
        let mut store = Store::new(self.engine.wasm(), state);
        store.limiter(|state| &mut state.memory);
        clock::watch(&mut store);
        store.set_hostcall_fuel(answer::bytes_per_call(&self.limits));
        store.set_max_component_handles(self.limits.handles);
        Ok(store)
    }

    /// Refuses a payload that cannot fit: it would kill the instance, and never heals.
    pub(super) fn fits(&self, message: &Message) -> Result<(), Fault> {
        let (bytes, mib) = (message.payload.len(), self.memory_mib);
        if bytes <= self.memory_bytes() {
            return Ok(());
        }
        Err(Fault::Reject { reason: format!("a payload of {bytes} bytes does not fit into memory_mib = {mib}") })
    }

    /// Refuses payloads that cannot fit at once: each alone may.
    pub(super) fn fit_together(&self, messages: &[&Message]) -> Result<(), Fault> {
        let bytes: usize = messages.iter().map(|message| message.payload.len()).sum();
        if messages.len() < 2 || bytes <= self.memory_bytes() {
            return Ok(());
        }
        let (count, mib) = (messages.len(), self.memory_mib);
        let reason = format!("{count} payloads of {bytes} bytes do not fit into memory_mib = {mib}");
        Err(super::fault::beyond(Limit::Memory, reason))
    }

    /// What to tell about a call in `store`, which may have taken `timeout` and did not return.
    pub(super) fn fault_in(&self, store: &Store<State>, stop: &Stop, timeout: Duration) -> Fault {
        let State { memory, console, .. } = store.data();
        self.fault(stop, timeout, memory.denied, console)
    }

    /// As `fault_in`, for an instance that was refused what is `denied`, and spoke through `console`.
    pub(super) fn fault(&self, stop: &Stop, timeout: Duration, denied: Option<Limit>, console: &Console) -> Fault {
        let (limits, memory_mib, last_words) = (&self.limits, self.memory_mib, console.last_words());
        self.veiled(Scene { limits, timeout, memory_mib, denied, last_words }.fault(stop))
    }

    /// A fault that the guest put into words: no secret shows in them, and there are no more than anybody reads.
    pub(super) fn own_words(&self, fault: Fault) -> Fault {
        answer::fault(self.veiled(fault))
    }

    fn veiled(&self, fault: Fault) -> Fault {
        fault.reworded(|reason| self.voice.veiled(reason))
    }
}
