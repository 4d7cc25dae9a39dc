//! What an operator is told of Redis: each kind of trouble once while it lasts, and its end when it has not come again.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// What comes again within this time has not ended; longer than the longest pause between two tries.
const CALM: Duration = Duration::from_secs(10);
/// More kinds of trouble at once are not told apart.
const MOST: usize = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Looked at with every round, so without a lock.
    troubled: AtomicBool,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    advice: Vec<String>,
    last: Option<Instant>,
}

impl Health {
    /// A command failed now, about which there is this to say; whether that is news.
    pub(super) fn failed(&self, advice: &str, now: Instant) -> bool {
        let mut told = self.told();
        self.troubled.store(true, Ordering::Relaxed);
        told.last = Some(now);
        let news = told.advice.len() < MOST && !told.advice.iter().any(|known| known == advice);
        if news {
            told.advice.push(advice.to_owned());
        }
        news
    }

    /// Whether there is trouble of which the end has not been told.
    pub(super) fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Relaxed)
    }

    /// A command did its work now; whether trouble has ended with that.
    pub(super) fn recovered(&self, now: Instant) -> bool {
        let mut told = self.told();
        if told.last.is_none_or(|last| now.saturating_duration_since(last) < CALM) {
            return false;
        }
        self.troubled.store(false, Ordering::Relaxed);
        *told = Told::default();
        true
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_news_once_however_often_something_works_in_between() {
        let (health, start) = (Health::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!health.is_troubled());
        assert!(health.failed("cut", at(0)) && health.is_troubled());
        assert!(!health.recovered(at(1)) && !health.failed("cut", at(2)));
        assert!(health.failed("not let in", at(3)) && !health.failed("cut", at(4)));
        assert!(!health.recovered(at(13)) && health.is_troubled());
        assert!(health.recovered(at(14)) && !health.is_troubled());
        assert!(!health.recovered(at(30)), "its end is news once");
        assert!(health.failed("cut", at(31)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (health, now) = (Health::default(), Instant::now());
        let news = (0..100).filter(|number| health.failed(&number.to_string(), now)).count();
        assert_eq!(news, MOST);
    }
}
