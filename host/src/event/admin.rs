//! What is told of those who look at a node and steer it.

use std::fmt::Display;
use tracing::{info, warn};

/// Nobody can look at this node from outside.
pub(crate) fn admin_off(listen: &dyn Display, reason: &dyn Display) {
    warn!(%listen, "`gristmill status` and metrics are off: {reason}");
}

/// A pipeline is to take nothing more until it is told otherwise.
pub(crate) fn pausing(pipeline: &str) {
    info!(pipeline, "pausing: taking nothing new, finishing what is in flight");
}

/// What a pipeline had in flight is done, or given back.
pub(crate) fn paused(pipeline: &str, finished: bool) {
    match finished {
        true => info!(pipeline, "paused"),
        false => {
            warn!(pipeline, "paused; what was not finished within `shutdown.grace` was given back and comes again")
        }
    }
}

/// A pipeline takes again.
pub(crate) fn resumed(pipeline: &str) {
    info!(pipeline, "resumed");
}

/// Somebody wants the node to end as SIGTERM would.
pub(crate) fn drain_wanted() {
    info!("draining, as it was asked to");
}

/// Somebody has replayed a dead letter through a running node.
pub(crate) fn letter_replayed(pipeline: &str, entry: &str, id: &str, edited: bool) {
    info!(pipeline, entry, id, edited, "dead letter replayed");
}

/// Somebody has dropped a dead letter through a running node.
pub(crate) fn letter_dropped(pipeline: &str, entry: &str, id: &str) {
    info!(pipeline, entry, id, "dead letter dropped");
}
