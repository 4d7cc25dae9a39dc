//! What a running node shows of itself: `gristmill status`, and what Prometheus reads.

use crate::jobs::{SOON, all_arrive, jobs, pipeline};
use gristmill_tests::{Mill, eventually};
use serde_json::Value;
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

/// Two filters, of which one drops, rejects or traps as the payload says.
fn mill() -> Mill {
    let tables = r#"
[plugin.misbehave]
config = { mode = "trap", when = "\"n\":7}" }
"#;
    let keys = "filters = [\"misbehave\", \"stamp\"]\nretry = { attempts = 2, first = \"10ms\", longest = \"10ms\" }";
    Mill::new().guests(&["misbehave", "stamp"]).plugins(&["http"]).config(&pipeline(keys, tables))
}

fn status(mill: &Mill) -> Value {
    let said = mill.run(&["status", "--json"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    serde_json::from_str(&said.stdout).unwrap()
}

fn plugin(status: &Value, name: &str) -> Value {
    let plugins = status["plugins"].as_array().unwrap();
    plugins.iter().find(|plugin| plugin["name"] == name).expect("all that are in force are there").clone()
}

/// The answer to a raw request at the socket.
fn ask(mill: &Mill, request: &str) -> String {
    let mut socket = UnixStream::connect(mill.dir().join("data/admin.sock")).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

pub(crate) fn get(mill: &Mill, path: &str) -> String {
    ask(mill, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
}

/// Whether there is an answer depends on how much of the head was still on its way.
fn a_head_without_an_end_is_cut_off(mill: &Mill) {
    let mut socket = UnixStream::connect(mill.dir().join("data/admin.sock")).unwrap();
    let cut_off = (0..10_000).any(|_| socket.write_all(&[b'x'; 1024]).is_err());
    assert!(cut_off, "ten megabytes of a head were taken");
}

#[test]
fn what_plugins_have_used_is_told_by_version() {
    let mill = mill();
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..200));
    mill.redis.push("jobs", ["{\"id\":1000,\"n\":7}"]);
    assert_eq!(all_arrive(&mill.sink, 0..200), 0);
    let status = eventually(SOON, "the trapped message is dead", || {
        Some(status(&mill)).filter(|status| status["pipelines"][0]["dead"] == 1)
    });
    assert_eq!(status["pipelines"][0]["name"], "jobs");
    assert_eq!(status["pipelines"][0]["done"], 200, "{status}");
    assert_eq!(status["pipelines"][0]["retried"], 1, "{status}");

    let misbehave = plugin(&status, "misbehave");
    assert_eq!(misbehave["calls"], 202, "200 that pass, and two attempts that trap: {misbehave}");
    assert_eq!(misbehave["broken"], 2, "{misbehave}");
    assert!(misbehave["instances"].as_u64() >= Some(2), "the first, and one after its trap: {misbehave}");
    assert_eq!(plugin(&status, "stamp")["calls"], 200);
    let http = plugin(&status, "http");
    assert_eq!((&http["calls"], &http["requests"]), (&Value::from(400), &Value::from(200)), "{http}");
    assert!(http["request_seconds"].as_f64() > Some(0.0), "{http}");
    for used in ["cpu_seconds", "bytes_in", "memory_peak_bytes"] {
        assert!(http[used].as_f64() > Some(0.0), "{used}: {http}");
    }

    let page = mill.run(&["status"]).stdout;
    for line in ["pipeline  jobs: 200 done", "plugin    misbehave: filter ", "202 calls, 0 faults, 2 broken"] {
        assert!(page.contains(line), "{page}");
    }
    assert_eq!(node.terminate(), 0);
}

#[test]
fn waiting_is_told_apart_from_computing() {
    let sleeps = "[plugin.misbehave]\nconfig = { mode = \"sleep\", millis = 60 }\ntimeout = \"2s\"\n";
    let mill = Mill::new().guests(&["misbehave"]).plugins(&["http"]);
    mill.write_config(&pipeline("filters = [\"misbehave\"]", sleeps));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..10));
    assert_eq!(all_arrive(&mill.sink, 0..10), 0);
    let misbehave = plugin(&status(&mill), "misbehave");
    let seconds = |used: &str| misbehave[used].as_f64().unwrap();
    assert!(seconds("suspended_seconds") >= 0.6, "{misbehave}");
    assert!(seconds("cpu_seconds") < seconds("suspended_seconds"), "{misbehave}");
}

#[test]
fn a_new_version_begins_its_count_anew() {
    let mill = mill();
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    assert_eq!(all_arrive(&mill.sink, 0..20), 0);
    let before = plugin(&status(&mill), "stamp");
    let seen = node.log().len();
    gristmill_tests::replace_file(&mill.plugin_file("stamp"), &gristmill_tests::guest_bytes("splitter"));
    node.says_after(seen, &["plugin swapped", "stamp"]);
    let after = plugin(&status(&mill), "stamp");
    assert_ne!(before["digest"], after["digest"]);
    assert_eq!((&before["calls"], &after["calls"]), (&Value::from(20), &Value::from(0)));
    let metrics = get(&mill, "/metrics");
    assert!(metrics.contains("gristmill_plugin_versions_total{plugin=\"stamp\",result=\"swapped\"} 1\n"), "{metrics}");
}

#[test]
fn prometheus_can_read_what_is_counted() {
    let mill = mill();
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..50));
    assert_eq!(all_arrive(&mill.sink, 0..50), 0);
    let metrics = eventually(SOON, "all are counted", || {
        let line = "gristmill_pipeline_messages_total{outcome=\"done\",pipeline=\"jobs\"} 50\n";
        Some(get(&mill, "/metrics")).filter(|metrics| metrics.contains(line))
    });
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    let digest = plugin(&status(&mill), "http")["digest"].as_str().unwrap().to_owned();
    let calls = format!("gristmill_plugin_calls_total{{digest=\"{digest}\",plugin=\"http\"}} 100\n");
    assert!(metrics.contains("# TYPE gristmill_plugin_calls_total counter\n") && metrics.contains(&calls), "{metrics}");
}

#[test]
fn it_can_only_be_read_and_says_what_there_is() {
    let mill = mill();
    let mut node = mill.node();
    assert!(get(&mill, "/health/live").ends_with("\r\n\r\nlive\n"));
    let page = get(&mill, "/");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("content-security-policy: default-src 'none'"), "{page}");
    assert!(get(&mill, "/nowhere").starts_with("HTTP/1.1 404"));
    let posted = ask(&mill, "POST /status HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert!(posted.starts_with("HTTP/1.1 405") && posted.contains("allow: GET, HEAD"), "{posted}");
    a_head_without_an_end_is_cut_off(&mill);
    assert!(get(&mill, "/health/live").ends_with("live\n"), "and others are answered");
    assert_eq!(node.terminate(), 0);
    assert!(!mill.dir().join("data/admin.sock").exists());
}

#[test]
fn a_node_that_is_not_there_or_cannot_listen_says_so() {
    let mill = mill();
    let nobody = mill.run(&["status"]);
    assert_eq!(nobody.code, 1);
    assert!(nobody.stderr.contains("no node answers at") && nobody.stderr.contains("admin.sock"), "{}", nobody.stderr);

    std::fs::create_dir_all(mill.dir().join("data")).unwrap();
    std::fs::write(mill.dir().join("data/admin.sock"), "in the way").unwrap();
    let node = mill.node();
    node.says(&["`gristmill status` and metrics are off", "no socket"]);
    mill.redis.push("jobs", jobs(0..5));
    assert_eq!(all_arrive(&mill.sink, 0..5), 0, "messages flow all the same");
}
