//! All tried messages in one line.

use super::bench::{Tried, Verdict};
use crate::cli::figures::{size, time};
use std::{collections::BTreeMap, fmt, time::Duration};

/// Times that are kept; of more messages, every second one, every fourth one and so on.
const TIMES: usize = 100_000;

/// Counts and figures so far.
#[derive(Debug)]
pub(super) struct Summary {
    counts: BTreeMap<Verdict, u64>,
    times: Vec<Duration>,
    /// Every so many messages one time is kept.
    every: u64,
    memory: usize,
    /// Batches over which the plugin broke.
    broken_batches: u64,
}

impl Default for Summary {
    fn default() -> Self {
        Self { counts: BTreeMap::new(), times: Vec::new(), every: 1, memory: 0, broken_batches: 0 }
    }
}

impl Summary {
    pub(super) fn add(&mut self, tried: &Tried) {
        if self.messages().is_multiple_of(self.every) {
            self.times.push(tried.took);
        }
        if self.times.len() > TIMES {
            let mut odd = false;
            self.times.retain(|_| {
                odd = !odd;
                odd
            });
            self.every *= 2;
        }
        *self.counts.entry(tried.end.verdict()).or_default() += 1;
        self.broken_batches += u64::from(tried.broke.is_some());
        self.memory = self.memory.max(tried.memory.unwrap_or_default());
    }

    /// How many there were.
    pub(super) fn messages(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many ended like this.
    pub(super) fn count(&self, verdict: Verdict) -> u64 {
        self.counts.get(&verdict).copied().unwrap_or_default()
    }

    /// How many batches the plugin broke over, before each of their messages was tried alone.
    pub(super) fn broken_batches(&self) -> u64 {
        self.broken_batches
    }

    /// The time that so many of a hundred messages took at most.
    fn percentile(&self, percent: usize) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(rank).copied().unwrap_or_default()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.messages();
        if count == 0 {
            return f.write_str("no messages");
        }
        let counts: Vec<String> = self.counts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        let (half, most) = (time(self.percentile(50)), time(self.percentile(99)));
        let messages = if count == 1 { "message" } else { "messages" };
        write!(f, "{count} {messages}: {}; in the plugin p50 {half}, p99 {most}", counts.join(", "))?;
        write!(f, "; {} of memory at most", size(self.memory))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{bench::End, sample},
        *,
    };

    fn tried(end: End, micros: u64) -> Tried {
        Tried { took: Duration::from_micros(micros), memory: Some(2 << 20), ..sample::tried(b"", end) }
    }

    #[test]
    fn a_summary_counts_verdicts_and_ranks_times() {
        let mut summary = Summary::default();
        (1..=99).for_each(|micros| summary.add(&tried(End::Pass, micros)));
        summary.add(&tried(End::Drop(None), 5_000));
        assert_eq!(
            summary.to_string(),
            "100 messages: 99 pass, 1 drop; in the plugin p50 50 µs, p99 99 µs; 2 MiB of memory at most"
        );
        assert_eq!((summary.count(Verdict::Drop), summary.count(Verdict::Broken)), (1, 0));
        assert_eq!(Summary::default().to_string(), "no messages");
    }

    #[test]
    fn endless_input_is_summed_up_in_bounded_memory() {
        let mut summary = Summary::default();
        for n in 0..350_000 {
            summary.add(&tried(End::Pass, n % 1_000));
        }
        assert!(summary.times.len() <= TIMES, "{}", summary.times.len());
        assert_eq!(summary.messages(), 350_000);
        let half = summary.percentile(50).as_micros();
        assert!((450..550).contains(&half), "{half}");
    }
}
