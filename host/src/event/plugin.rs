//! What is told of plugins.

use super::{Loudness, Sampler, short};
use crate::{
    message::{Limit, Message},
    metrics::COUNTERS,
};
use std::{fmt::Display, path::Path, time::Duration};
use tracing::{debug, error, info, warn};

/// A plugin is in force that was not there before.
pub(crate) fn plugin_ready(plugin: &str, digest: &str, kind: impl Display, took: Duration) {
    COUNTERS.versions(plugin, "loaded").inc();
    info!(plugin, digest, %kind, ?took, "plugin ready");
}

/// A new version of a plugin took over; messages inside the old one finish there.
pub(crate) fn plugin_swapped(plugin: &str, old: &str, new: &str, took: Duration) {
    COUNTERS.versions(plugin, "swapped").inc();
    info!(plugin, old, new, ?took, "plugin swapped");
}

/// A plugin did not come up, perhaps because it went beyond a limit; what was in force before still is.
pub(crate) fn plugin_refused(plugin: &str, refusal: &dyn Display, limit: Option<Limit>, in_force: Option<&str>) {
    let limit = limit.map(Limit::name);
    COUNTERS.versions(plugin, "refused").inc();
    match in_force {
        Some(digest) => warn!(plugin, limit, in_force = digest, "{refusal}; the version in force stays"),
        None => warn!(plugin, limit, "{refusal}"),
    }
}

/// These plugins lie in the directory, and would not come up without a configuration, which says nothing of them.
pub(crate) fn plugins_idle(plugins: &[&str]) {
    if !plugins.is_empty() {
        info!(
            plugins = plugins.join(","),
            "not configured, and left alone; `gristmill check` says what each would need"
        );
    }
}

/// The file of a plugin that nobody uses is gone, and so is the plugin.
pub(crate) fn plugin_removed(plugin: &str, digest: &str) {
    info!(plugin, digest, "plugin removed");
}

/// The file of a plugin that a pipeline uses is gone; it stays in force until the node ends.
pub(crate) fn plugin_file_gone(plugin: &str, digest: &str, file: &Path) {
    warn!(plugin, digest, file = %file.display(), "the plugin's file is gone; the loaded version stays in force, but the next start will fail");
}

/// A file in the plugins directory cannot be a plugin because of its name.
pub(crate) fn plugin_file_skipped(file: &Path, reason: &str) {
    warn!(file = %file.display(), "skipped: {reason}");
}

/// A plugin was compiled, which the next start will not need to do again.
pub(crate) fn plugin_compiled(digest: &str, took: Duration) {
    debug!(digest, ?took, "plugin compiled");
}

/// Compiled plugins cannot be kept, so every start compiles them anew.
pub(crate) fn compile_cache_off(dir: &Path, reason: &dyn Display) {
    warn!(dir = %dir.display(), "compiled plugins are not kept: {reason}");
}

/// A compiled plugin on disk was damaged and is compiled again.
pub(crate) fn compile_cache_damaged(file: &Path) {
    warn!(file = %file.display(), "a compiled plugin on disk was damaged; compiling it again");
}

/// The compiler died over a plugin, which is refused; `said` are its last words.
pub(crate) fn compiler_died(digest: &str, status: &dyn Display, said: &str) {
    error!(digest, %status, said, "the compiler gave up on a plugin; it is refused");
}

/// What the compiler answered was not whole; the plugin is refused.
pub(crate) fn compiler_garbled(digest: &str) {
    error!(digest, "the compiler's answer about a plugin was damaged; it is refused");
}

/// The machine grants less address space than asked for, so fewer instances can live at once.
pub(crate) fn instances_limited(instances: u32, reason: &dyn Display) {
    warn!(instances, "little address space; fewer plugin instances can live at once: {reason}");
}

/// A line that a plugin wrote, already cut and within its allowance.
pub(crate) fn guest_line(plugin: &str, digest: &str, id: Option<&str>, loudness: Loudness, text: &str) {
    let id = id.map(short);
    match loudness {
        Loudness::Debug => debug!(plugin, digest, id, "{text}"),
        Loudness::Info => info!(plugin, digest, id, "{text}"),
        Loudness::Warn => warn!(plugin, digest, id, "{text}"),
        Loudness::Error => error!(plugin, digest, id, "{text}"),
    }
}

/// A plugin writes more than its allowance, last in the call for `message`; `count` of its lines were left out since the
/// last such notice.
pub(crate) fn guest_lines_suppressed(plugin: &str, digest: &str, id: Option<&str>, count: u64) {
    let limit = Limit::LogLines.name();
    let id = id.map(short);
    COUNTERS.lines_left_out(plugin).inc_by(count);
    warn!(plugin, digest, limit, id, count, "the plugin logs too much; lines left out");
}

/// What has been said of one version of a plugin going beyond its limits.
#[derive(Debug, Default)]
pub(crate) struct Overruns([Sampler; Limit::ALL.len()]);

impl Overruns {
    fn of(&self, limit: Limit) -> Option<&Sampler> {
        self.0.get(limit as usize)
    }
}

/// A plugin went beyond a limit in a call for `message`.
pub(crate) fn limit_overrun(
    overruns: &Overruns,
    plugin: &str,
    digest: &str,
    message: &Message,
    limit: Limit,
    reason: &str,
) {
    let (name, id) = (limit.name(), short(&message.id));
    COUNTERS.limits(plugin, name).inc();
    match overruns.of(limit).and_then(|sampler| sampler.admit(1)) {
        Some(more) => warn!(plugin, digest, limit = name, id, reason, more, "the plugin went beyond a limit"),
        None => debug!(plugin, digest, limit = name, id, reason, "the plugin went beyond a limit"),
    }
}

/// A plugin wanted to look something up that the operator has not granted it, in the call for the message `id`.
pub(crate) fn lookup_denied(plugin: &str, id: Option<&str>, why: &str) {
    COUNTERS.denied(plugin).inc();
    debug!(plugin, id = id.map(short), why, "a lookup was not granted");
}

/// A plugin broke over a batch, whose `messages` are now tried one by one.
pub(crate) fn batch_broke(plugin: &str, digest: &str, messages: usize, reason: &str) {
    debug!(plugin, digest, messages, reason, "a batch broke the plugin; its messages are tried one by one");
}

/// A plugin asked for a request that the operator has not granted it.
pub(crate) fn request_denied(plugin: &str, message: &Message, why: &str) {
    COUNTERS.denied(plugin).inc();
    debug!(plugin, id = short(&message.id), why, "a request was not granted");
}
