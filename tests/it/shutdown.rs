//! How a node ends: quiet, drain, grace; and at once when told twice.

use crate::jobs::{SOON, all_arrive, direct, jobs, nothing_is_left, pipeline};
use gristmill_tests::{Answer, Mill, Redis, eventually};
use std::time::{Duration, Instant};

/// A mill with this grace.
fn with_grace(grace: &str) -> Mill {
    let config = pipeline("in_flight = 32", &format!("http_timeout = \"60s\"\n\n[shutdown]\ngrace = \"{grace}\"\n"));
    Mill::new().plugins(&["http"]).config(&config)
}

/// Waits until something is in flight.
#[track_caller]
fn in_flight(mill: &Mill) {
    eventually(SOON, "a request is under way", || (mill.sink.count() > 0).then_some(()));
}

#[test]
fn a_node_asked_to_end_finishes_what_it_has_taken() {
    let mill = direct(Redis::start(), "in_flight = 32");
    mill.sink.answer(Answer::Late(Duration::from_millis(500)));
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..500));
    in_flight(&mill);
    assert_eq!(node.terminate(), 0);
    assert!(mill.redis.keys("*:lane:*").is_empty(), "nothing stays in flight");
    let left = mill.redis.len("jobs") + mill.redis.len("gristmill:{jobs}:jobs:retry");
    assert_eq!(mill.sink.count() + left, 500, "each is delivered once or waits");
    let _next = mill.node();
    assert_eq!(all_arrive(&mill.sink, 0..500), 0);
}

#[test]
fn an_idle_node_ends_quickly() {
    let mill = direct(Redis::start(), "");
    let mut node = mill.node();
    let asked = Instant::now();
    assert_eq!(node.terminate(), 0);
    assert!(asked.elapsed() < Duration::from_secs(20), "took {:?}", asked.elapsed());
    nothing_is_left(&mill.redis);
}

#[test]
fn the_grace_has_an_end() {
    let mill = with_grace("500ms");
    mill.sink.answer(Answer::Hang);
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..10));
    in_flight(&mill);
    node.sigterm();
    node.exit_code(Duration::from_secs(10));
    mill.sink.answer(Answer::Status(200));
    let _next = mill.node();
    all_arrive(&mill.sink, 0..10);
    nothing_is_left(&mill.redis);
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_next_node_delivers() {
    let mill = with_grace("60s");
    mill.sink.answer(Answer::Hang);
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..100));
    in_flight(&mill);
    let seen = node.log().len();
    node.sigterm();
    // Signals of one kind that come too close are one.
    eventually(SOON, "the node has noticed the first signal", || (node.log().len() > seen).then_some(()));
    assert_eq!(node.ended(), None);
    node.sigterm();
    node.exit_code(Duration::from_secs(30));
    mill.sink.answer(Answer::Status(200));
    let _next = mill.node();
    all_arrive(&mill.sink, 0..100);
    nothing_is_left(&mill.redis);
}
