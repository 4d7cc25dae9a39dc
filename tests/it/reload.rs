//! A changed config is taken over while messages flow; a bad one is refused.

use crate::jobs::{SOON, all_arrive, direct, jobs, nothing_is_left, pipeline};
use gristmill_tests::{Mill, Redis, built, eventually, replace_file};
use std::fs;

const ANONYMIZE: &str = "[plugin.anonymize]\nconfig = { fields = [\"ip\"], mode = \"drop\" }\n";

/// Pushes one job after another until one arrives as wanted.
#[track_caller]
fn until_a_job_arrives(mill: &Mill, what: &str, wanted: impl Fn(&serde_json::Value) -> bool) {
    let mut number = 1_000_000;
    eventually(SOON, what, || {
        let before = mill.sink.count();
        mill.redis.push("jobs", jobs(number..number + 1));
        number += 1;
        eventually(SOON, "the job arrives", || (mill.sink.count() > before).then_some(()));
        mill.sink.received().last().filter(|received| wanted(&received.json())).map(|_| ())
    });
}

#[test]
fn a_plugin_that_is_added_and_then_named_in_the_config_joins_in() {
    let mill = direct(Redis::start(), "");
    let _node = mill.node();
    until_a_job_arrives(&mill, "a job arrives whole", |job| job.get("ip").is_some());
    replace_file(&mill.plugin_file("anonymize"), &fs::read(built::plugin("anonymize")).unwrap());
    mill.write_config(&pipeline("filters = [\"anonymize\"]", ANONYMIZE));
    until_a_job_arrives(&mill, "a job arrives without its address", |job| job.get("ip").is_none());
    mill.write_config(&pipeline("", ""));
    until_a_job_arrives(&mill, "a job arrives whole again", |job| job.get("ip").is_some());
}

#[test]
fn a_plugins_new_config_is_taken_over() {
    let mill = Mill::new().plugins(&["anonymize", "http"]).config(&pipeline("filters = [\"anonymize\"]", ANONYMIZE));
    let _node = mill.node();
    until_a_job_arrives(&mill, "a job arrives with its text", |job| job.get("text").is_some());
    mill.write_config(&pipeline("filters = [\"anonymize\"]", &ANONYMIZE.replace("\"ip\"", "\"text\"")));
    until_a_job_arrives(&mill, "a job arrives without its text", |job| job.get("text").is_none());
}

#[test]
fn plugins_that_nobody_has_configured_are_told_in_one_line() {
    let mill = Mill::new().plugins(&["anonymize", "file", "route", "http"]).config(&pipeline("", ""));
    fs::write(mill.plugin_file("broken"), "no Wasm").unwrap();
    let node = mill.node();
    node.says(&["INFO", "not configured", "anonymize,file,route"]);
    node.says(&["WARN", "plugin=\"broken\""]);
    let warned = node.log().lines().filter(|line| line.contains("WARN") && line.contains("plugin=")).count();
    assert_eq!(warned, 1, "{}", node.log());
    assert!(mill.run(&["check"]).stdout.contains("unused    plugin `route` refused its config"), "it says why");
}

#[test]
fn a_bad_config_leaves_the_old_one_in_force_and_says_so() {
    let mill = direct(Redis::start(), "");
    let mut node = mill.node();
    let seen = node.log().len();
    mill.write_config(&pipeline("filters = [\"no-such-plugin\"]", ""));
    node.says_after(seen, &["no-such-plugin"]);
    until_a_job_arrives(&mill, "a job arrives", |_| true);

    let seen = node.log().len();
    node.sighup();
    node.says_after(seen, &["no-such-plugin"]);
    until_a_job_arrives(&mill, "a job arrives", |_| true);

    let seen = node.log().len();
    mill.write_config("[pipeline.jobs\n");
    node.says_after(seen, &["gristmill.toml"]);
    until_a_job_arrives(&mill, "a job arrives", |_| true);
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_pipeline_that_is_added_takes_and_one_that_is_removed_does_not() {
    let mill = direct(Redis::start(), "");
    let _node = mill.node();
    mill.write_config(
        &pipeline("", "").replace("[pipeline.jobs]", "[pipeline.later]").replace("list = \"jobs\"", "list = \"later\""),
    );
    mill.redis.push("later", jobs(0..10));
    all_arrive(&mill.sink, 0..10);
    mill.redis.push("jobs", jobs(10..20));
    mill.redis.push("later", jobs(20..30));
    eventually(SOON, "the new pipeline goes on", || (mill.sink.count() >= 20).then_some(()));
    assert_eq!(mill.redis.len("jobs"), 10);
}

#[test]
fn reloading_under_load_loses_and_doubles_nothing() {
    let mill = direct(Redis::start(), "in_flight = 64");
    let node = mill.node();
    for round in 0..10 {
        mill.redis.push("jobs", jobs(round * 500..(round + 1) * 500));
        mill.write_config(&pipeline(&format!("in_flight = {}", 64 + round), ""));
        node.sighup();
        eventually(SOON, "most of this round has arrived", || {
            (mill.sink.count() as u64 >= round * 500 + 250).then_some(())
        });
    }
    assert_eq!(all_arrive(&mill.sink, 0..5_000), 0);
    nothing_is_left(&mill.redis);
}
