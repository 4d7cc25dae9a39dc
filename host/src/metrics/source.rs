//! What is known of the sources: what has come from each, what waits there, and how this node stands with its Redis.

use super::{
    family::Family,
    labels::{Roll, Sums},
};
use crate::message::Outcome;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Sources that have figures of their own: queues of Resque come and go.
const MOST: usize = 200;

static SOURCES: LazyLock<Roll<Source>> = LazyLock::new(|| Roll::new(MOST));

/// What became of messages, as labels name it.
const OUTCOMES: [&str; 4] = ["done", "put back", "retried", "dead"];

/// The figures of one source of one pipeline. What is settled is counted when Redis has carried it out.
#[derive(Debug, Default)]
pub(crate) struct Source {
    taken: AtomicU64,
    redelivered: AtomicU64,
    /// Of messages that were dropped, as too many waited.
    dropped: AtomicU64,
    settled: [AtomicU64; OUTCOMES.len()],
    /// Of messages that another node has taken over, or Redis has lost.
    lost: AtomicU64,
    takeovers: AtomicU64,
    in_flight: AtomicI64,
    troubles: AtomicU64,
    troubled: AtomicBool,
    waiting: Mutex<Waiting>,
    lease: Mutex<Option<Lease>>,
}

/// What waits at one moment; none of what nobody knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Messages that nobody has taken yet.
    pub(crate) backlog: Option<u64>,
    /// For how long the oldest of them has been waiting.
    pub(crate) oldest: Option<Duration>,
    /// Messages that wait for another attempt.
    pub(crate) delayed: Option<u64>,
    /// Where the dead letters lie, and how many there are.
    pub(crate) dead: Option<(String, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    renewed: Instant,
    length: Duration,
}

/// How many messages came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Came([u64; OUTCOMES.len()]);

impl Came {
    /// One more came to this; nothing stands for the usual outcome, done.
    pub(crate) fn to(&mut self, outcome: Option<&Outcome>) {
        let place = match outcome {
            None | Some(Outcome::Done | Outcome::Finished { .. }) => 0,
            Some(Outcome::Again { .. }) => 1,
            Some(Outcome::Retry { .. }) => 2,
            Some(Outcome::Dead { .. }) => 3,
        };
        self.0.get_mut(place).into_iter().for_each(|count| *count += 1);
    }

    /// The same with so many more that are done.
    pub(crate) fn and_done(mut self, more: usize) -> Self {
        let [done, ..] = &mut self.0;
        *done += more as u64;
        self
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().sum::<u64>() as usize
    }
}

impl Source {
    /// The figures of the source `source` of `pipeline`.
    pub(crate) fn of(pipeline: &str, source: &str) -> Arc<Self> {
        SOURCES.enter([pipeline, source])
    }

    pub(crate) fn took(&self, messages: usize, redelivered: usize) {
        self.taken.fetch_add(messages as u64, Relaxed);
        self.in_flight.fetch_add(messages as i64, Relaxed);
        if redelivered > 0 {
            self.redelivered.fetch_add(redelivered as u64, Relaxed);
        }
    }

    /// So many have been taken so far for their first attempt.
    pub(crate) fn begun(&self) -> u64 {
        self.taken.load(Relaxed).saturating_sub(self.redelivered.load(Relaxed))
    }

    pub(crate) fn dropping(&self, messages: u64) {
        self.dropped.fetch_add(messages, Relaxed);
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    pub(crate) fn settled(&self, came: &Came) {
        for (sum, count) in self.settled.iter().zip(came.0).filter(|(_, count)| *count > 0) {
            sum.fetch_add(count, Relaxed);
            self.in_flight.fetch_sub(count as i64, Relaxed);
        }
    }

    pub(crate) fn lost(&self, messages: usize) {
        self.lost.fetch_add(messages as u64, Relaxed);
        self.in_flight.fetch_sub(messages as i64, Relaxed);
    }

    pub(crate) fn took_over(&self) {
        self.takeovers.fetch_add(1, Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.troubles.fetch_add(1, Relaxed);
        self.troubled.store(true, Relaxed);
    }

    pub(crate) fn recovered(&self) {
        if self.troubled.load(Relaxed) {
            self.troubled.store(false, Relaxed);
        }
    }

    pub(crate) fn renewed(&self, length: Duration) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some(Lease { renewed: Instant::now(), length });
    }

    pub(crate) fn waits(&self, waiting: Waiting) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }

