//! What a failed call is called: which limit a guest ran into, in words for the log and the dead letters.

use super::{console::prefix, grants::NoChance, state::MEMORIES};
use crate::{
    config::Limits,
    message::{Fault, Limit},
};
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
pub(super) struct Scene<'a> {
    pub(super) limits: &'a Limits,
    pub(super) timeout: Duration,
    pub(super) memory_mib: u32,
    /// What the guest was refused during the call.
    pub(super) denied: Option<Limit>,
    /// What it wrote to stderr during the call.
    pub(super) last_words: String,
}

impl Scene<'_> {
    /// What to tell about `stop`.
    pub(super) fn fault(&self, stop: &Stop) -> Fault {
        let error = match stop {
            Stop::Time => return self.beyond(Limit::Time, ""),
            Stop::Wasm(error) => error,
        };
        if error.is::<PoolConcurrencyLimitError>() {
            return Fault::Retry { after: None, reason: "all instances of plugins are in use".to_owned() };
        }
        match (limit(error), self.denied) {
            (Some(Limit::Time), _) => self.beyond(Limit::Time, ""),
            // What it traps over then only follows from that.
            (_, Some(denied)) => self.beyond(denied, ""),
            (Some(limit), None) => self.beyond(limit, &one_line(error)),
            (None, None) => broken(self.with_last_words(what(error))),
        }
    }

    /// The guest went beyond `limit`; `line` is what wasmtime says of it.
    fn beyond(&self, limit: Limit, line: &str) -> Fault {
        let Limits { answer_kib, table_elements, parts, handles, .. } = self.limits;
        let reason = match limit {
            Limit::Time => format!("ran longer than its timeout of {:?}", self.timeout),
            Limit::Memory => format!("needed more than memory_mib = {}", self.memory_mib),
            Limit::TableElements => format!("needed more than `limits.table_elements` = {table_elements}"),
            Limit::Stack => self.with_last_words("trapped: call stack exhausted".to_owned()),
            Limit::Parts => format!("needed more than `limits.parts` = {parts} and {MEMORIES} memories: {line}"),
            Limit::Handles => format!("held more than `limits.handles` = {handles}"),
            Limit::Answer => format!("handed over more at once than `limits.answer_kib` = {answer_kib} allows"),
            limit => format!("went beyond its limit of {limit}: {line}"),
        };
        beyond(limit, reason)
    }

    fn with_last_words(&self, what: String) -> String {
        match self.last_words.as_str() {
            "" => what,
            words => format!("{what}: {words}"),
        }
    }
}

/// What wasmtime has no type for: the words by which it tells of a limit that it enforced.
const BY_WORDS: [(&str, Limit); 9] = [
    ("fuel allocated for hostcalls has been exhausted", Limit::Answer),
    ("store handle limit exceeded", Limit::Handles),
    ("resource table has no free keys", Limit::Handles),
    ("resource limit exceeded", Limit::Parts),
    ("exceeds the configured maximum of", Limit::Parts),
    ("exceeds the per-instance limit of", Limit::Parts),
    ("count exceeds limit of", Limit::Parts),
    ("has a minimum element size of", Limit::TableElements),
    ("has a minimum byte size of", Limit::Memory),
];

/// The limit that wasmtime has enforced, if that is what `error` tells of.
pub(super) fn limit(error: &wasmtime::Error) -> Option<Limit> {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Some(Limit::Time),
        Some(Trap::StackOverflow) => Some(Limit::Stack),
        Some(_) => None,
        None => limit_named_in(&error.root_cause().to_string()),
    }
}

/// The limit that `line`, which wasmtime has said, tells of.
pub(super) fn limit_named_in(line: &str) -> Option<Limit> {
    BY_WORDS.into_iter().find_map(|(words, limit)| line.contains(words).then_some(limit))
}

/// What happened, where that was no limit.
fn what(error: &wasmtime::Error) -> String {
    if let Some(denied) = error.downcast_ref::<NoChance>() {
        return denied.to_string();
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return format!("called exit({code})");
    }
    match error.downcast_ref() {
        Some(Trap::UnreachableCodeReached) => "trapped: unreachable".to_owned(),
        Some(trap) => format!("trapped: {}", trap.to_string().trim_start_matches("wasm trap: ")),
        None => format!("broke the plugin API: {}", one_line(error)),
    }
}

/// A fault of the plugin itself.
pub(super) fn broken(reason: String) -> Fault {
    Fault::Broken { limit: None, reason }
}

/// The plugin went beyond `limit`.
pub(super) fn beyond(limit: Limit, reason: String) -> Fault {
    Fault::Broken { limit: Some(limit), reason }
}

/// The root of `error` without the backtrace around it, on one line.
pub(super) fn one_line(error: &wasmtime::Error) -> String {
    on_a_line(&error.root_cause().to_string())
}

/// `error` and all that lies below it, on one line.
pub(super) fn in_full(error: &wasmtime::Error) -> String {
    on_a_line(&format!("{error:#}"))
}

fn on_a_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    prefix(&words.join(" "), REASON_BYTES).to_owned()
}
