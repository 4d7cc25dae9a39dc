//! What Prometheus reads of a node: well formed whatever names there are, bounded, documented, and what the dashboard asks for.

use crate::jobs::{SOON, all_arrive, jobs, pipeline};
use gristmill_tests::{
    Mill, Node, built, eventually, guest_bytes,
    prometheus::{Prometheus, complaints},
    redis::free_port,
    replace_file,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpStream,
};

/// Two pipelines, one with names that no sane person would give, and at `port` whoever wants to look.
fn mill(port: u16) -> Mill {
    let tables = format!(
        r#"
[pipeline.odd]
from = {{ list = "odd \"list\" \\ \nof {{lines}}" }}
publish = ["http"]

[pipeline.events]
from = {{ stream = "events" }}
publish = ["http"]

[pipeline.news]
from = {{ pattern = "news.*" }}
publish = ["http"]

[plugin.misbehave]
config = {{ mode = "trap", when = "\"n\":7}}" }}

[admin]
listen = "127.0.0.1:{port}"
"#
    );
    let keys = "filters = [\"misbehave\", \"stamp\"]\nretry = { attempts = 2, first = \"10ms\", longest = \"10ms\" }";
    Mill::new().guests(&["misbehave", "stamp"]).plugins(&["http"]).config(&pipeline(keys, &tables))
}

/// What a node at work exposes.
fn scraped(port: u16) -> String {
    let answer = get_at(port);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}

fn get_at(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Runs a node until there is something to tell of almost everything.
fn at_work(port: u16) -> (Mill, Node) {
    let mill = mill(port);
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..200));
    mill.redis.push("jobs", ["{\"id\":1000,\"n\":7}"]);
    mill.redis.push("odd \"list\" \\ \nof {lines}", jobs(200..210));
    mill.redis.ask::<String>(&["XADD", "events", "*", "payload", "{\"id\":210}"]);
    all_arrive(&mill.sink, 0..211);
    let seen = node.log().len();
    node.sighup();
    node.says_after(seen, &["configuration reloaded"]);
    eventually(SOON, "all is counted", || {
        let lines = [
            "gristmill_source_settled_messages_total{outcome=\"done\",pipeline=\"jobs\",source=\"jobs\"} 200\n",
            "gristmill_source_settled_messages_total{outcome=\"dead\",pipeline=\"jobs\",source=\"jobs\"} 1\n",
            "gristmill_source_settled_messages_total{outcome=\"retried\",pipeline=\"jobs\",source=\"jobs\"} 1\n",
            "gristmill_source_taken_messages_total{pipeline=\"jobs\",source=\"jobs\"} 202\n",
            "gristmill_source_redelivered_messages_total{pipeline=\"jobs\",source=\"jobs\"} 1\n",
            "gristmill_source_taken_messages_total{pipeline=\"events\",source=\"events\"} 1\n",
            "gristmill_pipeline_in_flight_messages{pipeline=\"jobs\"} 0\n",
            "gristmill_source_backlog_messages{pipeline=\"events\",source=\"events\"} 0\n",
            "gristmill_source_backlog_messages{pipeline=\"jobs\",source=\"jobs\"} 0\n",
            "gristmill_source_oldest_seconds{pipeline=\"jobs\",source=\"jobs\"} 0\n",
            "gristmill_dead_letters_messages{stream=\"gristmill:{jobs}:jobs:dead\"} 1\n",
            "gristmill_config_reloads_total{result=\"accepted\"} 1\n",
            "gristmill_redis_up{pipeline=\"jobs\",source=\"jobs\"} 1\n",
        ];
        let scraped = scraped(port);
        lines.iter().all(|line| scraped.contains(line)).then_some(())
    });
    (mill, node)
}

/// The names of all families, without what is added for the parts of a histogram.
fn families(exposition: &str) -> BTreeSet<String> {
    let types = exposition.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// All names in `text` that look like those of metrics, without the parts of a histogram.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'));
    let metrics = words.filter(|word| word.starts_with("gristmill_") || word.starts_with("process_"));
    let whole = |word: &str| {
        let parts = ["_bucket", "_sum", "_count"].iter().find_map(|part| word.strip_suffix(part));
        parts.filter(|name| name.ends_with("_seconds")).unwrap_or(word).to_owned()
    };
    metrics.map(whole).collect()
}

