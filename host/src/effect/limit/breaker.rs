//! Leaves a server alone that fails: after a pause one request is tried, and when that succeeds it has its requests again.

use crate::config;
use std::time::{Duration, Instant};

/// The longest pause, in first ones.
const LONGEST: u32 = 12;
/// While one request is tried, others do not ask again sooner.
const PATIENCE: Duration = Duration::from_millis(100);

/// Whether requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// They are.
    Closed,
    /// One is tried.
    HalfOpen,
    /// None is.
    Open,
}

impl Circuit {
    /// Its name in the field.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: Option<config::Breaker>,
    /// Requests and failures of this half of the window, and of the one before.
    halves: [(u32, u32); 2],
    /// When this half began.
    since: Instant,
    stage: Stage,
    pause: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Closed,
    /// Nothing is sent before that.
    Open(Instant),
    /// One request is under way.
    Probing,
}

/// Whether a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// As the only one.
    Probe,
    /// Not before that.
    Shut(Instant),
}

impl Breaker {
    pub(super) fn new(settings: Option<config::Breaker>, now: Instant) -> Self {
        let pause = settings.as_ref().map_or(Duration::ZERO, |settings| settings.pause);
        Self { settings, halves: [(0, 0); 2], since: now, stage: Stage::Closed, pause }
    }

    /// From now on this is when it opens, and for how long; whether it is open stays as it is, unless it never is.
    pub(super) fn change(&mut self, settings: Option<config::Breaker>, now: Instant) {
        let Some(new) = settings.clone().filter(|_| self.settings.is_some()) else {
            return *self = Self::new(settings, now);
        };
        match &mut self.stage {
            Stage::Closed => self.pause = new.pause,
            stage => {
                self.pause = self.pause.clamp(new.pause, new.pause * LONGEST);
                if let Stage::Open(until) = stage {
                    *until = (*until).min(now + self.pause);
                }
            }
        }
        self.settings = settings;
    }

    /// What kept the server from answering may be gone: where it is open, one request is tried without a pause.
    pub(super) fn try_again(&mut self, now: Instant) {
        if let Stage::Open(until) = &mut self.stage {
            *until = now;
        }
    }

    pub(super) fn circuit(&self) -> Circuit {
        match self.stage {
            Stage::Closed => Circuit::Closed,
            Stage::Open(_) => Circuit::Open,
            Stage::Probing => Circuit::HalfOpen,
        }
    }

    /// Until when nothing is sent; none if something may be.
    pub(super) fn shut(&self, now: Instant) -> Option<Instant> {
        match self.stage {
            Stage::Closed => None,
            Stage::Open(until) => Some(until).filter(|until| *until > now),
            Stage::Probing => Some(now + PATIENCE.max(self.pause / 4)),
        }
    }

    /// A request is about to be sent.
    pub(super) fn ask(&mut self, now: Instant) -> Gate {
        match (self.shut(now), self.stage) {
            (Some(until), _) => Gate::Shut(until),
            (None, Stage::Closed) => Gate::Open,
            (None, _) => {
                self.stage = Stage::Probing;
                Gate::Probe
            }
        }
    }

    /// A request has ended well or not. True where that changes whether others are sent.
    pub(super) fn ended(&mut self, well: bool, probe: bool, now: Instant) -> bool {
        let Some(settings) = self.settings.clone() else { return false };
        match (self.stage, probe, well) {
            (Stage::Probing, true, true) => {
                *self = Self::new(Some(settings), now);
                true
            }
            (Stage::Probing, true, false) => {
                self.pause = (self.pause * 2).min(settings.pause * LONGEST);
                self.stage = Stage::Open(now + self.pause);
                false
            }
            (Stage::Closed, ..) => self.count(&settings, well, now),
            // One that was under way when it opened says nothing new.
            _ => false,
        }
    }

    /// The one that was tried has ended in a way that says nothing.
    pub(super) fn abandoned(&mut self, now: Instant) {
        if self.stage == Stage::Probing {
            self.stage = Stage::Open(now);
        }
    }

