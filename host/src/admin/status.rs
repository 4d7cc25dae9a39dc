//! The state of a node, as `gristmill status` shows it and scripts read it.

use super::{Shown, Window};
use crate::{
    effect::limit::Shown as Endpoint,
    metrics,
    plugin::{Usage, Version},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

/// A node at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The node's id.
    pub node: String,
    /// The version of the program.
    pub version: String,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// By name.
    pub pipelines: Vec<PipelineStatus>,
    /// By name.
    pub plugins: Vec<PluginStatus>,
    /// Servers that requests go to, by name; at most a hundred of them.
    #[serde(default)]
    pub endpoints: Vec<EndpointStatus>,
}

/// What became of the messages of one pipeline since the node started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineStatus {
    /// Its name.
    pub name: String,
    /// Messages that are through.
    pub done: u64,
    /// Attempts that failed and are to be made again.
    pub retried: u64,
    /// Messages in the dead letters.
    pub dead: u64,
    /// How fast it takes, such as `500/s`, if that is limited.
    #[serde(default)]
    pub rate: Option<String>,
    /// For how many seconds taking waited because of that.
    #[serde(default)]
    pub rate_wait_seconds: f64,
}

/// The version of a plugin that is in force, and what it has used since it came up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// `filter`, `publisher` or `filter (WASI program)`.
    pub kind: String,
    /// The first 12 hex digits of the SHA-256 of its file.
    pub digest: String,
    /// The version of the plugin API that it speaks; none for a plain WASI program.
    pub api: Option<String>,
    /// When it came up, in seconds since 1970.
    pub since: u64,
    /// Calls with a message.
    pub calls: u64,
    /// Calls that it ended with a fault of its own choice.
    pub faults: u64,
    /// Calls in which it trapped, or ran into a limit.
    pub broken: u64,
    /// Processor time of its calls, in seconds.
    pub cpu_seconds: f64,
    /// Time in which its calls waited for the host, in seconds.
    pub suspended_seconds: f64,
    /// Bytes handed to it.
    pub bytes_in: u64,
    /// Bytes it answered with.
    pub bytes_out: u64,
    /// The largest memory of one instance, in bytes.
    pub memory_peak_bytes: u64,
    /// Instances made.
    pub instances: u64,
    /// Requests that the host carried out for it.
    pub requests: u64,
    /// How long those took, added up, in seconds.
    pub request_seconds: f64,
    /// What it has looked up in its store and in databases.
    pub lookups: u64,
    /// How long those lookups took, added up, in seconds.
    pub lookup_seconds: f64,
    /// Those that had no answer, by the reason: denied, invalid, unavailable, too-large.
    pub lookup_failures: BTreeMap<String, u64>,
}

/// A server that requests go to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// Host and port.
    pub name: String,
    /// `closed` while requests are sent, `half-open` while one is tried, `open` while none is sent.
    pub breaker: String,
    /// For how many seconds it has asked to be left alone, from now.
    pub held_seconds: f64,
    /// How many requests it gets at once.
    pub limit: usize,
    /// How many are under way.
    pub in_flight: usize,
    /// How long a reply takes, in seconds.
    pub reply_seconds: f64,
    /// Requests sent.
    pub requests: u64,
    /// Of those, the ones that failed.
    pub failures: u64,
    /// Messages that were put back untried because of it.
    pub put_back: u64,
}

impl EndpointStatus {
    fn of(endpoint: Endpoint) -> Self {
        Self {
            breaker: endpoint.circuit.name().to_owned(),
            held_seconds: endpoint.held.as_secs_f64(),
            limit: endpoint.limit,
            in_flight: endpoint.in_flight,
            reply_seconds: endpoint.takes.as_secs_f64(),
            requests: endpoint.requests,
            failures: endpoint.failures,
            put_back: endpoint.put_back,
            name: endpoint.name,
        }
    }
}

impl Status {
    pub(super) fn of(window: &Window) -> Self {
        Self {
            node: window.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: seconds(window.started),
            pipelines: window.pipelines().into_iter().map(PipelineStatus::of).collect(),
            plugins: window.plugins.current().iter().map(|version| PluginStatus::of(version)).collect(),
            endpoints: window.effects.endpoints().into_iter().map(EndpointStatus::of).collect(),
        }
    }
}

impl PipelineStatus {
    fn of(Shown { name, rate }: Shown) -> Self {
        let outcomes = metrics::settled(&name);
        let count = |wanted| outcomes.iter().find(|(outcome, _)| *outcome == wanted).map_or(0, |(_, count)| *count);
        Self {
            done: count("done"),
            retried: count("retried"),
            dead: count("dead"),
            rate: rate.map(|rate| rate.to_string()),
            rate_wait_seconds: metrics::rate_wait(&name),
            name,
        }
    }
}

impl PluginStatus {
    fn of(version: &Version) -> Self {
        let Usage { calls, faults, broken, cpu, suspended, bytes_in, bytes_out, .. } = version.usage();
        let Usage { memory_peak, instances, requests, request_time, lookups, .. } = version.usage();
        Self {
            name: version.name().to_owned(),
            kind: version.title().to_owned(),
            digest: version.digest().to_owned(),
            api: version.api().map(ToOwned::to_owned),
            since: seconds(version.since()),
            calls,
            faults,
            broken,
            cpu_seconds: cpu.as_secs_f64(),
            suspended_seconds: suspended.as_secs_f64(),
            bytes_in,
            bytes_out,
            memory_peak_bytes: memory_peak,
            instances,
            requests,
            request_seconds: request_time.as_secs_f64(),
            lookups: lookups.asked,
            lookup_seconds: lookups.time.as_secs_f64(),
            lookup_failures: lookups.failures().map(|(kind, count)| (kind.to_owned(), count)).collect(),
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
