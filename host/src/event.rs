//! What is worth telling: one function for each event writes the log line and moves the metric, so that they cannot drift.
//!
//! `info` is something an operator did that came true, `warn` something refused or recovered from, `error` something lost.

use std::{fmt::Display, path::Path, time::Duration};
use tracing::{debug, error, info, warn};

/// How loud a line of a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// For its author.
    Debug,
    /// For the operator.
    Info,
    /// Something to look at.
    Warn,
    /// Something went wrong.
    Error,
}

/// A plugin is in force that was not there before.
pub fn plugin_ready(plugin: &str, digest: &str, kind: impl Display, took: Duration) {
    info!(plugin, digest, %kind, ?took, "plugin ready");
}

/// A new version of a plugin took over; messages inside the old one finish there.
pub fn plugin_swapped(plugin: &str, old: &str, new: &str, took: Duration) {
    info!(plugin, old, new, ?took, "plugin swapped");
}

/// A plugin did not come up; what was in force before still is.
pub fn plugin_refused(plugin: &str, refusal: &dyn Display, in_force: Option<&str>) {
    match in_force {
        Some(digest) => warn!(
            plugin,
            in_force = digest,
            "{refusal}; the version in force stays"
        ),
        None => warn!(plugin, "{refusal}"),
    }
}

/// The file of a plugin that nobody uses is gone, and so is the plugin.
pub fn plugin_removed(plugin: &str, digest: &str) {
    info!(plugin, digest, "plugin removed");
}

/// The file of a plugin that a pipeline uses is gone; it stays in force until the node ends.
pub fn plugin_file_gone(plugin: &str, digest: &str, file: &Path) {
    warn!(plugin, digest, file = %file.display(), "the plugin's file is gone; the loaded version stays in force, but the next start will fail");
}

/// A file in the plugins directory cannot be a plugin because of its name.
pub fn plugin_file_skipped(file: &Path, reason: &str) {
    warn!(file = %file.display(), "skipped: {reason}");
}

/// A plugin was compiled, which the next start will not need to do again.
pub fn plugin_compiled(digest: &str, took: Duration) {
    debug!(digest, ?took, "plugin compiled");
}

/// Compiled plugins cannot be kept, so every start compiles them anew.
pub fn compile_cache_off(dir: &Path, reason: &dyn Display) {
    warn!(dir = %dir.display(), "compiled plugins are not kept: {reason}");
}

/// A compiled plugin on disk was damaged and is compiled again.
pub fn compile_cache_damaged(file: &Path) {
    warn!(file = %file.display(), "a compiled plugin on disk was damaged; compiling it again");
}

/// The compiler's thread could not be made to give way to others.
pub fn compiler_keeps_priority(reason: &dyn Display) {
    debug!("the compiler keeps its priority: {reason}");
}

/// The compiler died over a plugin; the plugin is refused.
pub fn compiler_panicked(digest: &str) {
    error!(digest, "the compiler gave up on a plugin; it is refused");
}

/// The machine grants less address space than asked for, so fewer instances can live at once.
pub fn instances_limited(instances: u32, reason: &dyn Display) {
    warn!(
        instances,
        "little address space; fewer plugin instances can live at once: {reason}"
    );
}

/// A line that a plugin wrote, already cut and within its allowance.
pub fn guest_line(
    plugin: &str,
    digest: &str,
    message: Option<&str>,
    loudness: Loudness,
    text: &str,
) {
    match loudness {
        Loudness::Debug => debug!(plugin, digest, message, "{text}"),
        Loudness::Info => info!(plugin, digest, message, "{text}"),
        Loudness::Warn => warn!(plugin, digest, message, "{text}"),
        Loudness::Error => error!(plugin, digest, message, "{text}"),
    }
}

/// A plugin writes more than its allowance; `count` of its lines were left out since the last such notice.
pub fn guest_lines_suppressed(plugin: &str, digest: &str, count: u64) {
    warn!(
        plugin,
        digest, count, "the plugin logs too much; lines left out"
    );
}

/// The system cannot tell about changed files, so they are looked at every so often.
pub fn watch_polls(every: Duration, reason: &dyn Display) {
    warn!(
        ?every,
        "no notices about changed files here, looking at them every so often instead: {reason}"
    );
}

/// More files changed at once than are told apart; the whole directory is looked at.
pub fn watch_overflowed() {
    debug!("many files changed at once; looking at all of them");
}
