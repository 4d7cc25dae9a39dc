//! Taps show samples of what passes, by HTTP and by a verb.

use super::{
    caller::{Caller, FULL, READ},
    mill,
};
use crate::jobs::{SOON, jobs};
use gristmill_tests::{Mill, eventually, process::Process};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    process::Command,
};

/// `gristmill tap` with these words, in the background.
fn tap(mill: &Mill, words: &[&str]) -> Process {
    let mut command = Command::new(gristmill_tests::built::gristmill());
    command.arg("tap").args(words).arg("--config").arg(mill.config_file()).current_dir(mill.dir());
    Process::start("tap", &mut command, &mill.dir().join("tap.log"))
}

/// Pushes jobs until `seen` is content.
#[track_caller]
fn pushed_until<T>(mill: &Mill, what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let mut next = 0;
    eventually(SOON, what, || {
        mill.redis.push("jobs", jobs(next..next + 5));
        next += 5;
        seen()
    })
}

#[test]
fn what_passes_a_stage_is_shown_without_what_is_redacted() {
    let mill = mill("");
    let _node = mill.node();
    let mut tap = tap(&mill, &["jobs", "--stage", "filtered", "--json", "--limit", "3"]);
    pushed_until(&mill, "three messages are seen", || tap.ended());
    let log = tap.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{log}");
    for line in &lines {
        assert!(line["stage"] == "filtered" && line["plugin"] == "stamp" && line["pipeline"] == "jobs", "{line}");
        assert!(line["payload"].as_str().unwrap().contains("•••"), "{line}");
    }
    assert!(!log.contains("203.0.113.7"), "{log}");
}

#[test]
fn a_tap_is_a_page_for_people_too_and_says_what_it_left_out() {
    let mill = mill("");
    let _node = mill.node();
    let mut tap = tap(&mill, &["--rate", "1", "--limit", "8"]);
    pushed_until(&mill, "eight are seen", || tap.ended());
    let log = tap.log();
    assert!(log.contains("  jobs  taken  ") && log.contains(" more)"), "{log}");
}

#[test]
fn eight_may_look_and_whoever_goes_makes_room() {
    let mill = mill("");
    let _node = mill.node();
    let caller = Caller::of(&mill).with(READ);
    let open = || {
        let mut lines = BufReader::new(caller.open("GET", "/api/tap?stage=dead", "")).lines();
        let status = lines.next().unwrap().unwrap();
        (status, lines)
    };
    let open_taps: Vec<_> = (0..8).map(|_| open()).collect();
    assert!(open_taps.iter().all(|(status, _)| status.contains("200")));
    assert!(open().0.contains("429"));
    assert_eq!(caller.get("/status").status, 200, "everything else is answered all the same");
    drop(open_taps);
    eventually(SOON, "there is room again", || open().0.contains("200").then_some(()));
}

#[test]
fn a_tap_that_makes_no_sense_is_refused() {
    let mill = mill("");
    let _node = mill.node();
    let caller = Caller::of(&mill).with(FULL);
    for (query, status) in [("stage=nowhere", 400), ("rate=0", 400), ("rate=101", 400), ("pipeline=none", 404)] {
        assert_eq!(caller.get(&format!("/api/tap?{query}")).status, status, "{query}");
    }
    assert_eq!(Caller::of(&mill).get("/api/tap").status, 401);
    let refused = mill.run(&["tap", "none"]);
    assert!(refused.code == 1 && refused.stderr.contains("no pipeline `none`"), "{}", refused.stderr);
}
