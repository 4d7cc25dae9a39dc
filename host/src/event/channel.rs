//! What is told of channels, which keep nothing of what is published.

use super::{Sampler, SourceStory, short};
use crate::{
    message::{Message, Trouble},
    metrics::COUNTERS,
};
use prometheus::IntCounter;
use std::time::Duration;
use tracing::{debug, error, warn};

/// What has been said of the channels of one pipeline.
#[derive(Debug)]
pub(crate) struct ChannelStory {
    source: String,
    losses: Sampler,
    overflowed: IntCounter,
    overflowed_later: IntCounter,
    /// What is counted of it as of all sources.
    pub(crate) tally: SourceStory,
}

impl ChannelStory {
    /// Of this pipeline, which listens to channels of these names.
    pub(crate) fn of(pipeline: &str, source: String) -> Self {
        let [overflowed, overflowed_later] = COUNTERS.overflowed(pipeline);
        let tally = SourceStory::of(pipeline, &source);
        Self { source, losses: Sampler::default(), overflowed, overflowed_later, tally }
    }
}

/// A channel could not be listened to for a while.
pub(crate) fn channel_gap(source: &str, lasted: Duration) {
    warn!(source, ?lasted, "subscribed again; what was published meanwhile has been missed");
}

/// Messages of a channel came faster than the pipeline takes them, and there was no room for them to wait.
pub(crate) fn channel_overflowed(story: &ChannelStory, dropped: u64, which: &str) {
    story.overflowed.inc_by(dropped);
    warn!(
        source = story.source,
        dropped, which, "messages come faster than the pipeline takes them; dropped those that had no room to wait"
    );
}

/// There was no room for so many that were to be tried again.
pub(crate) fn channel_overflowed_later(story: &ChannelStory, dropped: u64, which: &str) {
    story.overflowed_later.inc_by(dropped);
    error!(
        source = story.source,
        dropped, which, "more messages wait for another attempt than `backlog` keeps; dropped those beyond"
    );
}

/// A message was given up that nobody else has.
pub(crate) fn channel_lost(story: &ChannelStory, message: &Message, trouble: &Trouble) {
    let (source, id) = (&*story.source, short(&message.id));
    let Trouble { attempt, plugin, digest, reason, .. } = trouble;
    match story.losses.admit(1) {
        Some(more) => error!(source, id, attempt, plugin, digest, reason, more, "lost: a channel keeps nothing"),
        None => debug!(source, id, attempt, plugin, digest, reason, "lost: a channel keeps nothing"),
    }
}

/// A channel is no longer listened to, and not everything that was heard has been processed.
pub(crate) fn channel_ended(story: &ChannelStory, lost: u64) {
    let source = &*story.source;
    error!(source, lost, "ended before these messages were processed; they are lost, as a channel keeps nothing");
}
