//! Looks every few seconds at what waits in a queue, for whoever wants to know how it stands. Redis is asked whether anybody looks or not,
//! so that looking costs Redis nothing.

use super::shared::Shared;
use crate::{
    config::Take,
    event::{self, Waiting},
    source::{backoff::Backoff, dialect::Dialect, stream},
};
use redis::{RedisError, Value};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

const EVERY: Duration = Duration::from_secs(5);
/// More moments are not remembered.
const MOST: usize = 64;

/// Looks until it is time to take nothing more.
pub(super) async fn run(shared: Arc<Shared>) {
    let (mut marks, mut backoff) = (Marks::default(), Backoff::new());
    while !shared.shutdown.quiet().is_cancelled() {
        let pause = match look(&shared, &mut marks).await {
            Ok(waiting) => {
                event::waits(&shared.tally, waiting);
                backoff.reset();
                EVERY
            }
            Err(error) => {
                event::waits(&shared.tally, Waiting::default());
                shared.failed(&error).await;
                backoff.next()
            }
        };
        shared.pause(pause).await;
    }
}

async fn look(shared: &Shared, marks: &mut Marks) -> Result<Waiting, RedisError> {
    let gone = shared.tally.gone(drops_oldest(shared));
    let mut link = shared.link().await?;
    let keys = &shared.keys;
    let mut pipe = redis::pipe();
    // What a user may not ask for is not known, and no trouble.
    pipe.ignore_errors().cmd("ZCARD").arg(keys.delayed()).cmd("LLEN").arg(keys.retry()).cmd("XLEN").arg(&*shared.dead);
    if !matches!(shared.dialect, Dialect::Stream(_)) {
        pipe.cmd("LLEN").arg(&*keys.list);
    }
    let counts: Vec<Value> = pipe.query_async(&mut link).await?;
    let count = |place: usize| match counts.get(place) {
        Some(Value::Int(count)) => u64::try_from(*count).ok(),
        _ => None,
    };
    let delayed = count(0).zip(count(1)).map(|(delayed, due)| delayed + due);
    let dead = count(2).map(|count| (shared.dead.clone(), count));
    let (backlog, oldest) = match &shared.dialect {
        Dialect::Stream(group) => stream::waiting(&shared.keys, group, &mut link).await?,
        _ => (count(3), count(3).map(|length| marks.age(Instant::now(), length, gone, takes_oldest(shared)))),
    };
    Ok(Waiting { backlog, oldest, delayed, dead })
}

fn takes_oldest(shared: &Shared) -> bool {
    shared.end == shared.oldest
}

/// Whether what `backlog` has no room for goes where the oldest are.
fn drops_oldest(shared: &Shared) -> bool {
    shared.backlog.is_some_and(|backlog| backlog.drop == Take::Oldest)
}

/// What lay in a list at some moments, and how much of that is left: nothing in a list says when it was put there.
///
/// What others take from the same list is not seen, so with several nodes what is left may be taken for older than it is.
#[derive(Debug, Default)]
struct Marks {
    /// How many messages had gone from the end of the oldest when this was last asked.
    gone: u64,
    /// Oldest first.
    left: VecDeque<(Instant, u64)>,
}

impl Marks {
    /// For how long the oldest message has been waiting at least, where `length` wait now and `gone` have been taken so far.
    fn age(&mut self, now: Instant, length: u64, gone: u64, takes_oldest: bool) -> Duration {
        let since = if takes_oldest { gone - self.gone.min(gone) } else { 0 };
        self.gone = gone;
        for (_, left) in &mut self.left {
            *left = left.saturating_sub(since).min(length);
        }
        self.left.retain(|(_, left)| *left > 0);
        if self.left.back().map_or(0, |(_, left)| *left) < length {
            self.left.push_back((now, length));
        }
        if self.left.len() > MOST {
            let mut keep = false;
            self.left.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.left.front().map_or(Duration::ZERO, |(when, _)| now.saturating_duration_since(*when))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The age in seconds at each of these seconds, with this length, and so many gone.
    fn ages<const N: usize>(takes_oldest: bool, looks: [(u64, u64, u64); N]) -> [u64; N] {
        let (mut marks, start) = (Marks::default(), Instant::now());
        looks.map(|(at, length, gone)| marks.age(start + Duration::from_secs(at), length, gone, takes_oldest).as_secs())
    }

    #[test]
    fn what_nobody_takes_grows_old() {
        assert_eq!(ages(true, [(0, 0, 0), (5, 3, 0), (10, 3, 0), (15, 9, 0)]), [0, 0, 5, 10]);
    }

    #[test]
    fn what_comes_as_fast_as_it_is_taken_is_as_old_as_its_turn_takes() {
        let looks = [(0, 100, 0), (5, 100, 50), (10, 100, 100), (15, 100, 150), (20, 100, 200), (25, 0, 300)];
        assert_eq!(ages(true, looks), [0, 5, 5, 5, 5, 0]);
    }

    #[test]
    fn where_the_newest_goes_first_the_oldest_stays() {
        assert_eq!(ages(false, [(0, 10, 0), (5, 10, 90), (10, 4, 180), (15, 0, 190)]), [0, 5, 10, 0]);
    }

    #[test]
    fn what_somebody_else_removes_is_not_waited_for() {
        assert_eq!(ages(true, [(0, 100, 0), (5, 0, 0), (10, 7, 0), (15, 7, 0)]), [0, 0, 0, 5]);
    }

    #[test]
    fn moments_are_bounded() {
        let (mut marks, start) = (Marks::default(), Instant::now());
        for second in 0..10_000 {
            marks.age(start + Duration::from_secs(second), second, 0, true);
        }
        assert!(marks.left.len() <= MOST, "{}", marks.left.len());
        assert_eq!(marks.age(start + Duration::from_secs(10_000), 10_000, 0, true).as_secs(), 9_999);
    }
}