    fn waiting(&self) -> Waiting {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For how many seconds other nodes leave alone what this one has, if it says nothing more; less than none where they do not any more.
    fn lease_left(&self) -> Option<f64> {
        let lease = (*self.lease.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(lease.length.as_secs_f64() - lease.renewed.elapsed().as_secs_f64())
    }
}

impl Sums for Source {
    fn absorb(&self, gone: &Self) {
        for (sum, count) in self.counters().into_iter().zip(gone.counters()) {
            sum.fetch_add(count.load(Relaxed), Relaxed);
        }
    }
}

impl Source {
    fn counters(&self) -> Vec<&AtomicU64> {
        let Self { taken, redelivered, dropped, settled, lost, takeovers, troubles, .. } = self;
        settled.iter().chain([taken, redelivered, dropped, lost, takeovers, troubles]).collect()
    }
}

type Read = fn(&Source) -> Option<f64>;

const COUNTERS: [(&str, &str, Read); 6] = [
    ("gristmill_source_taken_messages_total", "Messages taken, each time they are.", |source| count(&source.taken)),
    (
        "gristmill_source_redelivered_messages_total",
        "Messages taken that had been tried before, here or elsewhere.",
        |source| count(&source.redelivered),
    ),
    (
        "gristmill_source_dropped_messages_total",
        "Messages of lists that were dropped, as more waited than `backlog` keeps.",
        |source| count(&source.dropped),
    ),
    (
        "gristmill_source_lost_messages_total",
        "Messages in flight that another node has taken over, or Redis has lost.",
        |source| count(&source.lost),
    ),
    ("gristmill_source_takeovers_total", "Lanes taken over from nodes that are gone.", |source| {
        count(&source.takeovers)
    }),
    ("gristmill_redis_failures_total", "Commands that Redis did not carry out.", |source| count(&source.troubles)),
];

const GAUGES: [(&str, &str, Read); 5] = [
    ("gristmill_source_backlog_messages", "Messages that nobody has taken yet.", |source| {
        source.waiting().backlog.map(|count| count as f64)
    }),
    ("gristmill_source_oldest_seconds", "For how long the oldest of them has been waiting, at least.", |source| {
        source.waiting().oldest.map(|oldest| oldest.as_secs_f64())
    }),
    ("gristmill_source_delayed_messages", "Messages that wait for another attempt.", |source| {
        source.waiting().delayed.map(|count| count as f64)
    }),
    ("gristmill_redis_up", "1 while Redis does what the source asks of it, else 0.", |source| {
        Some(f64::from(!source.troubled.load(Relaxed)))
    }),
    (
        "gristmill_lease_left_seconds",
        "For how long other nodes leave alone what this one has in flight, unless it says that it lives.",
        Source::lease_left,
    ),
];

fn count(count: &AtomicU64) -> Option<f64> {
    Some(count.load(Relaxed) as f64)
}

/// All there is of sources.
pub(super) fn families() -> Vec<Family> {
    let sources = SOURCES.all();
    let fill = |mut family: Family, read: Read, unused: bool| {
        for ([pipeline, source], figures, used) in &sources {
            if let Some(value) = read(figures).filter(|_| *used || unused) {
                family.add(&[("pipeline", pipeline), ("source", source)], value);
            }
        }
        family
    };
    let counters = COUNTERS.into_iter().map(|(name, help, read)| fill(Family::counter(name, help), read, true));
    // What is no longer taken from stands in no way any more.
    let gauges = GAUGES.into_iter().map(|(name, help, read)| fill(Family::gauge(name, help), read, false));
    let mut families: Vec<Family> = counters.chain(gauges).collect();
    let mut settled = Family::counter(
        "gristmill_source_settled_messages_total",
        "Messages settled in Redis, by what became of them.",
    );
    let mut in_flight: BTreeMap<&str, i64> = BTreeMap::new();
    let mut dead = BTreeMap::new();
    for ([pipeline, source], figures, used) in &sources {
        for (outcome, sum) in OUTCOMES.into_iter().zip(&figures.settled) {
            settled.add(&[("outcome", outcome), ("pipeline", pipeline), ("source", source)], sum.load(Relaxed) as f64);
        }
        *in_flight.entry(pipeline).or_default() += figures.in_flight.load(Relaxed);
        dead.extend(figures.waiting().dead.filter(|_| *used));
    }
    families.extend([settled, under_way(in_flight), letters(dead)]);
    families
}

fn under_way(in_flight: BTreeMap<&str, i64>) -> Family {
    let mut family = Family::gauge(
        "gristmill_pipeline_in_flight_messages",
        "Messages taken and not settled in Redis, by this node.",
    );
    for (pipeline, count) in in_flight {
        family.add(&[("pipeline", pipeline)], count.max(0) as f64);
    }
    family
}

/// Several sources may have their dead letters in one place.
fn letters(dead: BTreeMap<String, u64>) -> Family {
    let mut family = Family::gauge("gristmill_dead_letters_messages", "Dead letters that are kept, by their stream.");
    for (stream, count) in dead {
        family.add(&[("stream", &stream)], count as f64);
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_is_in_flight_no_more() {
        let source = Source::default();
        source.took(5, 2);
        let mut came = Came::default();
        came.to(None);
        came.to(Some(&Outcome::Again { after: Duration::ZERO, succeeded: Vec::new() }));
        source.settled(&came);
        source.lost(1);
        assert_eq!(source.settled.each_ref().map(|count| count.load(Relaxed)), [1, 1, 0, 0]);
        assert_eq!((source.begun(), source.in_flight.load(Relaxed)), (3, 2));
    }

    #[test]
    fn a_lease_that_is_not_renewed_runs_out() {
        let source = Source::default();
        assert_eq!(source.lease_left(), None);
        source.renewed(Duration::ZERO);
        assert!(source.lease_left().is_some_and(|left| left <= 0.0));
    }
}
