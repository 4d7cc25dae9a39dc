//! What is told of messages on their way through a pipeline, and how long the parts of that take.

use super::{Sampler, short};
use crate::{
    message::{Message, Outcome, Trouble},
    metrics::{COUNTERS, Settled, Stages},
};
use prometheus::IntCounter;
use std::{sync::Arc, time::Instant};
use tracing::{debug, warn};

/// What a pipeline has said of its failures, and counted of all its messages.
#[derive(Debug)]
pub(crate) struct Story {
    counted: Settled,
    stages: Arc<Stages>,
    /// By filter.
    dropped: Vec<(String, IntCounter)>,
    retried: Sampler,
    buried: Sampler,
}

impl Story {
    /// Of the pipeline with this name and these filters.
    pub(crate) fn of(pipeline: &str, filters: &[String]) -> Self {
        let dropped = filters.iter().map(|filter| (filter.clone(), COUNTERS.dropped(pipeline, filter))).collect();
        let (retried, buried) = (Sampler::default(), Sampler::default());
        Self { counted: COUNTERS.settled(pipeline), stages: Stages::of(pipeline), dropped, retried, buried }
    }
}

/// A message that was taken at `taken` has its turn. Returns when.
pub(crate) fn begun(story: &Story, taken: Instant) -> Instant {
    let now = Instant::now();
    story.stages.wait.observe(now.saturating_duration_since(taken));
    now
}

/// A message has been with all filters since `begun`. Returns until when.
pub(crate) fn filtered(story: &Story, begun: Instant) -> Instant {
    let now = Instant::now();
    story.stages.filter.observe(now.saturating_duration_since(begun));
    now
}

/// What the filters made of a message has been with all publishers since `filtered`.
pub(crate) fn published(story: &Story, filtered: Instant) {
    story.stages.publish.observe(filtered.elapsed());
}

/// A message has been through its pipeline.
pub(crate) fn settled(story: &Story, pipeline: &str, message: &Message, outcome: &Outcome) {
    let (id, attempt) = (short(&message.id), message.attempt);
    match outcome {
        Outcome::Done | Outcome::Finished { .. } => {
            story.counted.done.inc();
            debug!(pipeline, id, attempt, "done");
        }
        Outcome::Again { after, .. } => {
            story.counted.put_back.inc();
            debug!(pipeline, id, attempt, ?after, "put back untried");
        }
        Outcome::Retry { after, trouble, .. } => {
            story.counted.retried.inc();
            let Trouble { plugin, digest, reason, .. } = trouble;
            match story.retried.admit(1) {
                Some(more) => {
                    warn!(pipeline, id, attempt, ?after, plugin, digest, reason, more, "to be tried again");
                }
                None => debug!(pipeline, id, attempt, ?after, plugin, digest, reason, "to be tried again"),
            }
        }
        Outcome::Dead { trouble, .. } => {
            story.counted.dead.inc();
            let Trouble { plugin, digest, reason, .. } = trouble;
            match story.buried.admit(1) {
                Some(more) => {
                    warn!(pipeline, id, attempt, plugin, digest, reason, more, "into the dead letters");
                }
                None => debug!(pipeline, id, attempt, plugin, digest, reason, "into the dead letters"),
            }
        }
    }
}

/// A filter has decided that a message goes no further.
pub(crate) fn dropped(story: &Story, pipeline: &str, plugin: &str, message: &Message, reason: Option<&str>) {
    if let Some((_, counter)) = story.dropped.iter().find(|(filter, _)| filter == plugin) {
        counter.inc();
    }
    debug!(pipeline, plugin, id = short(&message.id), reason, "dropped");
}
