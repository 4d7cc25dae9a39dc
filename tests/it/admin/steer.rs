//! A running node is told what to do: by HTTP and by verbs.

use super::{
    caller::{Caller, FULL},
    mill,
};
use crate::jobs::{SOON, all_arrive, jobs, nothing_is_left};
use gristmill_tests::{Answer, Mill, eventually};
use serde_json::Value;
use std::time::Duration;

fn stage(mill: &Mill) -> String {
    let said = mill.run(&["status", "--json"]);
    let status: Value = serde_json::from_str(&said.stdout).expect(&said.stderr);
    status["pipelines"][0]["stage"].as_str().unwrap().to_owned()
}

#[test]
fn a_paused_pipeline_takes_nothing_and_loses_nothing_and_a_reload_leaves_it_paused() {
    let mill = mill("");
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..300));
    let paused = mill.run(&["pause", "jobs"]);
    assert!(paused.code == 0 && paused.stdout.contains("`jobs` is paused"), "{}", paused.stderr);
    assert_eq!(stage(&mill), "paused");
    let before = mill.sink.count();
    mill.redis.push("jobs", jobs(300..500));
    let reloaded = mill.run(&["reload"]);
    assert_eq!(
        (reloaded.code, reloaded.stdout.as_str()),
        (0, "the configuration is in force\n"),
        "{}",
        reloaded.stderr
    );
    assert_eq!(stage(&mill), "paused");
    assert!(mill.run(&["status"]).stdout.contains("paused, "));
    assert_eq!(mill.redis.len("jobs") + before, 500, "all that was taken has been delivered, and nothing is taken");
    assert_eq!(mill.sink.count(), before);
    assert_eq!(Caller::of(&mill).get("/health/ready").status, 200, "which is no fault");
    let resumed = mill.run(&["resume", "jobs", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&resumed.stdout).unwrap()[0]["stage"], "running", "{}", resumed.stdout);
    assert_eq!(all_arrive(&mill.sink, 0..500), 0, "and none comes twice");
    nothing_is_left(&mill.redis);
    assert_eq!(node.terminate(), 0);
}

#[test]
fn what_is_in_flight_when_a_pipeline_is_paused_is_finished_or_comes_again() {
    let mill = mill("in_flight = 8");
    let config = std::fs::read_to_string(mill.config_file()).unwrap();
    mill.write_raw_config(&format!("{config}\n[shutdown]\ngrace = \"500ms\"\n"));
    mill.sink.answer(Answer::Hang);
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    eventually(SOON, "some are under way", || (mill.sink.count() == 8).then_some(()));
    let waiting = std::thread::scope(|scope| {
        let pause = scope.spawn(|| mill.run(&["pause", "jobs"]));
        node.says(&["pausing"]);
        assert_eq!(mill.run(&["pause", "nothing"]).code, 1, "what else is wanted waits its turn");
        pause.join().unwrap()
    });
    assert_eq!(waiting.code, 0, "{}", waiting.stderr);
    node.says(&["was given back"]);
    mill.sink.answer(Answer::Late(Duration::from_millis(1)));
    mill.sink.forget();
    assert_eq!(mill.run(&["resume", "jobs"]).code, 0);
    assert_eq!(all_arrive(&mill.sink, 0..20), 0);
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_reload_says_what_is_wrong_and_changes_nothing() {
    let mill = mill("");
    let _node = mill.node();
    let good = std::fs::read_to_string(mill.config_file()).unwrap();
    mill.write_raw_config(&good.replace("publish = [\"http\"]", "publish = [\"htpt\"]"));
    let refused = Caller::of(&mill).with(FULL).ask("POST", "/api/reload", "");
    assert_eq!(refused.status, 422);
    let error = refused.json()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("htpt") && error.contains("gristmill.toml:"), "{error}");
    mill.redis.push("jobs", jobs(0..10));
    assert_eq!(all_arrive(&mill.sink, 0..10), 0);
}

#[test]
fn a_node_that_is_told_to_drain_finishes_and_ends() {
    let mill = mill("");
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..50));
    assert_eq!(all_arrive(&mill.sink, 0..50), 0);
    let drained = mill.run(&["drain"]);
    assert_eq!(drained.code, 0, "{}", drained.stderr);
    assert_eq!(node.exit_code(SOON), 0);
    nothing_is_left(&mill.redis);
    let gone = mill.run(&["resume", "jobs"]);
    assert!(gone.code == 1 && gone.stderr.contains("no node answers"), "{}", gone.stderr);
}

#[test]
fn the_dashboard_has_an_address_at_a_port_and_none_at_a_socket() {
    let mill = mill("");
    let address = Caller::of(&mill).address().to_owned();
    let told = mill.run(&["dashboard"]);
    assert_eq!(told.stdout, format!("http://{address}/#token={FULL}\n"), "{}", told.stderr);
    let socket = mill.run_bare(&["dashboard", "--at", "admin.sock"]);
    assert!(socket.code == 1 && socket.stderr.contains("browsers cannot open a socket"), "{}", socket.stderr);
}

#[test]
fn shells_and_man_are_told_of_all_verbs() {
    let mill = mill("");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = mill.run_bare(&["completions", shell]).stdout;
        assert!(["pause", "tap", "--watch"].iter().all(|word| script.contains(word)), "{shell}: {script}");
    }
    let bash = mill.run_bare(&["completions", "bash"]).stdout;
    std::fs::write(mill.dir().join("completions"), bash).unwrap();
    let script = "source ./completions && COMP_WORDS=(gristmill res) COMP_CWORD=1 && _gristmill gristmill res gristmill && echo \"${COMPREPLY[@]}\"";
    let bash = gristmill_tests::process::finish(
        std::process::Command::new("bash").args(["-c", script]).current_dir(mill.dir()),
        SOON,
    );
    assert_eq!(bash.stdout, "resume\n", "{}", bash.stderr);
    assert!(mill.run_bare(&["man"]).stdout.contains(".TH gristmill 1"));
    assert_eq!(mill.run_bare(&["man", "."]).code, 0);
    for page in ["gristmill.1", "gristmill-status.1", "gristmill-dead-replay.1"] {
        assert!(mill.dir().join(page).exists(), "{page}");
    }
    assert_eq!(mill.run_bare(&["man", "/nowhere"]).code, 1);
}

#[test]
fn a_page_comes_again_and_again_while_somebody_watches() {
    let mill = mill("");
    let _node = mill.node();
    let mut watch = std::process::Command::new(gristmill_tests::built::gristmill());
    watch.args(["status", "--watch", "20ms", "--config"]).arg(mill.config_file());
    let log = mill.dir().join("watch.log");
    let watch = gristmill_tests::process::Process::start("watch", &mut watch, &log);
    eventually(SOON, "three pages", || (watch.log().matches("pipeline  jobs: ").count() >= 3).then_some(()));
}