    fn count(&mut self, settings: &config::Breaker, well: bool, now: Instant) -> bool {
        let half = settings.window / 2;
        let passed = now.saturating_duration_since(self.since);
        if passed >= half {
            let [this, _] = self.halves;
            self.halves = [(0, 0), if passed >= half * 2 { (0, 0) } else { this }];
            self.since = now;
        }
        let [this, last] = &mut self.halves;
        this.0 += 1;
        this.1 += u32::from(!well);
        let (all, failed) = (this.0 + last.0, this.1 + last.1);
        let open = !well && failed >= settings.failures && f64::from(failed) >= settings.share * f64::from(all);
        if open {
            self.stage = Stage::Open(now + self.pause);
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker(failures: u32, share: f64, now: Instant) -> Breaker {
        Breaker::new(Some(config::Breaker { failures, share, window: SECOND * 10, pause: SECOND }), now)
    }

    fn open(now: Instant) -> Breaker {
        let mut breaker = breaker(1, 0.1, now);
        assert!(breaker.ended(false, false, now));
        breaker
    }

    #[test]
    fn it_takes_both_a_number_and_a_share_of_failures_to_open() {
        let now = Instant::now();
        let mut few = breaker(5, 0.5, now);
        assert!((0..4).all(|_| !few.ended(false, false, now)));
        assert!(few.ended(false, false, now), "the fifth");
        let mut rare = breaker(5, 0.5, now);
        for _ in 0..100 {
            assert!(!rare.ended(true, false, now) && !rare.ended(true, false, now) && !rare.ended(false, false, now));
        }
        assert_eq!(rare.ask(now), Gate::Open);
    }

    #[test]
    fn what_lies_behind_the_window_does_not_count() {
        let mut now = Instant::now();
        let mut breaker = breaker(3, 0.1, now);
        for _ in 0..20 {
            assert!(!breaker.ended(false, false, now));
            now += SECOND * 6;
        }
        assert!(!breaker.ended(false, false, now) && breaker.ended(false, false, now), "three at once");
    }

    #[test]
    fn one_request_at_a_time_is_tried_and_the_pauses_grow() {
        let mut now = Instant::now();
        let mut breaker = open(now);
        assert_eq!(breaker.ask(now), Gate::Shut(now + SECOND));
        for pause in [2, 4, 8, 12, 12] {
            now = breaker.shut(now).expect("it is open");
            assert_eq!(breaker.ask(now), Gate::Probe);
            assert!(matches!(breaker.ask(now), Gate::Shut(_)), "while one is tried");
            assert!(!breaker.ended(false, true, now));
            assert_eq!(breaker.ask(now), Gate::Shut(now + SECOND * pause));
        }
    }

    #[test]
    fn a_success_closes_it_and_a_late_reply_does_not() {
        let now = Instant::now();
        let mut breaker = open(now);
        assert!(!breaker.ended(true, false, now), "it was under way before");
        assert!(matches!(breaker.ask(now), Gate::Shut(_)));
        assert_eq!(breaker.ask(now + SECOND), Gate::Probe);
        assert!(breaker.ended(true, true, now + SECOND));
        assert_eq!((breaker.ask(now + SECOND), breaker.circuit()), (Gate::Open, Circuit::Closed));
        assert_eq!(breaker.pause, SECOND);
    }

    #[test]
    fn a_trial_that_says_nothing_is_made_again() {
        let now = Instant::now();
        let mut breaker = open(now);
        assert_eq!(breaker.ask(now + SECOND), Gate::Probe);
        breaker.abandoned(now + SECOND);
        assert_eq!(breaker.ask(now + SECOND), Gate::Probe);
    }

    #[test]
    fn new_settings_leave_it_as_it_is_unless_they_are_none() {
        let now = Instant::now();
        let new = |pause| Some(config::Breaker { failures: 9, share: 0.1, window: SECOND, pause });
        let mut breaker = open(now);
        breaker.change(new(SECOND * 60), now);
        assert_eq!((breaker.circuit(), breaker.shut(now)), (Circuit::Open, Some(now + SECOND)), "not for longer");
        breaker.change(new(SECOND / 100), now);
        let shut = breaker.shut(now).unwrap();
        assert!(shut <= now + SECOND / 100 * LONGEST, "{:?}", shut - now);
        breaker.change(None, now);
        assert_eq!(breaker.ask(now), Gate::Open);
        breaker.change(new(SECOND), now);
        assert!((0..8).all(|_| !breaker.ended(false, false, now)) && breaker.ended(false, false, now), "the ninth");
    }

    #[test]
    fn where_something_may_have_mended_it_one_request_is_tried_at_once() {
        let now = Instant::now();
        let mut breaker = open(now);
        breaker.try_again(now);
        assert_eq!(breaker.ask(now), Gate::Probe);
        assert!(matches!(breaker.ask(now), Gate::Shut(_)), "while one is tried");
        assert!(!breaker.ended(false, true, now));
        assert_eq!(breaker.ask(now), Gate::Shut(now + SECOND * 2));
    }

    #[test]
    fn without_settings_it_never_opens() {
        let now = Instant::now();
        let mut never = Breaker::new(None, now);
        assert!((0..1_000).all(|_| !never.ended(false, false, now)));
        assert_eq!(never.ask(now), Gate::Open);
    }
}
