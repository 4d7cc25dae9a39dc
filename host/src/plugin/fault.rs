//! What a failed call is called: which limit a guest ran into, in words for the log and the dead letters.

use super::grants::NoChance;
use crate::message::Fault;
use std::time::Duration;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

/// Bytes of a reason.
const REASON_BYTES: usize = 1024;

/// Why a call into a guest did not return.
pub(super) enum Stop {
    /// The wall clock: the guest waited for longer than it may.
    Time,
    /// The guest, or wasmtime on its behalf.
    Wasm(wasmtime::Error),
}

impl From<wasmtime::Error> for Stop {
    fn from(error: wasmtime::Error) -> Self {
        Self::Wasm(error)
    }
}

/// The circumstances of a failed call.
pub(super) struct Scene {
    pub(super) timeout: Duration,
    pub(super) memory_mib: u32,
    /// Whether the guest was refused memory during the call.
    pub(super) denied: bool,
    /// What it wrote to stderr during the call.
    pub(super) last_words: String,
}

impl Scene {
    /// What to tell about `stop`.
    pub(super) fn fault(&self, stop: &Stop) -> Fault {
        let error = match stop {
            Stop::Time => return broken(self.too_long()),
            Stop::Wasm(error) => error,
        };
        if error.is::<PoolConcurrencyLimitError>() {
            return Fault::Retry { after: None, reason: "all instances of plugins are in use".to_owned() };
        }
        broken(self.reason(error))
    }

    fn reason(&self, error: &wasmtime::Error) -> String {
        if let Some(denied) = error.downcast_ref::<NoChance>() {
            return denied.to_string();
        }
        let trap = error.downcast_ref::<Trap>();
        if trap == Some(&Trap::Interrupt) {
            return self.too_long();
        }
        if self.denied {
            return format!("needed more than memory_mib = {}", self.memory_mib);
        }
        if let Some(I32Exit(code)) = error.downcast_ref() {
            return self.with_last_words(format!("called exit({code})"));
        }
        let what = match trap {
            Some(Trap::UnreachableCodeReached) => "trapped: unreachable".to_owned(),
            Some(Trap::StackOverflow) => "trapped: call stack exhausted".to_owned(),
            Some(trap) => format!("trapped: {}", trap.to_string().trim_start_matches("wasm trap: ")),
            None => format!("broke the plugin API: {}", one_line(error)),
        };
        self.with_last_words(what)
    }

    fn too_long(&self) -> String {
        format!("ran longer than its timeout of {:?}", self.timeout)
    }

    fn with_last_words(&self, what: String) -> String {
        match self.last_words.as_str() {
            "" => what,
            words => format!("{what}: {words}"),
        }
    }
}

/// A fault of the plugin itself.
pub(super) fn broken(reason: String) -> Fault {
    Fault::Broken { reason }
}

/// The root of `error` without the backtrace around it, on one line.
pub(super) fn one_line(error: &wasmtime::Error) -> String {
    let root = error.root_cause().to_string();
    let words: Vec<&str> = root.split_whitespace().collect();
    let mut line = words.join(" ");
    while line.len() > REASON_BYTES {
        line.pop();
    }
    line
}
