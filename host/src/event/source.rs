//! What is counted of a source and of the parts of its pipeline, without a line for each message.

use crate::metrics::{Source, Stages};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) use crate::metrics::{Came, Waiting};

/// What has been counted of one source.
#[derive(Debug)]
pub(crate) struct SourceStory {
    figures: Arc<Source>,
    stages: Arc<Stages>,
}

impl SourceStory {
    /// Of the source `source` of `pipeline`.
    pub(crate) fn of(pipeline: &str, source: &str) -> Self {
        Self { figures: Source::of(pipeline, source), stages: Stages::of(pipeline) }
    }

    /// How many messages this node has taken so far that had waited for their first attempt; with those that were dropped
    /// where they would have been taken next, if `dropped` says so.
    pub(crate) fn gone(&self, dropped: bool) -> u64 {
        self.figures.begun() + if dropped { self.figures.dropped() } else { 0 }
    }

    /// So many messages were dropped, as too many waited.
    pub(super) fn dropped(&self, messages: u64) {
        self.figures.dropping(messages);
    }

    /// One more lane of a node that is gone.
    pub(super) fn took_over(&self) {
        self.figures.took_over();
    }
}

/// So many messages were taken, of which some had been tried before.
pub(crate) fn taken(story: &SourceStory, messages: usize, redelivered: usize) {
    story.figures.took(messages, redelivered);
}

/// Redis has carried out what became of messages that had their outcomes at these times.
pub(crate) fn settled_at_source(story: &SourceStory, came: &Came, since: impl Iterator<Item = Instant>) {
    story.figures.settled(came);
    let now = Instant::now();
    since.for_each(|since| story.stages.settle.observe(now.saturating_duration_since(since)));
}

/// So many messages in flight are no longer this node's. No line: that of their lane is told.
pub(crate) fn not_ours(story: &SourceStory, messages: usize) {
    story.figures.lost(messages);
}

/// The lease is good for `length` from now on. No line: that is how it should be.
pub(crate) fn lease_renewed(story: &SourceStory, length: Duration) {
    story.figures.renewed(length);
}

/// A command failed; whether that is worth a line is judged elsewhere.
pub(crate) fn redis_failed(story: &SourceStory) {
    story.figures.failed();
}

/// Redis did what was asked.
pub(crate) fn redis_answered(story: &SourceStory) {
    story.figures.recovered();
}

/// That much waits now.
pub(crate) fn waits(story: &SourceStory, waiting: Waiting) {
    story.figures.waits(waiting);
}
