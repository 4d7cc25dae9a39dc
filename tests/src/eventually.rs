//! Waiting for a condition, the only way tests wait.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(10);

/// Polls `ready` every 10 ms until it yields a value, and returns that.
///
/// # Panics
/// When `limit` has passed; the text says that `what` did not come about.
#[track_caller]
pub fn eventually<T>(limit: Duration, what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain until {what}");
        pause(PAUSE);
    }
}

/// Watches for `period` that `still` keeps being true, for what must not happen.
///
/// # Panics
/// As soon as it is false; the text names `what`.
#[track_caller]
pub fn holds_for(period: Duration, what: &str, mut still: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < period {
        assert!(still(), "no longer true after {:?}: {what}", start.elapsed());
        pause(PAUSE);
    }
}

/// Lets `period` go by, where the passing of time is itself what a test does (a pace, a freeze).
#[expect(clippy::disallowed_methods, reason = "this is the one place where tests wait")]
pub fn pause(period: Duration) {
    std::thread::sleep(period);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_comes_true_is_returned() {
        let mut left = 3;
        let value = eventually(Duration::from_secs(5), "the countdown ends", || {
            left -= 1;
            (left == 0).then_some("ended")
        });
        assert_eq!(value, "ended");
    }

    #[test]
    #[should_panic(expected = "in vain until pigs fly")]
    fn a_condition_that_never_comes_true_is_named() {
        eventually(Duration::from_millis(30), "pigs fly", || None::<()>);
    }

    #[test]
    #[should_panic(expected = "the lid is on")]
    fn a_condition_that_breaks_is_named() {
        let mut looks = 0;
        holds_for(Duration::from_secs(5), "the lid is on", || {
            looks += 1;
            looks < 3
        });
    }
}
