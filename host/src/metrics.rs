//! What is counted, under which names, and how Prometheus reads it.
//!
//! Every counter stands here, or in the room below, with its name and its labels. Labels come from the configuration and from
//! fixed sets, never from a message, and their number is bounded (`labels`). Only `event` counts; what is measured elsewhere is
//! added at a look. `METRICS.md` lists all of them, which a test compares.

mod family;
mod histogram;
mod labels;
mod process;
mod source;
mod stages;

pub use family::Family;
pub(crate) use source::{Came, Source, Waiting};
pub(crate) use stages::Stages;

use labels::Values;
use prometheus::{
    Counter as Seconds, CounterVec as SecondsVec, Encoder, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder, core::Collector,
};
use std::sync::LazyLock;

/// The content type of [`exposition`]: version 0.0.4 of Prometheus' text format.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The counters of this process.
pub(crate) static COUNTERS: LazyLock<Counters> = LazyLock::new(Counters::new);

/// See the module.
pub(crate) struct Counters {
    registry: Registry,
    pipelines: Values,
    plugins: Values,
    endpoints: Values,
    /// Messages by `pipeline` and `outcome`: done, put back, retried, dead.
    settled: IntCounterVec,
    /// Messages that a filter dropped on purpose, by `pipeline` and `plugin`.
    dropped: IntCounterVec,
    /// Calls ended by a limit, by `plugin` and `limit`.
    limits: IntCounterVec,
    /// Messages of channels that there was no room for, by `pipeline` and what they waited for: first attempt, another attempt.
    overflowed: IntCounterVec,
    /// Time in which taking waited for the rate, by `pipeline`.
    rate_wait: SecondsVec,
    /// What plugins asked for and were not granted, by `plugin`.
    denied: IntCounterVec,
    /// Versions that came up or did not, by `plugin` and `result`: loaded, swapped, refused.
    versions: IntCounterVec,
    /// Lines of plugins left out of the log, by `plugin`.
    lines_left_out: IntCounterVec,
    /// HTTP requests that took too long, by the `timeout` that they reached: connect, first_byte, whole.
    request_timeouts: IntCounterVec,
    /// Clients that read channels of the edge.
    pub(crate) edge_subscribers: IntGauge,
    /// Those that have begun to, by `transport`: sse, stream, websocket, poll.
    pub(crate) edge_subscriptions: IntCounterVec,
    /// Messages written to clients or waiting for them, each for each client.
    pub(crate) edge_deliveries: IntCounter,
    /// Clients told to go or cut off, by `why`: lagged, stalled, silent, expired, draining, protocol.
    pub(crate) edge_sent_away: IntCounterVec,
    /// How often something was left out for a slow client.
    pub(crate) edge_left_out: IntCounter,
    /// Connections and requests refused, by `why`: no room, no right.
    pub(crate) edge_refused: IntCounterVec,
    /// Spans of traces, by `result`: sent, dropped, refused.
    spans: IntCounterVec,
    /// Configurations read again, by `result`: accepted, refused.
    reloads: IntCounterVec,
}

/// What became of the messages of one pipeline; found once, then counted without a look-up.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) done: IntCounter,
    pub(crate) put_back: IntCounter,
    pub(crate) retried: IntCounter,
    pub(crate) dead: IntCounter,
}

