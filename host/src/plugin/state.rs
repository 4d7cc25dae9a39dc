//! What the host keeps for one instance: its WASI context with what was granted, its memory limit, the message of the call.

use super::{
    clock::Clock,
    console::{Console, Stream, Voice},
    grants::{Grants, Moment},
    looking::Looking,
};
use crate::{
    config::Limits,
    message::{Fault, Limit, Message},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use wasmtime::ResourceLimiter;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p1::WasiP1Ctx};

/// What the host keeps at most for one handle of a guest: a stream, what waits for it, and what they belong to.
const ENTRIES_PER_HANDLE: usize = 4;
/// Memories of one component: one, or one for each component it was composed of.
pub(super) const MEMORIES: usize = 8;

/// The host's side of one instance.
pub(super) struct State {
    /// For components and, through the older interface, for core modules.
    wasi: WasiP1Ctx,
    pub(super) moment: Moment,
    /// Whether it may have chance that is good for keys.
    pub(super) random: bool,
    pub(super) memory: Memory,
    pub(super) clock: Clock,
    pub(super) envelope: Envelope,
    pub(super) console: Arc<Console>,
    /// Of a plugin that can look anything up.
    pub(super) looking: Option<Looking>,
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

/// What one instance has taken of memory, all its memories together, and of tables.
pub(super) struct Memory {
    limit: usize,
    pub(super) used: Gauge,
    most_elements: usize,
    elements: usize,
    parts: usize,
    /// What the instance was refused in this call, which it seldom survives.
    pub(super) denied: Option<Limit>,
}

/// Bytes of memory, shown to those who cannot reach the store of an instance while it runs, too.
#[derive(Clone, Debug, Default)]
pub(super) struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

impl Memory {
    fn new(limit: usize, limits: &Limits) -> Self {
        let Limits { table_elements, parts, .. } = *limits;
        Self { limit, used: Gauge::default(), most_elements: table_elements, elements: 0, parts, denied: None }
    }
}

impl State {
    /// The state of an instance that may have `memory` bytes of that, `limits` of all else and what `grants` give it, and
    /// speaks with `voice`; `give` adds to what it meets of WASI.
    ///
    /// # Errors
    /// As [`Grants::give`].
    pub(super) fn new(
        memory: usize,
        limits: &Limits,
        grants: &Grants,
        voice: Arc<Voice>,
        give: impl FnOnce(&mut WasiCtxBuilder),
    ) -> Result<Self, Fault> {
        let console = Arc::new(Console::new(voice));
        let moment = Moment::default();
        let mut wasi = WasiCtx::builder();
        wasi.stdout(Stream::to(&console, crate::event::Loudness::Info))
            .stderr(Stream::to(&console, crate::event::Loudness::Warn));
        grants.give(&mut wasi, &moment)?;
        give(&mut wasi);
        let mut wasi = wasi.build_p1();
        wasi.ctx().table.set_max_capacity(limits.handles.saturating_mul(ENTRIES_PER_HANDLE));
        Ok(Self {
            wasi,
            moment,
            random: grants.random(),
            memory: Memory::new(memory, limits),
            clock: Clock::default(),
            envelope: Envelope::default(),
            console,
            looking: None,
        })
    }

    /// WASI as core modules know it.
    pub(super) fn p1(&mut self) -> &mut WasiP1Ctx {
        &mut self.wasi
    }

    /// Makes `message` the one of the call; its headers are copied only for a plugin that can ask for them.
    pub(super) fn begin(&mut self, message: &Message, with_headers: bool) {
        self.memory.denied = None;
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
        self.wasi.ctx()
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.bytes().saturating_add(desired.saturating_sub(current));
        let granted = used <= self.limit;
        if granted {
            self.used.set(used);
        } else {
            self.denied = Some(Limit::Memory);
        }
        Ok(granted)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let elements = self.elements.saturating_add(desired.saturating_sub(current));
        let granted = elements <= self.most_elements;
        if granted {
            self.elements = elements;
        } else {
            self.denied = Some(Limit::TableElements);
        }
        Ok(granted)
    }

    fn instances(&self) -> usize {
        self.parts
    }

    fn tables(&self) -> usize {
        self.parts
    }

    fn memories(&self) -> usize {
        self.parts.min(MEMORIES)
    }
}
