//! Where the server was found last. A connection does not tell that another server has taken the place of its own: one that was
//! frozen meanwhile takes itself for the master until somebody tells it, and answers as if nothing had been.

use redis::ConnectionAddr;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A server that was silent for so long may have been replaced; nobody replaces one that was heard of later.
pub(super) const SILENCE: Duration = Duration::from_millis(1_500);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Place {
    last: Mutex<Option<ConnectionAddr>>,
    moves: AtomicU64,
    heard: Mutex<Option<Instant>>,
}

/// Which of the servers that there were, one after the other, a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since(u64);

impl Place {
    /// The server was found here.
    pub(super) fn found(&self, server: &ConnectionAddr) -> Since {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(server) {
            *last = Some(server.clone());
            self.moves.fetch_add(1, Ordering::Relaxed);
        }
        Since(self.moves.load(Ordering::Relaxed))
    }

    /// Whether no other server has been found since.
    pub(super) fn is_current(&self, since: Since) -> bool {
        self.moves.load(Ordering::Relaxed) == since.0
    }

    /// The server has answered at once, or somebody has said that it is this one.
    pub(super) fn heard(&self, now: Instant) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether it is long ago that the server was heard of.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_none_or(|heard| now.saturating_duration_since(heard) > SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_current_until_another_server_is_found() {
        let server = |port| ConnectionAddr::Tcp("127.0.0.1".to_owned(), port);
        let place = Place::default();
        let first = place.found(&server(1));
        assert_eq!(place.found(&server(1)), first);
        assert!(place.is_current(first));
        let second = place.found(&server(2));
        assert!(!place.is_current(first) && place.is_current(second));
        let back = place.found(&server(1));
        assert!(!place.is_current(first), "it may have been replaced twice");
        assert!(place.is_current(back));
    }

    #[test]
    fn a_server_is_silent_until_it_is_heard_of() {
        let (place, start) = (Place::default(), Instant::now());
        assert!(place.is_silent(start));
        place.heard(start);
        assert!(!place.is_silent(start + SILENCE));
        assert!(place.is_silent(start + SILENCE * 2));
    }
}
