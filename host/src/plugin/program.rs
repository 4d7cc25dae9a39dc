//! Plain WASI programs as filters: the payload on stdin, the answer on stdout, no SDK.

mod head;
mod json;
mod lines;
mod once;
mod pipe;

pub use head::parse_head;
pub use json::parse_line;

use super::{
    answer,
    clock::{self, within},
    engine::ticks,
    grants::NoChance,
    guest::{CALLS, INIT, Unstarted},
    idle::Idle,
    refusal::Cause,
    state::State,
    terms::Terms,
    version::Started,
};
use crate::{
    config::{Isolation, Mode},
    message::{Fault, Message, Verdict},
};
use lines::Lines;
use std::{pin::pin, sync::Arc, time::Instant};
use wasmtime::{
    Engine, Linker, Module, Store,
    component::{self, Component, ComponentExportIndex},
};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder, p1};

/// The only module that a program for WASI 0.1 may import from.
const WASI: &str = "wasi_snapshot_preview1";
/// What makes a component a program; any 0.2 will do.
const RUN: &str = "wasi:cli/run@0.2.0";
/// Bytes of what a program said that are shown to explain a fault.
const QUOTED: usize = 80;

/// Why what a program said is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Garbled(String);

/// One version of a program.
pub(super) struct Program {
    plan: Plan,
    started: Started,
    /// Those that are fed lines; otherwise every message has an instance of its own.
    idle: Idle<Lines>,
}

/// All that the instances of one version share.
struct Plan {
    /// The plugin's, and what the program sees as its own.
    name: Arc<str>,
    entry: Arc<Entry>,
    mode: Mode,
    terms: Terms,
}

/// Where a program begins, linked and ready.
pub(super) enum Entry {
    /// A core module for WASI 0.1: `_start`.
    Module(Box<wasmtime::InstancePre<State>>),
    /// A component for WASI 0.2.
    Command { pre: component::InstancePre<State>, run: ComponentExportIndex },
}

impl Program {
    /// A program that can be started.
    pub(super) async fn start(name: Arc<str>, entry: Entry, mode: Mode, terms: Terms) -> Result<Self, Cause> {
        let plan = Plan { name, entry: Arc::new(entry), mode, terms };
        let begin = Instant::now();
        let (memory, first) = match mode {
            Mode::Lines => Lines::start(&plan).await.map(|lines| (lines.memory(), Some(lines)))?,
            Mode::Auto | Mode::Cgi => (plan.try_out().await?, None),
        };
        let started = Started { took: begin.elapsed(), memory };
        Ok(Self { plan, started, idle: Idle::new(first) })
    }

    /// What its first instance took to make.
    pub(super) fn started(&self) -> Started {
        self.started
    }

    /// The verdict on `message`, and the bytes of memory that its instance had in the end.
    pub(super) async fn filter(&self, message: &Message) -> (Result<Verdict, Fault>, usize) {
        if let Err(fault) = self.plan.terms.fits(message) {
            return (Err(fault), 0);
        }
        let (verdict, memory) = match self.plan.mode {
            Mode::Lines => self.ask(message).await,
            Mode::Auto | Mode::Cgi => once::run(&self.plan, message).await,
        };
        let terms = &self.plan.terms;
        let verdict =
            verdict.map_err(|fault| terms.own_words(fault)).and_then(|verdict| answer::verdict(&terms.limits, verdict));
        (verdict, memory)
    }

    /// Instances that wait for a line.
    pub(super) fn idle_instances(&self) -> usize {
        self.idle.len()
    }

    async fn ask(&self, message: &Message) -> (Result<Verdict, Fault>, usize) {
        let mut loan = Loan { lines: self.idle.take(true).await, idle: &self.idle };
        let mut lines = match loan.lines.take() {
            Some(lines) => lines,
            None => match Lines::start(&self.plan).await {
                Ok(lines) => lines,
                Err(unstarted) => return (Err(unstarted.into_fault()), 0),
            },
        };
        let verdict = lines.ask(&self.plan, message).await;
        let memory = lines.memory();
        if self.plan.terms.isolation == Isolation::Reuse && lines.listens() && lines.asked() < CALLS {
            loan.lines = Some(lines);
        }
        (verdict, memory)
    }
}

/// A place among the instances of a version, however its message ends.
struct Loan<'a> {
    /// What goes back.
    lines: Option<Lines>,
    idle: &'a Idle<Lines>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.idle.give(self.lines.take());
    }
}

