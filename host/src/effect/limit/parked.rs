//! When messages come again that were put back because their endpoint is not to be sent to: one behind the other, in the order in
//! which they were put back, not all at once, and not more than so many.

use crate::{config::Rate, random::jitter};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// For one endpoint of one node.
const MOST: usize = 10_000;
/// Between two of them, at least and at most.
const CLOSEST: Duration = Duration::from_millis(1);
const FARTHEST: Duration = Duration::from_secs(1);
/// Nobody is sent away for longer than that beyond the time at which the endpoint may be sent to again.
const HORIZON: Duration = Duration::from_secs(60);
/// Nodes that were told the same do not come again in step.
const JITTER: Duration = Duration::from_secs(1);

/// How many may be put back before one that would be waits instead.
#[derive(Clone, Copy, Debug)]
pub enum Most {
    /// So many, and never more than there may be for any pipeline.
    These(usize),
    /// There is no time to wait, or whoever keeps them says how many.
    All,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Parked {
    /// When they come again.
    slots: VecDeque<Instant>,
    last: Instant,
    /// Between two requests, where there is a rate.
    each: Duration,
}

impl Most {
    fn is_reached(self, count: usize) -> bool {
        match self {
            Self::These(most) => count >= most.min(MOST),
            Self::All => false,
        }
    }
}

impl Parked {
    pub(super) fn new(rate: Option<&Rate>, now: Instant) -> Self {
        Self { slots: VecDeque::new(), last: now, each: each(rate) }
    }

    /// From now on this is the rate; those who were told when to come do so.
    pub(super) fn change(&mut self, rate: Option<&Rate>, now: Instant) {
        (self.last, self.each) = (now, each(rate));
    }

    /// When one more comes again that cannot be sent before `until`, where a request takes `each`; none where there are `most` already, or
    /// too many.
    pub(super) fn slot(&mut self, until: Instant, each: Duration, now: Instant, most: Most) -> Option<Instant> {
        while self.slots.front().is_some_and(|slot| *slot <= now) {
            self.slots.pop_front();
        }
        if most.is_reached(self.slots.len()) {
            return None;
        }
        let first = until.max(now);
        let slot = if self.last < first {
            first + CLOSEST + JITTER.min((first - now) / 10).mul_f64(jitter())
        } else {
            self.last + self.each.max(each).clamp(CLOSEST, FARTHEST)
        };
        self.last = slot.min(first + HORIZON).max(first + CLOSEST);
        if self.slots.len() < MOST {
            self.slots.push_back(self.last);
        }
        Some(self.last)
    }
}

fn each(rate: Option<&Rate>) -> Duration {
    rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate.per_second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Scope;

    const SECOND: Duration = Duration::from_secs(1);
    const MANY: Most = Most::These(usize::MAX);

    #[test]
    fn they_come_again_in_their_order_once_the_endpoint_may_be_sent_to() {
        let now = Instant::now();
        let mut parked = Parked::new(None, now);
        let slots: Vec<Instant> =
            (0..100).map(|_| parked.slot(now + SECOND, Duration::ZERO, now, MANY).unwrap()).collect();
        assert!(slots.is_sorted() && slots.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(slots[0] > now + SECOND && slots[99] < now + SECOND * 2, "soon after that");
    }

    #[test]
    fn a_slow_endpoint_has_them_come_as_it_can_take_them() {
        let now = Instant::now();
        let rate = Rate { per_second: 10.0, burst: 1, ramp: Duration::ZERO, scope: Scope::Node };
        let mut parked = Parked::new(Some(&rate), now);
        let slots: Vec<Instant> = (0..1_000).map(|_| parked.slot(now, Duration::ZERO, now, MANY).unwrap()).collect();
        assert!(slots[11] - slots[1] >= SECOND);
        assert!(slots[999] <= now + HORIZON, "not in a hundred seconds");
    }

    #[test]
    fn no_more_are_sent_away_than_so_many() {
        let now = Instant::now();
        let mut parked = Parked::new(None, now);
        assert!((0..MOST).all(|_| parked.slot(now + SECOND, Duration::ZERO, now, MANY).is_some()));
        assert_eq!(parked.slot(now + SECOND, Duration::ZERO, now, MANY), None);
        assert!(parked.slot(now + SECOND, Duration::ZERO, now, Most::All).is_some(), "unless it must");
        let later = now + SECOND * 30;
        assert!(parked.slot(later, Duration::ZERO, later, MANY).is_some(), "when some have come again");
    }

    #[test]
    fn no_more_are_sent_away_than_may_wait_in_their_list() {
        let now = Instant::now();
        let mut parked = Parked::new(None, now);
        let slot = |parked: &mut Parked, most| parked.slot(now + SECOND, Duration::ZERO, now, most);
        assert!((0..3).all(|_| slot(&mut parked, Most::These(3)).is_some()));
        assert_eq!(slot(&mut parked, Most::These(3)), None);
        assert!(slot(&mut parked, MANY).is_some(), "those of another pipeline");
    }
}
