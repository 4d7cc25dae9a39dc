//! How long messages spend in each part of a pipeline.

use super::{
    family::Family,
    histogram::Histogram,
    labels::{Roll, Sums},
};
use std::sync::{Arc, LazyLock};

/// Pipelines that have figures of their own.
const MOST: usize = 200;

static PIPELINES: LazyLock<Roll<Stages>> = LazyLock::new(|| Roll::new(MOST));

/// The parts of one pipeline.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    /// From a message's being taken to its turn.
    pub(crate) wait: Histogram,
    /// In all filters together.
    pub(crate) filter: Histogram,
    /// In all publishers, side by side, and of what they ask for.
    pub(crate) publish: Histogram,
    /// From an outcome to its being in Redis.
    pub(crate) settle: Histogram,
}

impl Stages {
    /// Those of the pipeline with this name.
    pub(crate) fn of(pipeline: &str) -> Arc<Self> {
        PIPELINES.enter([pipeline, ""])
    }

    fn each(&self) -> [(&'static str, &Histogram); 4] {
        [("filter", &self.filter), ("publish", &self.publish), ("settle", &self.settle), ("wait", &self.wait)]
    }
}

impl Sums for Stages {
    fn absorb(&self, gone: &Self) {
        for ((_, sum), (_, seen)) in self.each().into_iter().zip(gone.each()) {
            sum.absorb(seen);
        }
    }
}

pub(super) fn family() -> Family {
    let mut family =
        Family::histogram("gristmill_pipeline_stage_seconds", "Time that messages spend in a part of their pipeline.");
    for ([pipeline, _], stages, _) in PIPELINES.all() {
        for (stage, histogram) in stages.each() {
            family.add_seen(&[("pipeline", &pipeline), ("stage", stage)], histogram.seen());
        }
    }
    family
}
