//! Plugins that look things up: stores of their own, with and without the grant, over swaps, kills and outages.

mod sql;

use crate::jobs::{SOON, nothing_is_left, pipeline};
use gristmill_tests::{Dead, Mill, eventually, holds_for};
use serde_json::{Value, json};
use std::{net::TcpListener, time::Duration};

/// A mill whose jobs go through the guest `lookups` in this mode, with further keys of its table and tables behind it.
pub(crate) fn looking(mode: &str, keys: &str, tables: &str) -> Mill {
    Mill::new().guests(&["lookups"]).plugins(&["http"]).config(&config(mode, keys, tables))
}

/// The configuration of such a mill.
pub(crate) fn config(mode: &str, keys: &str, tables: &str) -> String {
    let table = format!("[plugin.lookups]\nconfig = {{ mode = \"{mode}\" }}\n{keys}\n{tables}");
    pipeline("filters = [\"lookups\"]\nretry = { attempts = 8, first = \"50ms\", longest = \"200ms\" }", &table)
}

/// What the guest is answered when it asks all of this for one message.
#[track_caller]
pub(crate) fn answers(mill: &Mill, asked: &Value) -> Vec<Value> {
    mill.sink.forget();
    mill.redis.push("jobs", [asked.to_string()]);
    let received = eventually(SOON, "the answers", || mill.sink.received().pop());
    received.json().as_array().expect("a list of answers").clone()
}

const STEPS: &str = r#"[{"set":{"key":"k","value":"v","ms":60000}},{"get":{"key":"k"}},{"add":{"key":"k","value":"w"}},
    {"increment":{"key":"n","by":7}},{"delete":{"key":"k"}},{"get":{"key":"k"}},{"increment":{"key":"n","by":-8}}]"#;

fn steps() -> Value {
    serde_json::from_str(STEPS).unwrap()
}

#[test]
fn a_store_in_memory_and_one_in_redis_do_the_same() {
    for store in ["memory", "redis"] {
        let mill = looking("ask", &format!("allow_store = \"{store}\""), "");
        let mut node = mill.node();
        let expected = json!(["set", "v", false, 7, true, null, -1]);
        assert_eq!(answers(&mill, &steps()), *expected.as_array().unwrap(), "{store}");
        let keys = mill.redis.keys("gristmill:store:*");
        assert_eq!(keys.len(), usize::from(store == "redis"), "{keys:?}");
        assert_eq!(node.terminate(), 0);
        nothing_is_left(&mill.redis);
    }
}

#[test]
fn without_the_grant_every_step_is_denied() {
    let mill = looking("ask", "", "");
    let _node = mill.node();
    for answer in answers(&mill, &steps()) {
        assert!(answer["denied"].as_str().is_some_and(|why| why.contains("allow_store")), "{answer}");
    }
    assert!(mill.redis.keys("gristmill:store:*").is_empty());
}

/// What `gristmill status` says of the guest, once it has told of so many lookups.
fn used(mill: &Mill, lookups: u64) -> Value {
    eventually(SOON, "all are counted", || {
        let said = mill.run(&["status", "--json"]);
        let status: Value = serde_json::from_str(&said.stdout).ok()?;
        let plugin = status["plugins"].as_array()?.iter().find(|plugin| plugin["name"] == "lookups")?;
        (plugin["lookups"] == lookups).then(|| plugin.clone())
    })
}

