//! What is measured, and how it is printed.

use crate::candidate::Candidate;
use std::{fmt, time::Duration};

/// One round of one candidate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    /// CPU seconds for each 1,000 messages.
    pub(crate) cpu: f64,
    pub(crate) redis_cpu: f64,
    pub(crate) sink_cpu: f64,
    pub(crate) peak_mib: f64,
}

/// All rounds of all candidates.
#[derive(Default)]
pub(crate) struct Table {
    rounds: Vec<(Candidate, Figures)>,
}

impl Figures {
    pub(crate) fn heading() -> String {
        format!("{:<10} {:>9} {:>14} {:>14} {:>14} {:>12}", "", "msg/s", "CPU s/1,000", "redis", "sink", "peak MiB")
    }

    pub(crate) fn line(&self, name: &str) -> String {
        format!(
            "{name:<10} {:>9.0} {:>14.4} {:>14.4} {:>14.4} {:>12.1}",
            self.per_second, self.cpu, self.redis_cpu, self.sink_cpu, self.peak_mib
        )
    }
}

/// CPU seconds for each 1,000 of `messages`.
pub(crate) fn per_thousand(used: Duration, messages: usize) -> f64 {
    used.as_secs_f64() * 1000.0 / messages as f64
}

impl Table {
    pub(crate) fn add(&mut self, candidate: Candidate, figures: Figures) {
        self.rounds.push((candidate, figures));
    }

    fn median(&self, candidate: Candidate) -> Option<Figures> {
        let of = |what: fn(&Figures) -> f64| {
            let rounds = self.rounds.iter().filter(|(who, _)| *who == candidate);
            let mut values: Vec<f64> = rounds.map(|(_, figures)| what(figures)).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        Some(Figures {
            per_second: of(|figures| figures.per_second)?,
            cpu: of(|figures| figures.cpu)?,
            redis_cpu: of(|figures| figures.redis_cpu)?,
            sink_cpu: of(|figures| figures.sink_cpu)?,
            peak_mib: of(|figures| figures.peak_mib)?,
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let medians = Candidate::ALL.map(|candidate| self.median(candidate));
        for (candidate, median) in Candidate::ALL.iter().zip(&medians) {
            if let Some(median) = median {
                writeln!(f, "{}", median.line(candidate.name()))?;
            }
        }
        if let [Some(native), Some(gristmill)] = medians {
            writeln!(f, "CPU per message, gristmill / native: {:.2}", gristmill.cpu / native.cpu)?;
        }
        Ok(())
    }
}
