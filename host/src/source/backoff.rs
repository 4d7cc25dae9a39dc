//! How long to wait before what has failed is tried again.

use std::time::Duration;

/// A pause that doubles with each use, up to five seconds, and starts again on proof of health.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);

    pub(super) fn new() -> Self {
        Self(Self::FIRST)
    }

    pub(super) fn reset(&mut self) {
        self.0 = Self::FIRST;
    }

    /// The next pause, with up to a quarter of jitter so that nodes do not return in step.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(Self::LONGEST);
        pause + pause.mul_f64(0.25 * crate::random::jitter())
    }
}
