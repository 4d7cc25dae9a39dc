//! `gristmill status`: what a running node is doing.

use super::{ask::Which, figures::age, payload::plain, talk};
use crate::admin::{Absent, EndpointStatus, PipelineStatus, PluginStatus, Status, StepStatus};
use std::{
    fmt::Write,
    io::{self, IsTerminal},
    time::{Duration, SystemTime},
};

/// What `status` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    node: Which,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    /// Print it again every two seconds, or as often as said, until Ctrl-C
    #[arg(long, value_name = "EVERY", num_args = 0..=1, default_missing_value = "2s", value_parser = talk::duration)]
    watch: Option<Duration>,
}

/// Prints the state of the node that is meant.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let client = options.node.client()?;
    talk::runtime()?.block_on(async {
        loop {
            let json = client.get("/status").await?;
            if options.json {
                talk::print(&[&json[..], b"\n"].concat())?;
            } else {
                let page = describe(&client.parse(&json)?, SystemTime::now());
                talk::print(format!("{}{page}", clear(options)).as_bytes())?;
            }
            let Some(every) = options.watch else { return Ok(()) };
            tokio::time::sleep(every).await;
        }
    })
}

/// What makes place for the next page on a terminal.
fn clear(options: &Options) -> &'static str {
    if options.watch.is_some() && io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" }
}

fn describe(status: &Status, now: SystemTime) -> String {
    let ending = if status.ending { ", ending" } else { "" };
    let mut said = format!("node      {} ({}), up {}{ending}\n", status.node, status.version, age(status.started, now));
    for pipeline in &status.pipelines {
        said += &describe_pipeline(pipeline, now);
    }
    for plugin in &status.plugins {
        said += &describe_plugin(plugin, now);
    }
    for plugin in &status.without_version {
        said += &describe_absent(plugin, now);
    }
    for endpoint in &status.endpoints {
        said += &describe_endpoint(endpoint);
    }
    said
}

fn describe_endpoint(endpoint: &EndpointStatus) -> String {
    let EndpointStatus { name, breaker, held_seconds, limit, in_flight, requests, failures, put_back, .. } = endpoint;
    let stage = match breaker.as_str() {
        "closed" if *held_seconds > 0.0 => format!("asked to be left alone for {held_seconds:.1} s"),
        "closed" => "sending".to_owned(),
        _ => format!("failing, breaker {breaker}"),
    };
    format!(
        "endpoint  {name}: {stage}, {requests} requests, {failures} failed, {put_back} put back\n          \
         {in_flight} of {limit} under way, {:.1} ms for a reply\n",
        endpoint.reply_seconds * 1e3,
    )
}

fn describe_pipeline(pipeline: &PipelineStatus, now: SystemTime) -> String {
    let PipelineStatus { name, stage, paused_since, done, retried, dead, rate, rate_wait_seconds, .. } = pipeline;
    let mut said = format!("pipeline  {name}: {done} done, {retried} to be tried again, {dead} dead\n");
    if let Some(since) = paused_since {
        let _ok = writeln!(said, "          {stage}, {} ago", age(*since, now)).is_ok();
    }
    if let Some(rate) = rate {
        let _ok = writeln!(said, "          at most {rate}, {rate_wait_seconds:.1} s waiting for that").is_ok();
    }
    said
}

fn describe_plugin(plugin: &PluginStatus, now: SystemTime) -> String {
    let PluginStatus { name, kind, digest, since, calls, faults, broken, .. } = plugin;
    let mut said = format!("plugin    {name}: {kind} {digest}, {calls} calls, {faults} faults, {broken} broken\n");
    let each = |total: f64| if *calls == 0 { 0.0 } else { total * 1e6 / *calls as f64 };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let _ok = writeln!(
        said,
        "          {:.3} s of processor ({:.1} µs each), {:.3} s waiting, {:.1} MiB in, {:.1} MiB out",
        plugin.cpu_seconds,
        each(plugin.cpu_seconds),
        plugin.suspended_seconds,
        mib(plugin.bytes_in),
        mib(plugin.bytes_out),
    )
    .is_ok();
    let _ok = writeln!(
        said,
        "          {} instances of {:.1} MiB at most, {} requests in {:.3} s, in force for {}",
        plugin.instances,
        mib(plugin.memory_peak_bytes),
        plugin.requests,
        plugin.request_seconds,
        age(*since, now),
    )
    .is_ok();
    if plugin.lookups > 0 {
        said += &describe_lookups(plugin);
    }
    said + &plugin.refused.as_ref().map(|step| describe_refusal(step, now)).unwrap_or_default()
}

/// What became last of a plugin that has no version.
fn describe_absent(plugin: &Absent, now: SystemTime) -> String {
    let last = plugin.history.last();
    let stage = last.map_or("unknown", |step| &step.turn);
    let refusal = last.filter(|step| step.reason.is_some()).map(|step| describe_refusal(step, now));
    format!("plugin    {}: {stage}, no version in force\n{}", plugin.name, refusal.unwrap_or_default())
}

