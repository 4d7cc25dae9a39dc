//! What an operator is told of something that does not answer: once when it goes, once when it is back.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// What fails again within this time was not back.
const CALM: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Looked at with every answer, so without a lock.
    lasts: AtomicBool,
    last: Mutex<Option<Instant>>,
}

impl Outage {
    /// There was no answer at `now`; whether that is news.
    pub(super) fn failed(&self, now: Instant) -> bool {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        !self.lasts.swap(true, Ordering::Relaxed)
    }

    /// There was an answer at `now`; whether that is news.
    pub(super) fn worked(&self, now: Instant) -> bool {
        if !self.lasts.load(Ordering::Relaxed) {
            return false;
        }
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let calm = last.is_none_or(|last| now.saturating_duration_since(last) >= CALM);
        calm && self.lasts.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_and_coming_back_are_news_once() {
        let (outage, start) = (Outage::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!outage.worked(at(0)));
        assert!(outage.failed(at(1)) && !outage.failed(at(2)));
        assert!(!outage.worked(at(3)) && !outage.failed(at(3)), "answers in between are no end");
        assert!(outage.worked(at(5)) && !outage.worked(at(6)));
        assert!(outage.failed(at(7)));
    }
}
