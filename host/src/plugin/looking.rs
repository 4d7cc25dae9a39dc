//! One instance that looks things up: what it may, how long it has waited in this call, and what it computes in between.

use super::{clock::Clock, engine::TICK};
use crate::lookup::{Access, Failure, Patience, Tally};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// See the module.
///
/// What it computes between two lookups is measured: a guest that has every tick fall into a wait could else compute for
/// ever.
pub(super) struct Looking {
    access: Arc<Access>,
    patience: Patience,
    /// When the guest got the processor last, or while it waits since when.
    since: Instant,
    /// What it has computed before lookups and was not charged for.
    owed: Duration,
    tally: Tally,
}

impl Looking {
    /// For an instance that has no message yet.
    pub(super) fn new(access: &Arc<Access>) -> Self {
        let (patience, since) = (Patience::none(), Instant::now());
        Self { access: Arc::clone(access), patience, since, owed: Duration::ZERO, tally: Tally::default() }
    }

    /// What was looked up since this was asked last.
    pub(super) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// A call begins.
    pub(super) fn begin(&mut self) {
        self.patience = self.access.patience();
        self.since = Instant::now();
        self.owed = Duration::ZERO;
    }

    /// The guest waits from now on; for what, and how long it may.
    pub(super) fn pause(&mut self) -> (Arc<Access>, Patience) {
        let now = Instant::now();
        // Whole ticks have been charged for as they passed.
        self.owed += now.duration_since(self.since).min(TICK);
        self.since = now;
        self.tally.asked += 1;
        (Arc::clone(&self.access), self.patience)
    }

    /// It goes on with `answer`; whether `clock` has as much left as it owes.
    pub(super) fn go_on<T>(&mut self, patience: Patience, answer: &Result<T, Failure>, clock: &Clock) -> bool {
        let now = Instant::now();
        self.tally.answered(now.duration_since(self.since), answer);
        self.patience = patience;
        self.since = now;
        let mut may = true;
        while may && self.owed >= TICK {
            self.owed -= TICK;
            may = clock.charge(1);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, lookup::Lookups};

    #[test]
    fn what_is_computed_between_lookups_counts_and_waiting_does_not() {
        let access = Lookups::alone().access(&Arc::from("p"), &config::Plugin::default().lookups);
        let (mut looking, clock) = (Looking::new(&Arc::new(access)), Clock::default());
        clock.wind(4);
        looking.begin();
        let mut lookup = || {
            let (_, patience) = looking.pause();
            looking.go_on(patience, &Ok(()), &clock)
        };
        assert!((0..100).all(|_| lookup()), "next to nothing was computed");
        let mut computed = 0;
        loop {
            std::thread::park_timeout(TICK);
            computed += 1;
            if !lookup() {
                break;
            }
        }
        assert!((3..=8).contains(&computed), "three ticks and what was begun: {computed}");
        assert_eq!(looking.take_tally().asked, 100 + computed);
    }

    #[test]
    fn what_was_waited_for_is_told_once() {
        let access = Lookups::alone().access(&Arc::from("p"), &config::Plugin::default().lookups);
        let mut looking = Looking::new(&Arc::new(access));
        let (_, patience) = looking.pause();
        std::thread::park_timeout(TICK);
        looking.go_on(patience, &Err::<(), _>(Failure::Invalid(String::new())), &Clock::default());
        let tally = looking.take_tally();
        assert!(
            tally.asked == 1 && tally.time >= TICK && tally.failures().any(|told| told == ("invalid", 1)),
            "{tally:?}"
        );
        assert_eq!(looking.take_tally(), Tally::default());
    }
}