#[test]
fn what_a_plugin_looks_up_how_long_it_waits_and_what_fails_is_told() {
    // Takes every connection and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u@{}/shop?sslmode=disable", silent.local_addr().unwrap());
    let keys = "allow_store = \"redis\"\nallow_sql = [\"shop\"]\nwait = \"10s\"\nstore = { value_kib = 1 }";
    let mill = looking("ask", keys, &format!("[database.shop]\nurl = \"{url}\"\ntimeout = \"200ms\"\n"));
    let _node = mill.node();
    assert_eq!(answers(&mill, &steps()).len(), 7);
    let query = |database: &str| json!({"query": {"database": database, "statement": "SELECT 1"}});
    let asked = json!([{"get": {"key": ""}}, {"fill": {"key": "k", "bytes": 2000}}, query("other"), query("shop"),
        query("shop"), query("shop")]);
    assert_eq!(answers(&mill, &asked).len(), 6);

    let used = used(&mill, 13);
    let failures = json!({"denied": 1, "invalid": 1, "too-large": 1, "unavailable": 3});
    assert_eq!(used["lookup_failures"], failures, "{used}");
    let seconds = |what: &str| used[what].as_f64().unwrap();
    assert!(seconds("lookup_seconds") >= 0.6 && seconds("suspended_seconds") >= 0.6, "{used}");
    assert!(seconds("cpu_seconds") < 0.6, "waiting is no computing: {used}");

    let (digest, metrics) = (used["digest"].as_str().unwrap(), crate::status::get(&mill, "/metrics"));
    for (name, labels, count) in [
        ("lookups", "", 13),
        ("lookup_failures", ",failure=\"denied\"", 1),
        ("lookup_failures", ",failure=\"unavailable\"", 3),
    ] {
        let line = format!("gristmill_plugin_{name}_total{{digest=\"{digest}\"{labels},plugin=\"lookups\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    assert!(metrics.contains("gristmill_plugin_denials_total{plugin=\"lookups\"} 1\n"), "{metrics}");
    let page = mill.run(&["status"]).stdout;
    assert!(
        page.contains("13 lookups in ") && page.contains("s, 1 denied, 1 invalid, 1 too-large, 3 unavailable"),
        "{page}"
    );
}

#[test]
fn what_is_beyond_the_bounds_is_refused_and_told() {
    let mill = looking("ask", "allow_store = \"memory\"\nstore = { keys = 3, value_kib = 1 }", "");
    let node = mill.node();
    let asked = json!([{"fill": {"key": "k", "bytes": 1024}}, {"fill": {"key": "k", "bytes": 1025}},
        {"fill": {"key": "x".repeat(1025), "bytes": 1}}]);
    let answered = answers(&mill, &asked);
    assert_eq!(answered[0], "set");
    assert!(answered[1]["too-large"].as_str().is_some_and(|why| why.contains("value_kib")), "{answered:?}");
    assert!(answered[2]["too-large"].is_string(), "{answered:?}");
    let many: Vec<Value> = (0..10).map(|n| json!({"fill": {"key": n.to_string(), "bytes": 1}})).collect();
    assert!(answers(&mill, &many.into()).iter().all(|answer| answer == "set"));
    node.says(&["store is full", "plugin=\"lookups\""]);
    let left: Vec<Value> = (0..10).map(|n| json!({"get": {"key": n.to_string()}})).collect();
    let left = answers(&mill, &left.into());
    assert_eq!(left.iter().filter(|value| value.is_string()).count(), 3, "{left:?}");
}

#[test]
fn duplicates_are_found_on_all_nodes_and_over_a_kill() {
    let mill = looking("dedupe", "allow_store = \"redis\"", "");
    let mut nodes = [mill.node(), mill.node()];
    for _ in 0..3 {
        mill.redis.push("jobs", (0..200).map(|n| format!("order {n}")));
    }
    nodes[0].kill9();
    mill.redis.push("jobs", (0..200).map(|n| format!("order {n}")));
    eventually(SOON, "everything is through", || (mill.redis.len("jobs") == 0).then_some(()));
    eventually(SOON, "every order arrives", || (mill.sink.bodies().len() == 200).then_some(()));
    eventually(SOON, "nothing is in flight", || mill.redis.keys("gristmill:*:lane:*").is_empty().then_some(()));
    // What was in flight when the node was killed may come twice, as always; no other duplicate does.
    let twice: usize = mill.sink.bodies().values().map(|count| count - 1).sum();
    assert!(twice <= 256, "{twice}");
    assert_eq!(nodes[1].terminate(), 0);
}

#[test]
fn counts_in_memory_survive_a_swap_and_miss_nothing() {
    let mill = looking("count", "allow_store = \"memory\"", "");
    let mut node = mill.node();
    mill.redis.push("jobs", vec!["a"; 500]);
    eventually(SOON, "half arrives", || (mill.sink.count() >= 500).then_some(()));
    let seen = node.log().len();
    mill.write_config(&config("count", "allow_store = \"memory\"\ntimeout = \"60ms\"", ""));
    node.says_after(seen, &["plugin swapped", "lookups"]);
    mill.redis.push("jobs", vec!["a"; 500]);
    eventually(SOON, "all arrives", || (mill.sink.count() >= 1000).then_some(()));
    let mut counts: Vec<u32> = mill
        .sink
        .received()
        .iter()
        .map(|received| received.text().split(' ').next().unwrap().parse().unwrap())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=1000).collect::<Vec<u32>>());
    assert_eq!(node.terminate(), 0);
}

#[test]
fn lookups_buy_no_time_and_an_instance_that_looks_up_for_ever_is_stopped() {
    for (store, keys) in [("memory", "timeout = \"50ms\""), ("redis", "timeout = \"50ms\"\nwait = \"500ms\"")] {
        let table = format!("allow_store = \"{store}\"\n{keys}");
        let mill = Mill::new()
            .guests(&["lookups"])
            .plugins(&["http"])
            .config(&config("endless", &table, "").replace("attempts = 8", "attempts = 1, crashes = 1"));
        let mut node = mill.node();
        mill.redis.push("jobs", ["x"]);
        let dead = Dead::of(&mill, "jobs");
        let letters = eventually(Duration::from_secs(30), "a dead letter", || {
            Some(dead.list()).filter(|letters| !letters.is_empty())
        });
        let story = dead.show(&Dead::entry(&letters[0])).to_string();
        assert!(story.contains("ran longer than its timeout of 50ms"), "{store}: {story}");
        assert_eq!(node.ended(), None);
    }
}

#[test]
fn an_instance_looks_nothing_up_before_its_first_message() {
    let mill = looking("in-init", "allow_store = \"memory\"", "");
    let finished = mill.run(&["run"]);
    assert_eq!(finished.code, 78, "{}", finished.stderr);
    assert!(finished.stderr.contains("nothing can be looked up in `init`"), "{}", finished.stderr);
}

#[test]
fn a_redis_that_is_away_makes_messages_wait_and_is_told_once() {
    let mut mill = looking("count", "allow_store = \"redis\"\nwait = \"200ms\"", "");
    let node = mill.node();
    mill.redis.push("jobs", ["a"]);
    eventually(SOON, "one arrives", || (mill.sink.count() == 1).then_some(()));
    mill.redis.sigstop();
    holds_for(Duration::from_millis(500), "nothing arrives", || mill.sink.count() == 1);
    mill.redis.sigcont();
    mill.redis.kill9();
    mill.redis.restart();
    eventually(SOON, "another one arrives", || {
        mill.redis.push("jobs", ["b"]);
        (mill.sink.count() > 1).then_some(())
    });
    assert!(node.log().matches("store does not answer").count() <= 2, "{}", node.log());
}