impl Plan {
    /// A store for one instance; `give` says what it is given besides what was granted.
    fn store(&self, give: impl FnOnce(&mut WasiCtxBuilder)) -> Result<Store<State>, Fault> {
        let mut store = self.terms.store(|wasi| {
            wasi.arg(&*self.name).env("GRISTMILL_CONFIG", &self.terms.config);
            give(wasi);
        })?;
        // A buffer to read into may be as large as the memory it lies in.
        store.set_hostcall_fuel(self.terms.memory_bytes());
        Ok(store)
    }

    /// Makes an instance that runs nothing, to see whether there can be one; tells the bytes of its memory.
    async fn try_out(&self) -> Result<usize, Unstarted> {
        let time = INIT.max(self.terms.timeout);
        let mut store = self.store(|_| {}).map_err(Unstarted::Fault)?;
        clock::wind(&mut store, ticks(time));
        let gives_way = store.data().clock.gives_way();
        let made = within(&self.terms.engine, &gives_way, time, pin!(self.entry.instance(&mut store))).await.map(drop);
        made.map_err(|stop| Unstarted::Fault(self.terms.fault_in(&store, &stop, time)))?;
        Ok(store.data().memory.used.bytes())
    }
}

impl Entry {
    /// Links a core module, which may have chance that is good for keys if it is granted `random`.
    ///
    /// # Errors
    /// One that is no program, or wants more than WASI, is refused.
    pub(super) fn module(module: &Module, random: bool) -> Result<Self, Cause> {
        if module.get_export("_start").and_then(|start| start.func().cloned()).is_none() {
            return Err(Cause::CoreModule);
        }
        if let Some(import) = module.imports().find(|import| import.module() != WASI) {
            return Err(Cause::Import(format!("{}.{}", import.module(), import.name())));
        }
        let pre = linker(module.engine(), random).and_then(|linker| linker.instantiate_pre(module));
        let pre = pre.map_err(|error| Cause::Unlinkable(format!("{error:#}")))?;
        Ok(Self::Module(Box::new(pre)))
    }

    /// Whether it is one for WASI 0.2.
    fn is_component(&self) -> bool {
        matches!(self, Self::Command { .. })
    }

    /// Runs the program in `store` to its end, and tells its exit code.
    async fn run(&self, store: &mut Store<State>) -> wasmtime::Result<i32> {
        let ended = match self.instance(store).await? {
            Start::Module(start) => start.call_async(&mut *store, ()).await.map(|()| 0),
            Start::Command(run) => run.call_async(&mut *store, ()).await.map(|(ran,)| i32::from(ran.is_err())),
        };
        ended.or_else(|error| match error.downcast_ref() {
            Some(I32Exit(code)) => Ok(*code),
            None => Err(error),
        })
    }

    async fn instance(&self, store: &mut Store<State>) -> wasmtime::Result<Start> {
        Ok(match self {
            Self::Module(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                Start::Module(instance.get_typed_func(store, "_start")?)
            }
            Self::Command { pre, run } => {
                let instance = pre.instantiate_async(&mut *store).await?;
                Start::Command(instance.get_typed_func(store, run)?)
            }
        })
    }
}

/// The function that is the program.
enum Start {
    Module(wasmtime::TypedFunc<(), ()>),
    Command(component::TypedFunc<(), (Result<(), ()>,)>),
}

/// What links a core module to WASI 0.1, whose only chance is one that is good for keys.
fn linker(engine: &Engine, random: bool) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, State::p1)?;
    if !random {
        linker.allow_shadowing(true);
        linker.func_wrap(WASI, "random_get", |_: u32, _: u32| -> wasmtime::Result<u32> { Err(NoChance.into()) })?;
    }
    Ok(linker)
}

/// Where `component` begins, if it is a program and no plugin.
pub(super) fn command(component: &Component, engine: &Engine) -> Option<ComponentExportIndex> {
    if super::v0_1::is_plugin(component, engine) {
        return None;
    }
    let (_, interface) = component.get_export(None, RUN)?;
    let (_, run) = component.get_export(Some(&interface), "run")?;
    Some(run)
}

/// The beginning of what a program said, on one line and fit for a terminal.
fn quoted(said: &[u8]) -> String {
    let start = said.get(..QUOTED).unwrap_or(said);
    let start: String =
        String::from_utf8_lossy(start).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let more = if said.len() > QUOTED { "…" } else { "" };
    format!("`{start}{more}`")
}