fn describe_refusal(step: &StepStatus, now: SystemTime) -> String {
    let digest = step.digest.as_deref().unwrap_or("a version");
    let reason = plain(step.reason.as_deref().unwrap_or("for no reason"));
    format!("          {digest} was refused {} ago: {reason}\n", age(step.at, now))
}

fn describe_lookups(plugin: &PluginStatus) -> String {
    let failures = plugin.lookup_failures.iter().filter(|(_, count)| **count > 0);
    let failures: Vec<String> = failures.map(|(kind, count)| format!("{count} {kind}")).collect();
    let failures = if failures.is_empty() { "all answered".to_owned() } else { failures.join(", ") };
    format!("          {} lookups in {:.3} s, {failures}\n", plugin.lookups, plugin.lookup_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, time::UNIX_EPOCH};

    fn plugin() -> PluginStatus {
        PluginStatus {
            name: "anonymize".to_owned(),
            kind: "filter".to_owned(),
            digest: "0123456789ab".to_owned(),
            api: Some("0.1.0".to_owned()),
            since: 100,
            calls: 1_000,
            faults: 3,
            broken: 1,
            cpu_seconds: 0.0125,
            suspended_seconds: 0.0,
            bytes_in: 3 << 20,
            bytes_out: 1 << 20,
            memory_peak_bytes: 1_179_648,
            instances: 2,
            requests: 0,
            request_seconds: 0.0,
            lookups: 0,
            lookup_seconds: 0.0,
            lookup_failures: BTreeMap::new(),
            replaced: None,
            refused: None,
            history: Vec::new(),
        }
    }

    fn refusal() -> StepStatus {
        let reason = Some("no\x1b[2J".to_owned());
        StepStatus {
            at: 105,
            turn: "refused".to_owned(),
            digest: Some("fedcba987654".to_owned()),
            replaced: None,
            reason,
        }
    }

    #[test]
    fn a_page_tells_what_each_plugin_costs() {
        let rate = Some("500/s".to_owned());
        let pipelines = vec![PipelineStatus {
            name: "n".to_owned(),
            stage: "paused".to_owned(),
            paused_since: Some(160),
            from: "list `n`".to_owned(),
            filters: vec!["anonymize".to_owned()],
            publish: Vec::new(),
            in_flight_limit: 256,
            keeps: true,
            done: 996,
            retried: 1,
            dead: 3,
            rate,
            rate_wait_seconds: 1.25,
        }];
        let status = Status {
            node: "host-1-x".to_owned(),
            version: "0.1.0".to_owned(),
            started: 100,
            ending: true,
            pipelines,
            plugins: vec![PluginStatus { refused: Some(refusal()), ..plugin() }],
            without_version: vec![Absent { name: "new".to_owned(), history: vec![refusal()] }],
            endpoints: vec![EndpointStatus {
                name: "a.b:80".to_owned(),
                breaker: "open".to_owned(),
                held_seconds: 0.0,
                limit: 100,
                in_flight: 3,
                reply_seconds: 0.0504,
                requests: 70,
                failures: 20,
                put_back: 5,
            }],
        };
        let now = UNIX_EPOCH + Duration::from_secs(100 + 65);
        assert_eq!(
            describe(&status, now),
            "node      host-1-x (0.1.0), up 1 min 5 s, ending\n\
             pipeline  n: 996 done, 1 to be tried again, 3 dead\n          \
             paused, 5 s ago\n          \
             at most 500/s, 1.2 s waiting for that\n\
             plugin    anonymize: filter 0123456789ab, 1000 calls, 3 faults, 1 broken\n          \
             0.013 s of processor (12.5 µs each), 0.000 s waiting, 3.0 MiB in, 1.0 MiB out\n          \
             2 instances of 1.1 MiB at most, 0 requests in 0.000 s, in force for 1 min 5 s\n          \
             fedcba987654 was refused 1 min 0 s ago: no\\u{1b}[2J\n\
             plugin    new: refused, no version in force\n          \
             fedcba987654 was refused 1 min 0 s ago: no\\u{1b}[2J\n\
             endpoint  a.b:80: failing, breaker open, 70 requests, 20 failed, 5 put back\n          \
             3 of 100 under way, 50.4 ms for a reply\n"
        );
    }

    #[test]
    fn lookups_are_told_where_there_were_any() {
        let counted = |failures: &[(&str, u64)]| PluginStatus {
            lookups: 9,
            lookup_seconds: 0.25,
            lookup_failures: failures.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
            ..plugin()
        };
        let last = |plugin: &PluginStatus| describe_plugin(plugin, UNIX_EPOCH).lines().last().map(str::to_owned);
        let failed = counted(&[("denied", 2), ("invalid", 0), ("unavailable", 1)]);
        assert_eq!(last(&failed).as_deref(), Some("          9 lookups in 0.250 s, 2 denied, 1 unavailable"));
        assert_eq!(last(&counted(&[])).as_deref(), Some("          9 lookups in 0.250 s, all answered"));
    }
}