/// The names in the first column of the tables of `METRICS.md`.
fn documented() -> BTreeSet<String> {
    let text = fs::read_to_string(built::repository().join("METRICS.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).map(str::to_owned).collect()
}

/// The names that the host's source gives to metrics.
fn declared() -> BTreeSet<String> {
    let root = built::repository().join("host/src");
    let mut files = vec![root.join("metrics.rs"), root.join("admin/metrics.rs")];
    files.extend(fs::read_dir(root.join("metrics")).unwrap().map(|entry| entry.unwrap().path()));
    let quoted = |text: String| {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        text.split('"').skip(1).step_by(2).flat_map(named).collect::<Vec<_>>()
    };
    files.into_iter().flat_map(|file| quoted(fs::read_to_string(file).unwrap())).collect()
}

fn dashboard() -> Value {
    let file = built::repository().join("examples/deploy/grafana/gristmill.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// Every query of the dashboard as Grafana would send it, for everything there is.
fn queries() -> Vec<String> {
    let dashboard = dashboard();
    let targets = dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    let exprs = targets.flatten().map(|target| target["expr"].as_str().unwrap());
    let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter();
    let all = exprs.chain(annotations.map(|annotation| annotation["expr"].as_str().unwrap()));
    let whole = |query: &str| {
        ["$job", "$instance", "$pipeline"]
            .iter()
            .fold(query.replace("$__rate_interval", "1m"), |query, variable| query.replace(variable, ".*"))
    };
    all.map(whole).collect()
}

#[test]
fn every_metric_is_documented_and_everything_documented_is_one() {
    let (documented, declared) = (documented(), declared());
    let missing: Vec<_> = declared.difference(&documented).collect();
    assert!(missing.is_empty(), "METRICS.md says nothing of {missing:?}");
    let unknown: Vec<_> = documented.difference(&declared).collect();
    assert!(unknown.is_empty(), "METRICS.md has what no node exposes: {unknown:?}");
    let asked = named(&dashboard().to_string());
    let vain: Vec<_> = asked.difference(&declared).collect();
    assert!(vain.is_empty(), "the dashboard asks for what no node exposes: {vain:?}");
    assert!(asked.len() > 40, "{asked:?}");
}

#[test]
fn promtool_has_no_complaint_whatever_names_there_are() {
    let port = free_port();
    let (_mill, mut node) = at_work(port);
    let scraped = scraped(port);
    let odd = r#"gristmill_source_settled_messages_total{outcome="done",pipeline="odd",source="odd \"list\" \\ \nof {lines}"} 10"#;
    assert!(scraped.contains(odd), "{scraped}");
    if let Some(complaints) = complaints(&scraped) {
        assert_eq!(complaints, "", "{scraped}");
    }
    let unknown: Vec<_> = families(&scraped).difference(&documented()).cloned().collect();
    assert!(unknown.is_empty(), "METRICS.md says nothing of {unknown:?}");
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_prometheus_scrapes_a_node_and_the_dashboard_finds_in_it_what_it_asks_for() {
    let port = free_port();
    let (mill, _node) = at_work(port);
    let Some(prometheus) = Prometheus::scrape(&format!("127.0.0.1:{port}")) else { return };
    // Between two scrapes, so that there is a rate.
    mill.redis.push("jobs", jobs(300..400));
    eventually(SOON, "messages have a rate", || {
        let moving = prometheus.ask("sum(rate(gristmill_source_settled_messages_total{outcome=\"done\"}[1m])) > 0")?;
        (!moving.is_empty()).then_some(())
    });
    let exposed = families(&scraped(port));
    for query in queries() {
        let samples = prometheus.ask(&query).expect("it answers");
        // Those compare with zero, or want what did not happen here.
        let needed =
            named(&query).is_subset(&exposed) && !query.contains(" > 0") && !query.contains("histogram_quantile");
        assert!(!samples.is_empty() || !needed, "the dashboard would show nothing for `{query}`");
    }
}

#[test]
fn a_flood_of_topics_and_versions_adds_no_labels() {
    let port = free_port();
    let mill = mill(port);
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..10));
    all_arrive(&mill.sink, 0..10);
    let publish = |number: u64| {
        let channel = format!("news.\"{number}\"\n\u{feff}{{x}}");
        mill.redis.ask::<u64>(&["PUBLISH", &channel, &format!("{{\"id\":{number}}}")])
    };
    publish(10);
    all_arrive(&mill.sink, 0..11);
    let series = || scraped(port).lines().filter(|line| !line.starts_with('#')).count();
    let before = eventually(SOON, "a message of a channel is counted", || {
        scraped(port).contains("{pipeline=\"news\",source=\"news.*\"} 1\n").then(series)
    });
    for number in 11..500 {
        publish(number);
    }
    all_arrive(&mill.sink, 0..500);
    for round in 0..6 {
        let seen = node.log().len();
        let guest = ["splitter", "stamp"][round % 2];
        replace_file(&mill.plugin_file("stamp"), &guest_bytes(guest));
        node.says_after(seen, &["plugin swapped", "stamp"]);
    }
    let scraped = scraped(port);
    let versions = scraped.lines().filter(|line| line.starts_with("gristmill_plugin_calls_total{")).count();
    assert_eq!(versions, 3, "one for each plugin: {scraped}");
    assert!(!scraped.contains("news.\\\""), "no topic is a label: {scraped}");
    // What swapping adds: one result, and what is looked at for the first time.
    assert!(series() <= before + 40, "{before} series before, now {scraped}");
}
