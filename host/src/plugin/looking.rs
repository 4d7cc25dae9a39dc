//! One instance that looks things up: what it may, how long it has waited in this call, and what it computes in between.

use super::{clock::Clock, engine::TICK};
use crate::lookup::{Access, Patience};
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
    /// When the guest got the processor last.
    since: Instant,
    /// What it has computed before lookups and was not charged for.
    owed: Duration,
}

impl Looking {
    /// For an instance that has no message yet.
    pub(super) fn new(access: &Arc<Access>) -> Self {
        Self { access: Arc::clone(access), patience: Patience::none(), since: Instant::now(), owed: Duration::ZERO }
    }

    /// A call begins.
    pub(super) fn begin(&mut self) {
        self.patience = self.access.patience();
        self.since = Instant::now();
        self.owed = Duration::ZERO;
    }

    /// The guest waits from now on; for what, and how long it may.
    pub(super) fn pause(&mut self) -> (Arc<Access>, Patience) {
        // Whole ticks have been charged for as they passed.
        self.owed += self.since.elapsed().min(TICK);
        (Arc::clone(&self.access), self.patience)
    }

    /// It goes on; whether `clock` has as much left as it owes.
    pub(super) fn go_on(&mut self, patience: Patience, clock: &Clock) -> bool {
        self.patience = patience;
        self.since = Instant::now();
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
            looking.go_on(patience, &clock)
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
    }
}