impl Counters {
    fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels).expect("the names here are valid");
            registered(&registry, &counter);
            counter
        };
        let seconds = |name: &str, help: &str, labels: &[&str]| {
            let counter = SecondsVec::new(Opts::new(name, help), labels).expect("the names here are valid");
            registered(&registry, &counter);
            counter
        };
        let single = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help).expect("the names here are valid");
            registered(&registry, &counter);
            counter
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help).expect("the names here are valid");
            registered(&registry, &gauge);
            gauge
        };
        Self {
            settled: counter(
                "gristmill_pipeline_messages_total",
                "Messages whose attempt has ended, by what became of them.",
                &["pipeline", "outcome"],
            ),
            dropped: counter(
                "gristmill_pipeline_dropped_messages_total",
                "Messages that a filter dropped on purpose.",
                &["pipeline", "plugin"],
            ),
            overflowed: counter(
                "gristmill_channel_dropped_messages_total",
                "Messages of channels that were dropped as more waited than `backlog` keeps.",
                &["pipeline", "waited_for"],
            ),
            limits: counter(
                "gristmill_plugin_limits_total",
                "Calls into a plugin that a limit has ended.",
                &["plugin", "limit"],
            ),
            rate_wait: seconds(
                "gristmill_pipeline_rate_wait_seconds_total",
                "Time in which taking messages waited because of the pipeline's rate.",
                &["pipeline"],
            ),
            denied: counter(
                "gristmill_plugin_denials_total",
                "Requests and lookups of a plugin that were not granted.",
                &["plugin"],
            ),
            versions: counter(
                "gristmill_plugin_versions_total",
                "Versions of a plugin that came into force or were refused.",
                &["plugin", "result"],
            ),
            lines_left_out: counter(
                "gristmill_plugin_suppressed_lines_total",
                "Lines of a plugin left out of the log because it writes too much.",
                &["plugin"],
            ),
            request_timeouts: counter(
                "gristmill_endpoint_timeouts_total",
                "HTTP requests that took too long, by the bound on their time that they reached.",
                &["timeout"],
            ),
            edge_subscribers: gauge("gristmill_edge_subscribers", "Clients that read channels of the edge."),
            edge_subscriptions: counter(
                "gristmill_edge_subscriptions_total",
                "Clients that have begun to read channels of the edge.",
                &["transport"],
            ),
            edge_deliveries: single(
                "gristmill_edge_deliveries_total",
                "Messages for clients of the edge, each for each.",
            ),
            edge_sent_away: counter(
                "gristmill_edge_sent_away_total",
                "Clients of the edge that were told to go, or cut off.",
                &["why"],
            ),
            edge_left_out: single(
                "gristmill_edge_left_out_total",
                "How often something was left out for a client that is too slow.",
            ),
            edge_refused: counter(
                "gristmill_edge_refused_total",
                "Connections and requests that the edge has refused.",
                &["why"],
            ),
            spans: counter(
                "gristmill_trace_spans_total",
                "Spans of traces, by whether the collector took them.",
                &["result"],
            ),
            reloads: counter(
                "gristmill_config_reloads_total",
                "Configurations that were read again, by whether they came into force.",
                &["result"],
            ),
            registry,
            pipelines: Values::default(),
            plugins: Values::default(),
            endpoints: Values::default(),
        }
    }

    /// The counters of the messages of `pipeline`, which are there from now on, if at zero.
    pub(crate) fn settled(&self, pipeline: &str) -> Settled {
        let pipeline = self.pipelines.bounded(pipeline);
        let counter = |outcome| self.settled.with_label_values(&[pipeline, outcome]);
        Settled {
            done: counter("done"),
            put_back: counter("put back"),
            retried: counter("retried"),
            dead: counter("dead"),
        }
    }

    /// The counter of the seconds in which `pipeline` waited for its rate, which is there from now on.
    pub(crate) fn rate_wait(&self, pipeline: &str) -> Seconds {
        self.rate_wait.with_label_values(&[self.pipelines.bounded(pipeline)])
    }

    /// The counters of what `pipeline` drops of a channel: what waited for its first attempt, and for another one.
    pub(crate) fn overflowed(&self, pipeline: &str) -> [IntCounter; 2] {
        let pipeline = self.pipelines.bounded(pipeline);
        ["first attempt", "another attempt"].map(|what| self.overflowed.with_label_values(&[pipeline, what]))
    }

    /// The counter of what the filter `plugin` of `pipeline` drops.
    pub(crate) fn dropped(&self, pipeline: &str, plugin: &str) -> IntCounter {
        self.dropped.with_label_values(&[self.pipelines.bounded(pipeline), self.plugins.bounded(plugin)])
    }

    /// That of the calls of `plugin` that `limit` has ended.
    pub(crate) fn limits(&self, plugin: &str, limit: &'static str) -> IntCounter {
        self.limits.with_label_values(&[self.plugins.bounded(plugin), limit])
    }

    /// That of what `plugin` was not granted.
    pub(crate) fn denied(&self, plugin: &str) -> IntCounter {
        self.denied.with_label_values(&[self.plugins.bounded(plugin)])
    }

    /// That of the versions of `plugin` with this result.
    pub(crate) fn versions(&self, plugin: &str, result: &'static str) -> IntCounter {
        self.versions.with_label_values(&[self.plugins.bounded(plugin), result])
    }

    /// That of the lines of `plugin` that were left out.
    pub(crate) fn lines_left_out(&self, plugin: &str) -> IntCounter {
        self.lines_left_out.with_label_values(&[self.plugins.bounded(plugin)])
    }

    /// That of the requests that have reached this bound on their time.
    pub(crate) fn request_timeouts(&self, timeout: &'static str) -> IntCounter {
        self.request_timeouts.with_label_values(&[timeout])
    }

    /// That of the spans with this result.
    pub(crate) fn spans(&self, result: &'static str) -> IntCounter {
        self.spans.with_label_values(&[result])
    }

    /// That of the configurations with this result.
    pub(crate) fn reloads(&self, result: &'static str) -> IntCounter {
        self.reloads.with_label_values(&[result])
    }
}

