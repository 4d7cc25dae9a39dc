//! What one version of a plugin has looked up: how often, for how long, and what had no answer.

use super::Failure;
use std::time::Duration;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lookups, whatever came of them.
    pub asked: u64,
    /// How long their answers took, added up.
    pub time: Duration,
    failures: [u64; KINDS.len()],
}

/// Why there was no answer, in the words of the plugin API.
const KINDS: [&str; 4] = ["denied", "invalid", "unavailable", "too-large"];

impl Tally {
    /// Counts an answer that took so long.
    pub fn answered<T>(&mut self, took: Duration, answer: &Result<T, Failure>) {
        self.time += took;
        let kind = match answer {
            Ok(_) => return,
            Err(Failure::Denied(_)) => 0,
            Err(Failure::Invalid(_)) => 1,
            Err(Failure::Unreachable(_)) => 2,
            Err(Failure::TooLarge(_)) => 3,
        };
        if let Some(count) = self.failures.get_mut(kind) {
            *count += 1;
        }
    }

    /// Those without an answer, by the reason.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().zip(self.failures)
    }

    /// Adds what was looked up elsewhere.
    pub fn add(&mut self, more: &Self) {
        self.asked += more.asked;
        self.time += more.time;
        for (count, more) in self.failures.iter_mut().zip(more.failures) {
            *count += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart_and_add_up() {
        let mut tally = Tally::default();
        let failures = [Failure::Denied, Failure::Invalid, Failure::Unreachable, Failure::TooLarge];
        for (times, failure) in (1..).zip(failures) {
            (0..times).for_each(|_| tally.answered(Duration::from_millis(1), &Err::<(), _>(failure(String::new()))));
        }
        tally.answered(Duration::from_millis(5), &Ok(()));
        let once = tally;
        tally.add(&once);
        assert_eq!(tally.time, Duration::from_millis(30));
        let counts: Vec<_> = tally.failures().collect();
        assert_eq!(counts, [("denied", 2), ("invalid", 4), ("unavailable", 6), ("too-large", 8)]);
    }
}
