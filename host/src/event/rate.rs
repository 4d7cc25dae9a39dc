//! What is told of rates.

use crate::metrics::COUNTERS;
use std::time::Duration;

/// How long a pipeline has waited for its rate, as it is counted.
#[derive(Debug)]
pub(crate) struct RateWaits(prometheus::Counter);

impl RateWaits {
    /// Of the pipeline with this name.
    pub(crate) fn of(pipeline: &str) -> Self {
        Self(COUNTERS.rate_wait(pipeline))
    }
}

/// Taking had to wait so long. No line: a rate that is set is meant to be waited for.
pub(crate) fn rate_waited(waits: &RateWaits, waited: Duration) {
    waits.0.inc_by(waited.as_secs_f64());
}
