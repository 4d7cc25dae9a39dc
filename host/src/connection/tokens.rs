//! A token bucket that nodes share: it lies in Redis, is filled by the clock of Redis, and tokens are leased from it by the handful.
//!
//! What is kept is one moment: the one at which the bucket was empty, had nobody taken anything since. Once that lies so far
//! back that the bucket is full, the key expires.

use super::{Connector, needed::Needed};
use crate::config::Rate;
use redis::{RedisError, aio::MultiplexedConnection};
use std::{
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Keys: the bucket. Arguments: microseconds for one token, the burst, how many tokens are wanted at least and at most, how
/// many are given back. Returns how many were leased, or 0 and in how many microseconds the least will be there.
static LEASE: LazyLock<Needed> = LazyLock::new(|| {
    Needed::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local each, burst, least, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local empty = math.min(tonumber(redis.call('GET', KEYS[1]) or 0), now) - ARGV[5] * each
empty = math.max(empty, now - burst * each)
local there = math.floor((now - empty) / each)
local leased, wait = 0, 0
if there >= least then
  leased = math.min(there, most)
  empty = empty + leased * each
else
  wait = math.ceil(empty + least * each - now)
end
local full = math.ceil((empty + burst * each - now) / 1000)
redis.call('SET', KEYS[1], string.format('%.3f', empty), 'PX', math.max(full, 1))
return {leased, wait}
",
    )
});

/// One node's access to a shared bucket.
#[derive(Debug)]
pub(crate) struct Tokens {
    key: String,
    /// Microseconds for one token.
    each: f64,
    burst: u32,
    unused: Mutex<Unused>,
}

/// Tokens to be given back with the next lease. They are worth less with every moment: the bucket that they are missing from
/// may have become full without them.
#[derive(Debug)]
struct Unused {
    count: f64,
    at: Instant,
}

impl Unused {
    /// What they are worth now, where a token takes `each` microseconds to come.
    fn now(&mut self, each: f64, now: Instant) -> f64 {
        let gone = now.saturating_duration_since(self.at).as_secs_f64() * 1e6 / each;
        *self = Self { count: (self.count - gone).max(0.0), at: now };
        self.count
    }
}

impl Tokens {
    /// The bucket under `key`.
    pub(crate) fn new(key: String, rate: &Rate) -> Self {
        Self {
            key,
            each: 1e6 / rate.per_second,
            burst: rate.burst,
            unused: Mutex::new(Unused { count: 0.0, at: Instant::now() }),
        }
    }

    /// Leases from `least` to `most` tokens, neither more than the burst, or says how long to wait before asking again.
    pub(crate) async fn lease(
        &self,
        redis: &mut MultiplexedConnection,
        least: usize,
        most: usize,
    ) -> Result<Result<usize, Duration>, RedisError> {
        // Where the answer is lost, so are they: less passes then, never more.
        let unused = {
            let mut unused = self.unused();
            let now = unused.now(self.each, Instant::now());
            unused.count = 0.0;
            now
        };
        let (leased, wait): (usize, u64) = LEASE
            .run(redis, |lease| {
                lease.key(&self.key).arg(self.each).arg(self.burst).arg(least).arg(most).arg(unused);
            })
            .await?;
        Ok(if leased > 0 { Ok(leased) } else { Err(Duration::from_micros(wait)) })
    }

    /// Gives back tokens that were not used.
    pub(crate) fn put_back(&self, count: usize) {
        let mut unused = self.unused();
        unused.now(self.each, Instant::now());
        unused.count += count as f64;
    }

    fn unused(&self) -> MutexGuard<'_, Unused> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many tokens are leased at a time: those of so long.
const TOGETHER: Duration = Duration::from_millis(10);
/// What was leased and not used by then is let go.
const FRESH: Duration = Duration::from_millis(50);

/// A shared bucket with a connection of its own, from which tokens are taken one by one.
#[derive(Debug)]
pub(crate) struct Leases {
    tokens: Tokens,
    connector: Connector,
    redis: Option<MultiplexedConnection>,
    together: usize,
    left: usize,
    since: Instant,
}

impl Leases {
    /// Of the bucket under `key`; nothing is connected yet.
    pub(crate) fn new(connector: &Connector, key: String, rate: &Rate) -> Self {
        let together = (rate.per_second * TOGETHER.as_secs_f64()) as usize;
        Self {
            connector: connector.at(&key),
            tokens: Tokens::new(key, rate),
            redis: None,
            together: together.clamp(1, rate.burst as usize),
            left: 0,
            since: Instant::now(),
        }
    }

    /// One token, or how long to wait before asking again.
    pub(crate) async fn one(&mut self) -> Result<Result<(), Duration>, RedisError> {
        if self.left == 0 || self.since.elapsed() > FRESH {
            self.left = 0;
            match self.lease().await.inspect_err(|_| self.redis = None)? {
                Ok(leased) => (self.left, self.since) = (leased, Instant::now()),
                Err(wait) => return Ok(Err(wait)),
            }
        }
        self.left -= 1;
        Ok(Ok(()))
    }

    async fn lease(&mut self) -> Result<Result<usize, Duration>, RedisError> {
        let redis = match &mut self.redis {
            Some(redis) => redis,
            none => none.insert(self.connector.shared().await?),
        };
        self.tokens.lease(redis, 1, self.together).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_were_not_used_are_void_once_they_could_have_come_again() {
        let start = Instant::now();
        let mut unused = Unused { count: 5.0, at: start };
        assert_eq!(unused.now(10_000.0, start), 5.0);
        assert_eq!(unused.now(10_000.0, start + Duration::from_millis(20)), 3.0);
        assert_eq!(unused.now(10_000.0, start + Duration::from_millis(40)), 1.0);
        assert_eq!(unused.now(10_000.0, start + Duration::from_secs(1)), 0.0);
    }
}
