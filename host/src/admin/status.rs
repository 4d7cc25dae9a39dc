//! The state of a node, as `gristmill status` shows it and scripts read it.

use super::{Shown, Stage, Window};
use crate::{
    effect::limit::Shown as Endpoint,
    metrics,
    plugin::{Plugins, Step, Turn, Usage, Version},
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
    /// Whether it takes nothing new any more, as it ends.
    #[serde(default)]
    pub ending: bool,
    /// By name.
    pub pipelines: Vec<PipelineStatus>,
    /// By name.
    pub plugins: Vec<PluginStatus>,
    /// Plugins of which no version is in force, by name.
    #[serde(default)]
    pub without_version: Vec<Absent>,
    /// Servers that requests go to, by name; at most a hundred of them.
    #[serde(default)]
    pub endpoints: Vec<EndpointStatus>,
}

/// What became of the messages of one pipeline since the node started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineStatus {
    /// Its name.
    pub name: String,
    /// `running`, `pausing` while what is in flight is finished, or `paused`.
    #[serde(default)]
    pub stage: String,
    /// Since when it is to take nothing, in seconds since 1970.
    #[serde(default)]
    pub paused_since: Option<u64>,
    /// What it takes from.
    #[serde(default)]
    pub from: String,
    /// Its filters, in their order.
    #[serde(default)]
    pub filters: Vec<String>,
    /// Its publishers.
    #[serde(default)]
    pub publish: Vec<String>,
    /// How many messages may be in flight.
    #[serde(default)]
    pub in_flight_limit: usize,
    /// Whether its source has dead letters.
    #[serde(default)]
    pub keeps: bool,
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
    /// The version that it took over from, if there was one.
    #[serde(default)]
    pub replaced: Option<String>,
    /// The newer version that was refused, if one was.
    #[serde(default)]
    pub refused: Option<StepStatus>,
    /// What has become of its versions, oldest first; the last twenty steps.
    #[serde(default)]
    pub history: Vec<StepStatus>,
}

/// A plugin of which no version is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// Its name.
    pub name: String,
    /// What has become of its versions, oldest first.
    pub history: Vec<StepStatus>,
}

/// Something that has happened to a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepStatus {
    /// When, in seconds since 1970.
    pub at: u64,
    /// `loaded`, `replaced`, `refused` or `removed`.
    pub turn: String,
    /// The version that this is about; none where its file could not be read.
    pub digest: Option<String>,
    /// The version that it took over from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
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
    pub(super) fn of(endpoint: Endpoint) -> Self {
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
            ending: window.quiet.is_cancelled(),
            pipelines: window.pipelines().into_iter().map(PipelineStatus::of).collect(),
            plugins: plugins(&window.plugins),
            without_version: Absent::all(&window.plugins),
            endpoints: window.effects.endpoints().into_iter().map(EndpointStatus::of).collect(),
        }
    }
}

/// Those with a version in force.
pub(super) fn plugins(plugins: &Plugins) -> Vec<PluginStatus> {
    plugins.current().iter().map(|version| PluginStatus::of(version, plugins.history(version.name()))).collect()
}

impl Absent {
    pub(super) fn all(plugins: &Plugins) -> Vec<Self> {
        let absent = plugins.known().into_iter().filter(|name| plugins.slot(name).is_none());
        absent.map(|name| Self { history: steps(plugins.history(&name)), name }).collect()
    }
}

fn steps(history: Vec<Step>) -> Vec<StepStatus> {
    history.into_iter().map(StepStatus::of).collect()
}

impl StepStatus {
    fn of(Step { at, digest, turn }: Step) -> Self {
        let (turn, replaced, reason) = match turn {
            Turn::Loaded => ("loaded", None, None),
            Turn::Replaced(old) => ("replaced", Some(old), None),
            Turn::Refused(reason) => ("refused", None, Some(reason)),
            Turn::Removed => ("removed", None, None),
        };
        Self { at: seconds(at), turn: turn.to_owned(), digest, replaced, reason }
    }
}

impl PipelineStatus {
    pub(super) fn of(shown: Shown) -> Self {
        let Shown { name, rate, stage, from, filters, publish, in_flight, letters, source: _ } = shown;
        let outcomes = metrics::settled(&name);
        let count = |wanted| outcomes.iter().find(|(outcome, _)| *outcome == wanted).map_or(0, |(_, count)| *count);
        Self {
            done: count("done"),
            retried: count("retried"),
            dead: count("dead"),
            rate: rate.map(|rate| rate.to_string()),
            rate_wait_seconds: metrics::rate_wait(&name),
            stage: stage.name().to_owned(),
            paused_since: match stage {
                Stage::Running => None,
                Stage::Pausing(since) | Stage::Paused(since) => Some(seconds(since)),
            },
            from,
            filters,
            publish,
            in_flight_limit: in_flight,
            keeps: letters.is_some(),
            name,
        }
    }
}

impl PluginStatus {
    fn of(version: &Version, history: Vec<Step>) -> Self {
        let history = steps(history);
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
            replaced: history.iter().rev().find_map(|step| step.replaced.clone()),
            refused: history.last().filter(|step| step.turn == "refused").cloned(),
            history,
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
