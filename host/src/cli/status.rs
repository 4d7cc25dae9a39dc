//! `gristmill status`: what a running node is doing.

use super::{ConfigFile, talk};
use crate::{
    admin::{EndpointStatus, PipelineStatus, PluginStatus, Status},
    config::Listen,
};
use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

/// For the whole exchange.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const LONGEST: usize = 16 << 20;

/// What `status` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the state of the node that runs with this configuration.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let loaded = talk::load(&options.file.path)?;
    let Some(listen) = loaded.config.admin.listen else {
        bail!("`[admin] listen` is empty, so that nobody can look at this node");
    };
    let asked = async { tokio::time::timeout(PATIENCE, ask(&listen)).await };
    let answer = talk::runtime()?.block_on(asked);
    let json = answer.with_context(|| format!("`{listen}` did not answer within {PATIENCE:?}"))??;
    if options.json {
        return talk::print(&[&json[..], b"\n"].concat());
    }
    let status: Status = serde_json::from_slice(&json)
        .with_context(|| format!("cannot make sense of what `{listen}` answered; is it a node of another version?"))?;
    talk::print(describe(&status, SystemTime::now()).as_bytes())
}

async fn ask(listen: &Listen) -> anyhow::Result<Bytes> {
    let missing = || format!("no node answers at `{listen}`; is one running with this configuration?");
    match listen {
        Listen::Socket(path) => get(UnixStream::connect(path).await.with_context(missing)?).await,
        Listen::Address(address) => get(TcpStream::connect(address).await.with_context(missing)?).await,
    }
}

async fn get(stream: impl AsyncRead + AsyncWrite + Unpin) -> anyhow::Result<Bytes> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/status").header("host", "gristmill").body(Empty::<Bytes>::new())?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        anyhow::Ok((status, body.map_err(|error| anyhow::anyhow!(error))?.to_bytes()))
    };
    let (_, answer) = tokio::join!(connection, exchange);
    match answer? {
        (StatusCode::OK, body) => Ok(body),
        (status, _) => bail!("the node answered {status}; is it one of another version?"),
    }
}

fn describe(status: &Status, now: SystemTime) -> String {
    let mut said = format!("node      {} ({}), up {}\n", status.node, status.version, age(status.started, now));
    for pipeline in &status.pipelines {
        said += &describe_pipeline(pipeline);
    }
    for plugin in &status.plugins {
        said += &describe_plugin(plugin, now);
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

fn describe_pipeline(pipeline: &PipelineStatus) -> String {
    let PipelineStatus { name, done, retried, dead, rate, rate_wait_seconds } = pipeline;
    let mut said = format!("pipeline  {name}: {done} done, {retried} to be tried again, {dead} dead\n");
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
    said
}

fn describe_lookups(plugin: &PluginStatus) -> String {
    let failures = plugin.lookup_failures.iter().filter(|(_, count)| **count > 0);
    let failures: Vec<String> = failures.map(|(kind, count)| format!("{count} {kind}")).collect();
    let failures = if failures.is_empty() { "all answered".to_owned() } else { failures.join(", ") };
    format!("          {} lookups in {:.3} s, {failures}\n", plugin.lookups, plugin.lookup_seconds)
}

/// How long ago that was, in its largest unit and the one below.
fn age(since: u64, now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let seconds = now.saturating_sub(since);
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

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
        }
    }

    #[test]
    fn a_page_tells_what_each_plugin_costs() {
        let rate = Some("500/s".to_owned());
        let pipelines = vec![PipelineStatus {
            name: "n".to_owned(),
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
            pipelines,
            plugins: vec![plugin()],
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
            "node      host-1-x (0.1.0), up 1 min 5 s\n\
             pipeline  n: 996 done, 1 to be tried again, 3 dead\n          \
             at most 500/s, 1.2 s waiting for that\n\
             plugin    anonymize: filter 0123456789ab, 1000 calls, 3 faults, 1 broken\n          \
             0.013 s of processor (12.5 µs each), 0.000 s waiting, 3.0 MiB in, 1.0 MiB out\n          \
             2 instances of 1.1 MiB at most, 0 requests in 0.000 s, in force for 1 min 5 s\n\
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

    #[test]
    fn ages_are_told_in_two_units() {
        let now = UNIX_EPOCH + Duration::from_secs(200_000);
        assert_eq!(age(199_941, now), "59 s");
        assert_eq!(age(200_000 - 7_260, now), "2 h 1 min");
        assert_eq!(age(200_000 - 180_000, now), "2 d 2 h");
        assert_eq!(age(300_000, now), "0 s");
    }
}