fn registered(registry: &Registry, counter: &(impl Collector + Clone + 'static)) {
    registry.register(Box::new(counter.clone())).expect("every name stands here once");
}

/// What became of the messages of `pipeline`, as `(outcome, how many)`.
pub fn settled(pipeline: &str) -> [(&'static str, u64); 4] {
    let Settled { done, put_back, retried, dead } = COUNTERS.settled(pipeline);
    [("done", done.get()), ("put back", put_back.get()), ("retried", retried.get()), ("dead", dead.get())]
}

/// How many HTTP requests have reached the bound on their time with this name.
#[cfg(test)]
pub(crate) fn request_timeouts(timeout: &'static str) -> u64 {
    COUNTERS.request_timeouts(timeout).get()
}

/// The name of a server as a label, unless there are too many already: what is sent where, plugins decide.
pub fn endpoint(name: &str) -> Option<&str> {
    COUNTERS.endpoints.own(name)
}

/// The same of a plugin.
pub fn plugin(name: &str) -> Option<&str> {
    COUNTERS.plugins.own(name)
}

/// For how many seconds `pipeline` has waited for its rate.
pub fn rate_wait(pipeline: &str) -> f64 {
    COUNTERS.rate_wait(pipeline).get()
}

/// Everything that was counted, and `more`, in Prometheus' text format.
pub fn exposition(more: Vec<Family>) -> Vec<u8> {
    let mut families = COUNTERS.registry.gather();
    let kept = source::families().into_iter().chain([stages::family()]).chain(process::families());
    families.extend(more.into_iter().chain(kept).filter(|family| !family.is_empty()).map(Family::into_proto));
    families.sort_by(|one, other| one.name().cmp(other.name()));
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text).expect("memory takes everything, and no family is empty");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_and_what_is_added_stand_in_one_exposition() {
        COUNTERS.settled("metrics-test").retried.inc();
        let mut family = Family::gauge("gristmill_test_bytes", "A \"test\".");
        family.add(&[("plugin", "a\"b\\c\n")], 1.5);
        let none = Family::counter("gristmill_nothing_total", "Nothing.");
        let text = String::from_utf8(exposition(vec![family, none])).expect("text");
        assert!(
            text.contains("gristmill_pipeline_messages_total{outcome=\"retried\",pipeline=\"metrics-test\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("# TYPE gristmill_test_bytes gauge\n"), "{text}");
        assert!(text.contains("gristmill_test_bytes{plugin=\"a\\\"b\\\\c\\n\"} 1.5\n"), "{text}");
        assert!(!text.contains("gristmill_nothing_total"), "{text}");
    }

    #[test]
    fn all_outcomes_of_a_pipeline_are_there_before_the_first_message() {
        assert_eq!(settled("metrics-fresh").map(|(_, count)| count), [0; 4]);
    }
}
