//! A token bucket: how much may pass now, and when more may, where a rate and a burst are set.

use std::time::{Duration, Instant};

/// The part of the rate that a ramp begins with.
const FIRST: f64 = 0.1;
/// What rounding may take from a token.
const ROUNDING: f64 = 1e-9;

/// See the module. Every moment it is told must not be before the last one; one that is counts as that.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Tokens for each second; more than 0.
    rate: f64,
    /// How many there are at most.
    burst: f64,
    ramp: Duration,
    tokens: f64,
    /// When they were counted.
    at: Instant,
    /// Since when the rate grows.
    began: Instant,
}

impl Bucket {
    /// `per_second` tokens, at most `burst` at once. Over `ramp` from `now` on the rate grows from a tenth to the whole; without one the bucket is full.
    pub fn new(per_second: f64, burst: u32, ramp: Duration, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        let mut bucket = Self { rate: per_second, burst, ramp, tokens: burst, at: now, began: now };
        bucket.restart(now);
        bucket
    }

    /// The rate grows again from its beginning.
    pub fn restart(&mut self, now: Instant) {
        if !self.ramp.is_zero() {
            self.refill(now);
            self.began = self.at;
            self.tokens = self.tokens.min(1.0);
        }
    }

    /// Takes up to `want` tokens, as many as are there.
    pub fn take(&mut self, want: usize, now: Instant) -> usize {
        self.refill(now);
        let taken = ((self.tokens + ROUNDING).floor() as usize).min(want);
        self.tokens = (self.tokens - taken as f64).max(0.0);
        taken
    }

    /// How long until `count` tokens are there, of which there may be as many as the burst.
    pub fn until(&mut self, count: usize, now: Instant) -> Duration {
        self.refill(now);
        let missing = (count as f64).min(self.burst) - self.tokens;
        if missing <= ROUNDING {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(self.time_for(missing)).unwrap_or(Duration::MAX).max(Duration::from_micros(1))
    }

    /// Gives back tokens that were not used.
    pub fn put_back(&mut self, count: usize) {
        self.tokens = (self.tokens + count as f64).min(self.burst);
    }

    fn refill(&mut self, now: Instant) {
        let (from, to) = (self.age(self.at), self.age(now.max(self.at)));
        self.at = self.at.max(now);
        self.tokens = (self.tokens + self.made(from, to)).min(self.burst);
    }

    /// Seconds since the ramp began.
    fn age(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.began).as_secs_f64()
    }

    /// The rate at an age.
    fn rate_at(&self, age: f64) -> f64 {
        let ramp = self.ramp.as_secs_f64();
        if age >= ramp { self.rate } else { self.rate * (FIRST + (1.0 - FIRST) * age / ramp) }
    }

    /// Tokens that come between two ages.
    fn made(&self, from: f64, to: f64) -> f64 {
        let ramp = self.ramp.as_secs_f64();
        let (bend, end) = (to.min(ramp).max(from), to);
        (self.rate_at(from) + self.rate_at(bend)) / 2.0 * (bend - from) + self.rate * (end - bend)
    }

    /// In how many seconds from the last count on so many tokens come.
    fn time_for(&self, tokens: f64) -> f64 {
        let (age, ramp) = (self.age(self.at), self.ramp.as_secs_f64());
        let left = (ramp - age).max(0.0);
        let within = self.made(age, age + left);
        if tokens >= within {
            return left + (tokens - within) / self.rate;
        }
        let (speed, growth) = (self.rate_at(age), self.rate * (1.0 - FIRST) / ramp);
        ((speed * speed + 2.0 * growth * tokens).sqrt() - speed) / growth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How many come within `time`, taken as soon as they are there.
    fn taken_within(bucket: &mut Bucket, start: Instant, time: Duration) -> usize {
        let (mut now, mut taken) = (start, 0);
        while now <= start + time {
            taken += bucket.take(1, now);
            now += bucket.until(1, now);
        }
        taken
    }

    #[test]
    fn over_a_long_time_the_rate_is_kept_to_the_token() {
        let start = Instant::now();
        for (rate, seconds, burst, expected) in [(500.0, 10, 50, 5_050), (0.5, 60, 1, 31), (1.0 / 3.0, 30, 1, 11)] {
            let mut bucket = Bucket::new(rate, burst, Duration::ZERO, start);
            assert_eq!(taken_within(&mut bucket, start, Duration::from_secs(seconds)), expected, "{rate}");
        }
    }

    #[test]
    fn what_gathers_in_a_pause_is_bounded() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100.0, 10, Duration::ZERO, start);
        assert_eq!(bucket.take(1_000, start), 10);
        assert_eq!(bucket.take(1_000, start + 50 * MS), 5);
        assert_eq!(bucket.take(1_000, start + Duration::from_secs(3_600)), 10);
        assert_eq!(bucket.until(1_000, start + Duration::from_secs(3_600)), 100 * MS, "more than a burst never comes");
    }

    #[test]
    fn what_was_not_used_is_there_again_and_no_more_than_that() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1.0, 4, Duration::ZERO, start);
        assert_eq!(bucket.take(4, start), 4);
        bucket.put_back(3);
        assert_eq!(bucket.take(9, start), 3);
        bucket.put_back(100);
        assert_eq!(bucket.take(9, start), 4);
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_makes_no_tokens() {
        let start = Instant::now() + Duration::from_secs(1);
        let mut bucket = Bucket::new(10.0, 1, Duration::ZERO, start);
        assert_eq!(bucket.take(1, start), 1);
        assert_eq!(bucket.take(1, start - 500 * MS), 0);
        assert_eq!(bucket.take(1, start + 99 * MS), 0);
        assert_eq!(bucket.take(1, start + 100 * MS), 1);
    }

    #[test]
    fn a_ramp_begins_with_a_tenth_and_ends_with_the_whole() {
        let (start, ramp) = (Instant::now(), Duration::from_secs(10));
        let mut bucket = Bucket::new(100.0, 10, ramp, start);
        let first = taken_within(&mut bucket, start, Duration::from_secs(1));
        assert!((14..=16).contains(&first), "{first} in the first second");
        let rest = taken_within(&mut bucket, start + Duration::from_secs(1), Duration::from_secs(9));
        assert!((548..=553).contains(&(first + rest)), "{first} + {rest}, where the whole rate gives 1000");
        let after = taken_within(&mut bucket, start + ramp, Duration::from_secs(1));
        assert!((99..=101).contains(&after), "{after} in the second behind it");
        bucket.restart(start + 2 * ramp);
        let again = taken_within(&mut bucket, start + 2 * ramp, Duration::from_secs(1));
        assert!((13..=16).contains(&again), "{again} in the first second after it began again");
    }

    #[test]
    fn a_wait_is_as_long_as_it_has_to_be() {
        let start = Instant::now();
        for ramp in [Duration::ZERO, Duration::from_secs(3), Duration::from_secs(3_600)] {
            let mut bucket = Bucket::new(2.0, 8, ramp, start);
            let mut now = start;
            for count in [1, 3, 8, 2, 8, 8] {
                bucket.take(8, now);
                let wait = bucket.until(count, now);
                assert!(
                    bucket.clone().take(8, now + wait - wait / 100) < count,
                    "{ramp:?} {count}: {wait:?} is too long"
                );
                assert_eq!(bucket.clone().take(count, now + wait), count, "{ramp:?} {count}: {wait:?} is too short");
                now += wait;
            }
        }
    }
}
