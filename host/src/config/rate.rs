//! How many messages or requests may pass in a time, as types.

use std::{fmt, time::Duration};

/// How fast something may go, and how much at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// From 1 an hour to 1,000,000 a second.
    pub per_second: f64,
    /// How many may come at once after a pause, 1 to 1,000,000.
    pub burst: u32,
    /// How long the rate grows after a start or an outage; at once when zero.
    pub ramp: Duration,
    /// Who shares it.
    pub scope: Scope,
}

/// Who shares a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each node has it.
    Node,
    /// All nodes have it together.
    Cluster,
}

impl Rate {
    /// A tenth of a second's worth, at least 1.
    pub(super) fn usual_burst(per_second: f64) -> u32 {
        (per_second / 10.0).ceil().max(1.0) as u32
    }
}

/// Such as `500/s` or `30/min in the cluster`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.per_second {
            rate @ 1.0.. => (rate, "s"),
            rate if rate * 60.0 >= 1.0 => (rate * 60.0, "min"),
            rate => (rate * 3_600.0, "h"),
        };
        // As many digits as somebody would write.
        write!(f, "{}/{unit}", (number * 1_000.0).round() / 1_000.0)?;
        match self.scope {
            Scope::Node => Ok(()),
            Scope::Cluster => f.write_str(" in the cluster"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_shown_in_the_unit_that_somebody_would_choose() {
        let shown = |per_second, scope| Rate { per_second, burst: 1, ramp: Duration::ZERO, scope }.to_string();
        assert_eq!(shown(500.0, Scope::Node), "500/s");
        assert_eq!(shown(10_000.0 / 3_600.0, Scope::Node), "2.778/s");
        assert_eq!(shown(30.0 / 60.0, Scope::Cluster), "30/min in the cluster");
        assert_eq!(shown(7.0 / 3_600.0, Scope::Node), "7/h");
    }

    #[test]
    fn a_burst_that_is_not_set_is_a_tenth_of_a_second() {
        assert_eq!([0.1, 5.0, 11.0, 500.0].map(Rate::usual_burst), [1, 1, 2, 50]);
    }
}
