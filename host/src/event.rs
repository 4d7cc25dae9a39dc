//! One function for each noteworthy event.

use crate::message::{Message, Outcome, Trouble};
use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A command failed for the first time since the source was last known to be healthy.
pub(crate) fn redis_trouble(source: &str, url: &str, error: &(dyn Error + 'static)) {
    tracing::warn!(source, redis = url, error, "Redis does not do what we ask; trying again until it does");
}

/// A message was taken or settled again.
pub(crate) fn redis_back(source: &str) {
    tracing::info!(source, "Redis is back");
}

/// What was in a lane can no longer be settled by this node; whoever holds the lane now delivers it again.
pub(crate) fn lane_lost(source: &str, lane: &str, messages: usize) {
    if messages == 0 {
        return tracing::debug!(source, lane, "an empty lane is gone");
    }
    tracing::warn!(source, lane, messages, "another node has taken these messages over, or Redis has lost them");
}

/// Messages of a node that is gone, or that was too long silent, are ours now.
pub(crate) fn lane_taken_over(source: &str, lane: &str, takeovers: u32) {
    tracing::warn!(source, lane, takeovers, "took over the messages in flight of a node that is gone");
}

/// Lets one line in five seconds through, and counts the others: a failing endpoint must not flood the log.
#[derive(Debug, Default)]
pub(crate) struct Sampler(Mutex<Sampled>);

#[derive(Debug, Default)]
struct Sampled {
    last: Option<Instant>,
    suppressed: u64,
}

impl Sampler {
    const EVERY: Duration = Duration::from_secs(5);

    /// How many lines were held back since the last one, if this one is to be written.
    fn admit(&self) -> Option<u64> {
        let mut sampled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sampled.last.is_some_and(|last| last.elapsed() < Self::EVERY) {
            sampled.suppressed += 1;
            return None;
        }
        sampled.last = Some(Instant::now());
        Some(std::mem::take(&mut sampled.suppressed))
    }
}

/// A message has been through its pipeline.
pub(crate) fn settled(failures: &Sampler, pipeline: &str, message: &Message, outcome: &Outcome) {
    let (id, attempt) = (&*message.id, message.attempt);
    match outcome {
        Outcome::Done => tracing::debug!(pipeline, id, attempt, "done"),
        Outcome::Retry { after, trouble, .. } => {
            let Trouble { plugin, digest, reason, .. } = trouble;
            match failures.admit() {
                Some(more) => {
                    tracing::warn!(pipeline, id, attempt, ?after, plugin, digest, reason, more, "to be tried again");
                }
                None => tracing::debug!(pipeline, id, attempt, ?after, plugin, digest, reason, "to be tried again"),
            }
        }
        Outcome::Dead { trouble, .. } => {
            let Trouble { plugin, digest, reason, .. } = trouble;
            match failures.admit() {
                Some(more) => {
                    tracing::warn!(pipeline, id, attempt, plugin, digest, reason, more, "into the dead letters");
                }
                None => tracing::debug!(pipeline, id, attempt, plugin, digest, reason, "into the dead letters"),
            }
        }
    }
}

/// A filter has decided that a message goes no further.
pub(crate) fn dropped(pipeline: &str, plugin: &str, message: &Message, reason: Option<&str>) {
    tracing::debug!(pipeline, plugin, id = &*message.id, reason, "dropped");
}

/// The private server answers; producers may push there.
pub(crate) fn embedded_ready(port: u16) {
    tracing::info!(port, "embedded Redis ready: redis-cli -p {port}");
}

/// All pipelines take.
pub(crate) fn ready(node: &str, pipelines: usize) {
    tracing::info!(node, pipelines, "ready");
}

/// The configuration was read again and is in force.
pub(crate) fn reloaded(pipelines: usize) {
    tracing::info!(pipelines, "configuration reloaded");
}

/// The configuration was read again and cannot be used.
pub(crate) fn reload_refused(reason: &dyn std::fmt::Display) {
    tracing::warn!("the changed configuration cannot be used, the old one stays in force\n{reason}");
}

/// A changed key that only a restart puts in force.
pub(crate) fn needs_restart(key: &str) {
    tracing::warn!(key, "this change takes effect when the node is started again");
}

/// The node takes nothing new.
pub(crate) fn draining(grace: Duration) {
    tracing::info!(?grace, "finishing what is in flight; a second signal stops at once");
}

/// The node has ended.
pub(crate) fn ended(finished: bool) {
    if finished {
        tracing::info!("ended, nothing was in flight");
    } else {
        tracing::warn!("ended with messages in flight; they are in Redis and will be delivered by the next node");
    }
}

/// Files are not watched.
pub(crate) fn not_watching(reason: &dyn std::fmt::Display) {
    tracing::warn!("changed files go unnoticed until SIGHUP: {reason}");
}
