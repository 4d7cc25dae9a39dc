//! What plugins have used, and what is known of servers, as metrics.

use super::Window;
use crate::{
    effect::limit::{Circuit, Shown as Endpoint},
    metrics::{self, Family},
    plugin::{Usage, Version},
};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

type Read = fn(&Usage) -> f64;

const COUNTERS: [(&str, &str, Read); 13] = [
    ("gristmill_plugin_calls_total", "Calls with a message.", |usage| usage.calls as f64),
    ("gristmill_plugin_faults_total", "Calls that the plugin ended with retry or reject.", |usage| usage.faults as f64),
    ("gristmill_plugin_broken_total", "Calls that ended in a trap or at a limit.", |usage| usage.broken as f64),
    ("gristmill_plugin_traps_total", "Calls that ended in a trap.", |usage| usage.traps as f64),
    ("gristmill_plugin_cpu_seconds_total", "Processor time of calls, sampled.", |usage| usage.cpu.as_secs_f64()),
    ("gristmill_plugin_suspended_seconds_total", "Time in which calls waited for the host.", |usage| {
        usage.suspended.as_secs_f64()
    }),
    ("gristmill_plugin_in_bytes_total", "Bytes of payloads and replies handed to it.", |usage| usage.bytes_in as f64),
    ("gristmill_plugin_out_bytes_total", "Bytes of payloads and requests it answered with.", |usage| {
        usage.bytes_out as f64
    }),
    ("gristmill_plugin_instances_made_total", "Instances made.", |usage| usage.instances as f64),
    ("gristmill_plugin_requests_total", "Requests that the host carried out for it.", |usage| usage.requests as f64),
    ("gristmill_plugin_request_seconds_total", "Time that those requests took, added up.", |usage| {
        usage.request_time.as_secs_f64()
    }),
    ("gristmill_plugin_lookups_total", "What it looked up in its store and in databases.", |usage| {
        usage.lookups.asked as f64
    }),
    ("gristmill_plugin_lookup_seconds_total", "Time that those lookups took, added up.", |usage| {
        usage.lookups.time.as_secs_f64()
    }),
];

const GAUGES: [(&str, &str, Read); 1] =
    [("gristmill_plugin_memory_peak_bytes", "The largest linear memory that one instance has had.", |usage| {
        usage.memory_peak as f64
    })];

/// Lookups without an answer, by the reason.
fn lookup_failures(versions: &[Arc<Version>]) -> Family {
    let mut family = Family::counter("gristmill_plugin_lookup_failures_total", "Lookups that had no answer.");
    for version in versions {
        for (failure, count) in version.usage().lookups.failures() {
            let labels = [("digest", version.digest()), ("failure", failure), ("plugin", version.name())];
            family.add(&labels, count as f64);
        }
    }
    family
}

