//! What is told of traces.

use super::Sampler;
use crate::metrics::COUNTERS;
use std::fmt::Display;
use tracing::warn;

/// So many spans are with the collector.
pub(crate) fn spans_sent(spans: usize) {
    COUNTERS.spans("sent").inc_by(spans as u64);
}

/// There was no room for so many to wait. No line: what the collector does is told.
pub(crate) fn spans_dropped(spans: usize) {
    COUNTERS.spans("dropped").inc_by(spans as u64);
}

/// The collector did not take so many, which are gone.
pub(crate) fn spans_refused(sampler: &Sampler, collector: &str, spans: usize, why: &dyn Display) {
    COUNTERS.spans("refused").inc_by(spans as u64);
    if let Some(before) = sampler.admit(spans as u64) {
        let spans = before + spans as u64;
        warn!(collector, spans, "the collector did not take these spans, and they are gone: {why}");
    }
}
