//! How many requests one server gets at once: all there are while it is well, fewer while it is overloaded, more again when it recovers.
//!
//! What is learnt is learnt from a round of replies, as many as there are requests under way. A round in which half was
//! refused for overload takes a third off. A good one adds: up to where it was good before by doubling, from there on by a tenth, and
//! nothing while replies take longer than they used to.

use std::time::Duration;

/// The shortest round, in replies; one that is to take something away is longer, as a few failures at once are no overload.
const ROUND: usize = 4;
const GRAVE: usize = 32;
/// How much longer than usual replies may take while requests become more, beside twice as long.
const SLACK: Duration = Duration::from_millis(5);
/// How many a server gets that was left alone.
const AGAIN: f64 = 2.0;

/// See the module.
#[derive(Debug)]
pub(super) struct Crowd {
    most: f64,
    limit: f64,
    /// Up to there it grows fast.
    good: f64,
    /// Whether the last round took something away.
    shrinks: bool,
    replies: usize,
    overloaded: usize,
    /// The most that were under way in this round.
    busiest: usize,
    /// How long replies take, and how long they usually do, in seconds; 0 before the first.
    now: f64,
    usual: f64,
}

impl Crowd {
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self {
            most,
            limit: most,
            good: most,
            shrinks: false,
            replies: 0,
            overloaded: 0,
            busiest: 0,
            now: 0.0,
            usual: 0.0,
        }
    }

    /// From now on there are so many; what is learnt of what it can take is kept.
    pub(super) fn change(&mut self, most: usize) {
        let before = std::mem::replace(&mut self.most, most.max(1) as f64);
        let follow = |limit: f64| if limit >= before { self.most } else { limit.min(self.most) };
        (self.limit, self.good) = (follow(self.limit), follow(self.good));
        self.begin_round();
    }

    /// So many at once.
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// How long a reply takes.
    pub(super) fn takes(&self) -> Duration {
        Duration::from_secs_f64(self.now)
    }

    /// The server was left alone: it gets few, and soon more.
    pub(super) fn begin_again(&mut self) {
        self.good = self.most;
        self.limit = AGAIN.min(self.most);
        self.begin_round();
    }

    /// A reply came after `took`, while so many requests were under way; `overloaded` if it says that they are too many.
    pub(super) fn replied(&mut self, took: Duration, overloaded: bool, under_way: usize) {
        self.learn(took.as_secs_f64());
        self.replies += 1;
        self.overloaded += usize::from(overloaded);
        self.busiest = self.busiest.max(under_way);
        if self.replies < self.busiest.min(self.limit()).max(ROUND) {
            return;
        }
        if self.overloaded * 2 >= self.replies {
            if self.replies < GRAVE {
                return;
            }
            // What it was good for was less than what was under way; what follows is the same overload.
            let tried = self.limit.min(self.busiest as f64).max(1.0);
            if !std::mem::replace(&mut self.shrinks, true) {
                self.good = (tried * 0.9).max(1.0);
            }
            self.limit = (tried * 0.67).max(1.0);
            return self.begin_round();
        }
        self.shrinks = false;
        if self.limit < self.most && self.busiest * 2 >= self.limit() && self.is_flat() {
            let grown = if self.limit < self.good { (self.limit * 2.0).min(self.good) } else { self.limit * 1.1 };
            self.limit = grown.max(self.limit + 1.0).min(self.most);
        }
        self.begin_round();
    }

    fn begin_round(&mut self) {
        (self.replies, self.overloaded, self.busiest) = (0, 0, 0);
    }

    fn learn(&mut self, took: f64) {
        if self.usual == 0.0 {
            (self.now, self.usual) = (took, took);
        }
        self.now += (took - self.now) / 16.0;
        // Down at once, up over some rounds: what is slow with so few for long has become usual.
        self.usual += (took - self.usual) / if took < self.usual { 16.0 } else { (self.limit * 8.0).max(64.0) };
    }

    fn is_flat(&self) -> bool {
        self.now <= self.usual * 2.0 + SLACK.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(10);

    /// So many replies while as many as allowed are under way.
    fn replies(crowd: &mut Crowd, count: usize, took: Duration, overloaded: bool) {
        for _ in 0..count {
            crowd.replied(took, overloaded, crowd.limit());
        }
    }

    #[test]
    fn a_server_that_is_well_gets_all_there_are() {
        let mut crowd = Crowd::new(1_000);
        replies(&mut crowd, 10_000, QUICK, false);
        replies(&mut crowd, 10_000, QUICK * 500, false);
        assert_eq!(crowd.limit(), 1_000, "also when it becomes slow");
    }

    #[test]
    fn a_failure_now_and_then_is_no_overload() {
        let mut crowd = Crowd::new(100);
        for number in 0..10_000 {
            crowd.replied(QUICK, number % 20 == 0, 100);
        }
        assert_eq!(crowd.limit(), 100);
    }

    #[test]
    fn a_few_failures_at_once_are_no_overload() {
        let mut crowd = Crowd::new(100);
        replies(&mut crowd, 31, QUICK, true);
        replies(&mut crowd, 100, QUICK, false);
        assert_eq!(crowd.limit(), 100);
    }

    #[test]
    fn an_overloaded_one_gets_fewer_down_to_one_and_recovers_fast() {
        let mut crowd = Crowd::new(1_000);
        replies(&mut crowd, 1_000, QUICK, true);
        assert_eq!(crowd.limit(), 670);
        replies(&mut crowd, 10_000, QUICK, true);
        assert_eq!(crowd.limit(), 1);
        let mut count = 0;
        while crowd.limit() < 500 {
            replies(&mut crowd, 1, QUICK, false);
            count += 1;
        }
        assert!(count < 6_000, "{count} replies");
    }

    #[test]
    fn it_does_not_grow_while_replies_take_longer_than_usual() {
        let mut crowd = Crowd::new(1_000);
        replies(&mut crowd, 1_000, QUICK, false);
        replies(&mut crowd, 1_000, QUICK, true);
        replies(&mut crowd, 50, QUICK * 20, false);
        let before = crowd.limit();
        replies(&mut crowd, before, QUICK * 20, false);
        assert_eq!(crowd.limit(), before);
    }

    #[test]
    fn one_that_was_left_alone_begins_with_few() {
        let mut crowd = Crowd::new(256);
        crowd.begin_again();
        assert_eq!(crowd.limit(), 2);
        replies(&mut crowd, 1_000, QUICK, false);
        assert_eq!(crowd.limit(), 256);
        let mut lone = Crowd::new(1);
        lone.begin_again();
        assert_eq!(lone.limit(), 1);
    }

    #[test]
    fn another_bound_holds_at_once_and_what_was_learnt_of_a_server_stays() {
        let mut well = Crowd::new(10);
        well.change(100);
        assert_eq!(well.limit(), 100);
        well.change(5);
        assert_eq!(well.limit(), 5);
        let mut overloaded = Crowd::new(100);
        replies(&mut overloaded, 1_000, QUICK, true);
        let learnt = overloaded.limit();
        assert!(learnt < 20, "{learnt}");
        overloaded.change(1_000);
        assert_eq!(overloaded.limit(), learnt);
    }

    #[test]
    fn what_has_become_slow_recovers_all_the_same() {
        let mut crowd = Crowd::new(256);
        replies(&mut crowd, 1_000, QUICK / 2, false);
        replies(&mut crowd, 2_000, QUICK / 2, true);
        assert_eq!(crowd.limit(), 1);
        replies(&mut crowd, 2_000, QUICK * 5, false);
        assert!(crowd.limit() > 100, "{}", crowd.limit());
    }
}