/// How many instances each version has, and how much memory those have that wait.
fn instances(versions: &[Arc<Version>]) -> [Family; 3] {
    let mut live = Family::gauge("gristmill_plugin_instances", "Instances that live.");
    let mut memory =
        Family::gauge("gristmill_plugin_memory_bytes", "Linear memory of the instances that wait for messages.");
    let mut since = Family::gauge("gristmill_plugin_since_seconds", "When the version came up, in seconds since 1970.");
    for version in versions {
        let labels = [("digest", version.digest()), ("plugin", version.name())];
        live.add(&labels, version.live_instances() as f64);
        memory.add(&labels, version.idle_memory() as f64);
        since.add(&labels, seconds(version.since()));
    }
    [live, memory, since]
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

type Look = fn(&Endpoint) -> f64;

const ENDPOINT_COUNTERS: [(&str, &str, Look); 5] = [
    ("gristmill_endpoint_requests_total", "Requests sent to a server.", |endpoint| endpoint.requests as f64),
    ("gristmill_endpoint_failures_total", "Requests that a server did not answer, or with 408 or 5xx.", |endpoint| {
        endpoint.failures as f64
    }),
    ("gristmill_endpoint_put_back_messages_total", "Messages put back untried because of a server.", |endpoint| {
        endpoint.put_back as f64
    }),
    ("gristmill_endpoint_waits_total", "Requests that had to wait for their turn.", |endpoint| endpoint.waits as f64),
    ("gristmill_endpoint_wait_seconds_total", "Time in which requests waited for their turn, added up.", |endpoint| {
        endpoint.waited.as_secs_f64()
    }),
];

const ENDPOINT_GAUGES: [(&str, &str, Look); 5] = [
    (
        "gristmill_endpoint_breaker_state",
        "0 while requests are sent, 1 while one is tried, 2 while none is sent.",
        |endpoint| match endpoint.circuit {
            Circuit::Closed => 0.0,
            Circuit::HalfOpen => 1.0,
            Circuit::Open => 2.0,
        },
    ),
    ("gristmill_endpoint_held_seconds", "For how long a server has asked to be left alone.", |endpoint| {
        endpoint.held.as_secs_f64()
    }),
    ("gristmill_endpoint_limit_requests", "How many requests a server gets at once.", |endpoint| endpoint.limit as f64),
    ("gristmill_endpoint_in_flight_requests", "Requests under way to a server.", |endpoint| endpoint.in_flight as f64),
    ("gristmill_endpoint_reply_seconds", "How long a server takes to reply, averaged.", |endpoint| {
        endpoint.takes.as_secs_f64()
    }),
];

/// What is known of servers; at most a hundred of them at a time, and a thousand in all.
fn of_endpoints(window: &Window) -> impl Iterator<Item = Family> {
    let mut endpoints = window.effects.endpoints();
    endpoints.retain(|endpoint| metrics::endpoint(&endpoint.name).is_some());
    let counters = ENDPOINT_COUNTERS.into_iter().map(|(name, help, look)| (Family::counter(name, help), look));
    let gauges = ENDPOINT_GAUGES.into_iter().map(|(name, help, look)| (Family::gauge(name, help), look));
    let replies = replies(&endpoints);
    let families = counters.chain(gauges).map(move |(mut family, look)| {
        for endpoint in &endpoints {
            family.add(&[("endpoint", &endpoint.name)], look(endpoint));
        }
        family
    });
    families.chain([replies])
}

/// Replies by the class of their status.
fn replies(endpoints: &[Endpoint]) -> Family {
    let mut family =
        Family::counter("gristmill_endpoint_replies_total", "What came of requests, by the class of the status.");
    for endpoint in endpoints {
        for (class, count) in endpoint.classes {
            family.add(&[("class", class), ("endpoint", &endpoint.name)], count as f64);
        }
    }
    family
}

/// Which node this is.
fn node(window: &Window) -> Family {
    let labels = [("node", &*window.node), ("version", env!("CARGO_PKG_VERSION"))];
    Family::gauge("gristmill_node_info", "Always 1: which node this is.").of(&labels, 1.0)
}

/// Everything there is to scrape.
pub(super) fn exposition(window: &Window) -> Vec<u8> {
    let mut versions = window.plugins.current();
    versions.retain(|version| metrics::plugin(version.name()).is_some());
    let fill = |mut family: Family, read: Read| {
        for version in &versions {
            family.add(&[("digest", version.digest()), ("plugin", version.name())], read(&version.usage()));
        }
        family
    };
    let counters = COUNTERS.into_iter().map(|(name, help, read)| fill(Family::counter(name, help), read));
    let gauges = GAUGES.into_iter().map(|(name, help, read)| fill(Family::gauge(name, help), read));
    let more = [lookup_failures(&versions), node(window)].into_iter().chain(instances(&versions));
    let more = more.chain(of_endpoints(window));
    metrics::exposition(counters.chain(gauges).chain(more).collect())
}
