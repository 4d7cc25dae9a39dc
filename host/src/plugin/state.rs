//! What the host keeps for one instance: its WASI context with what was granted, its memory limit, the message of the call.

use super::{
    console::{Console, Stream, Voice},
    grants::{Grants, Moment},
};
use crate::message::{Fault, Message};
use std::sync::Arc;
use wasmtime::{ResourceLimiter, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Elements of one table; interpreters compiled to Wasm need 10,000, dynamically linked ones more.
pub(super) const TABLE_ELEMENTS: usize = 20_000;
/// Core instances, tables and memories of one component; dynamically linked Python has some forty.
pub(super) const PARTS: usize = 100;

/// The host's side of one instance.
pub(super) struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    moment: Moment,
    /// Whether it may have chance that is good for keys.
    pub(super) random: bool,
    pub(super) memory: Memory,
    pub(super) envelope: Envelope,
    pub(super) console: Arc<Console>,
}

/// The message of the call beside its id, which the console knows, and its payload, which crosses with the call.
#[derive(Default)]
pub(super) struct Envelope {
    pub(super) source: Option<Arc<str>>,
    pub(super) topic: Option<Arc<str>>,
    pub(super) attempt: u32,
    /// How often replies to a publisher's requests have been judged.
    pub(super) round: u32,
    pub(super) received_ms: u64,
    pub(super) headers: Arc<Vec<(String, String)>>,
}

/// The linear memory of one instance, all its memories together, in bytes.
pub(super) struct Memory {
    limit: usize,
    pub(super) used: usize,
    /// Whether the instance was refused memory, which it seldom survives.
    pub(super) denied: bool,
}

impl State {
    /// The state of an instance that may have `limit` bytes of memory and what `grants` give it, and speaks with `voice`.
    ///
    /// # Errors
    /// As [`Grants::give`].
    pub(super) fn new(limit: usize, grants: &Grants, voice: Arc<Voice>) -> Result<Self, Fault> {
        let console = Arc::new(Console::new(voice));
        let moment = Moment::default();
        let mut wasi = WasiCtx::builder();
        wasi.stdout(Stream::new(&console, crate::event::Loudness::Info))
            .stderr(Stream::new(&console, crate::event::Loudness::Warn));
        grants.give(&mut wasi, &moment)?;
        Ok(Self {
            wasi: wasi.build(),
            table: ResourceTable::new(),
            moment,
            random: grants.random(),
            memory: Memory { limit, used: 0, denied: false },
            envelope: Envelope::default(),
            console,
        })
    }

    /// Makes `message` the one of the call; its headers are copied only for a plugin that can ask for them.
    pub(super) fn begin(&mut self, message: &Message, with_headers: bool) {
        self.memory.denied = false;
        self.console.begin(&message.id);
        self.moment.set(message.received_ms);
        let envelope = &mut self.envelope;
        keep(&mut envelope.source, &message.source);
        keep(&mut envelope.topic, &message.topic);
        envelope.attempt = message.attempt;
        envelope.round = 0;
        envelope.received_ms = message.received_ms;
        if with_headers && *envelope.headers != message.headers {
            envelope.headers = Arc::new(message.headers.clone());
        }
    }
}

/// Makes `kept` be `text`; from message to message it is mostly the same one, and counting references is not free.
fn keep(kept: &mut Option<Arc<str>>, text: &Arc<str>) {
    if kept.as_ref().is_none_or(|kept| !Arc::ptr_eq(kept, text)) {
        *kept = Some(Arc::clone(text));
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        let granted = used <= self.limit;
        if granted {
            self.used = used;
        } else {
            self.denied = true;
        }
        Ok(granted)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}
