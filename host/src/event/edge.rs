//! What is told of the edge, whose clients come and go by the thousand: they are counted, and only trouble is written.

use super::Sampler;
use crate::metrics::COUNTERS;
use std::{error::Error, fmt::Display};
use tracing::{debug, error, info, warn};

/// What has been said of clients.
#[derive(Debug, Default)]
pub(crate) struct EdgeStory {
    full: Sampler,
    refused: Sampler,
    descriptors: Sampler,
}

/// Clients are served.
pub(crate) fn edge_listens(address: &dyn Display) {
    info!(%address, "the edge listens");
}

/// A client reads channels now.
pub(crate) fn edge_subscribed(transport: &str) {
    COUNTERS.edge_subscriptions.with_label_values(&[transport]).inc();
    COUNTERS.edge_subscribers.inc();
}

/// One that did is gone.
pub(crate) fn edge_left() {
    COUNTERS.edge_subscribers.dec();
}

/// So many messages were written to clients, or wait for them.
pub(crate) fn edge_delivered(messages: usize) {
    COUNTERS.edge_deliveries.inc_by(messages as u64);
}

/// A client was told to go, or cut off.
pub(crate) fn edge_sent_away(why: &str) {
    COUNTERS.edge_sent_away.with_label_values(&[why]).inc();
    debug!(why, "sent a client away");
}

/// A slow client misses messages, and is told so.
pub(crate) fn edge_left_out() {
    COUNTERS.edge_left_out.inc();
}

/// A connection came for which there is no room.
pub(crate) fn edge_turned_away(story: &EdgeStory, why: &str) {
    COUNTERS.edge_refused.with_label_values(&["no room"]).inc();
    if let Some(more) = story.full.admit(1) {
        warn!(why, more, "turned a client away");
    }
}

/// A request was refused that has not the right to what it wants.
pub(crate) fn edge_refused(story: &EdgeStory, why: &str) {
    COUNTERS.edge_refused.with_label_values(&["no right"]).inc();
    match story.refused.admit(1) {
        Some(more) => info!(why, more, "refused a client"),
        None => debug!(why, "refused a client"),
    }
}

/// The system hands no connection over.
pub(crate) fn edge_cannot_accept(story: &EdgeStory) {
    super::descriptors_exhausted(&story.descriptors);
}

/// Everybody was sent away.
pub(crate) fn edge_ended(clients: usize, left: usize) {
    if clients > 0 {
        info!(clients, left, "sent all clients away");
    }
}

/// A thread that serves clients has ended of itself.
pub(crate) fn edge_broke(cause: &(dyn Error + 'static)) {
    error!(error = cause, "a thread of the edge has ended; its clients are gone");
}
