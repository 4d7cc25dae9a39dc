//! How fast messages are taken is kept to, whatever waits, however many nodes there are, and what does not fit waits in Redis.

use crate::{
    jobs::{PATIENT, SOON, all_arrive, direct, jobs, nothing_is_left, pipeline},
    kinds::Kind,
};
use gristmill_tests::{Answer, Mill, Node, Received, Redis, eventually, eventually::pause, holds_for};
use std::time::{Duration, Instant};

/// Wants no arrival to be earlier than the rate allows that has run since `start`. A busy machine makes them later, never earlier.
#[track_caller]
fn never_too_fast(received: &[Received], start: Instant, per_second: f64, burst: usize) {
    let mut times: Vec<Instant> = received.iter().map(|one| one.at).collect();
    times.sort_unstable();
    for (before, at) in times.into_iter().enumerate() {
        let passed = at.saturating_duration_since(start).as_secs_f64();
        let allowed = burst as f64 + per_second * passed;
        assert!(before < allowed.ceil() as usize, "{before} came before one at {passed:.3} s, where {allowed:.1} may");
    }
}

fn waiting(redis: &Redis) -> usize {
    redis.ask(&["LLEN", "jobs"])
}

#[test]
fn a_backlog_behind_an_outage_drains_at_the_rate() {
    let mut mill = direct(
        Redis::start(),
        "rate = \"2000/s\"\nburst = 100\nretry = { first = \"100ms\", longest = \"1s\", attempts = 50 }",
    );
    let _node = mill.node();
    mill.sink.stop();
    mill.redis.push("jobs", jobs(0..5_000));
    pause(Duration::from_secs(3));
    let back = Instant::now();
    mill.sink.restart();
    assert_eq!(all_arrive(&mill.sink, 0..5_000), 0);
    never_too_fast(&mill.sink.received(), back, 2_000.0, 100);
    nothing_is_left(&mill.redis);
}

#[test]
fn what_the_rate_does_not_let_through_waits_in_redis_for_other_nodes() {
    let mill = direct(Redis::start(), "rate = \"10/s\"\nburst = 5");
    let start = Instant::now();
    mill.redis.push("jobs", jobs(0..100));
    let _node = mill.node();
    eventually(SOON, "some have come", || (mill.sink.count() >= 10).then_some(()));
    let (taken, passed) = (100 - waiting(&mill.redis), start.elapsed());
    assert!(taken as f64 <= 5.0 + 10.0 * passed.as_secs_f64(), "{taken} were taken within {passed:?}");
    never_too_fast(&mill.sink.received(), start, 10.0, 5);
    // Another node has its own rate.
    let (before, joined) = (mill.sink.count(), Instant::now());
    let _other = mill.node();
    assert_eq!(all_arrive(&mill.sink, 0..100), 0);
    let together = joined.elapsed().as_secs_f64() * 20.0 + 10.0;
    assert!((100 - before) as f64 <= together, "{before} before, the others within {:?}", joined.elapsed());
    assert!(start.elapsed() < SOON);
}

#[test]
fn retries_count_as_first_attempts_do() {
    let keys = "rate = \"50/s\"\nburst = 1\nretry = { first = \"10ms\", longest = \"20ms\", attempts = 4 }";
    let config = pipeline(keys, "\n[endpoint.\"*\"]\nbreaker.failures = \"never\"\n");
    let mill = Mill::new().plugins(&["http"]).config(&config);
    mill.sink.answer(Answer::Status(503));
    let start = Instant::now();
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..25));
    eventually(SOON, "all attempts", || (mill.sink.count() == 100).then_some(()));
    never_too_fast(&mill.sink.received(), start, 50.0, 1);
    // 99 behind the first.
    assert!(start.elapsed() >= Duration::from_millis(1_980), "{:?}", start.elapsed());
}

#[test]
fn every_kind_of_source_keeps_to_its_rate() {
    for kind in [Kind::Lists, Kind::Stream, Kind::Resque, Kind::ThoonkQueue, Kind::ThoonkJob] {
        let keys = format!("from = {}\nrate = \"100/s\"\nburst = 2", kind.from());
        let config = pipeline("", PATIENT).replace("from = { list = \"jobs\" }", &keys);
        let mill = Mill::new().plugins(&["http"]).config(&config);
        kind.prepare(&mill.redis);
        let start = Instant::now();
        let mut node = mill.node();
        kind.push(&mill.redis, 0..100);
        assert_eq!(all_arrive(&mill.sink, 0..100), 0, "{kind:?}");
        never_too_fast(&mill.sink.received(), start, 100.0, 2);
        // While nothing waits, what comes goes at once, by whichever connection.
        kind.push(&mill.redis, 100..102);
        assert_eq!(all_arrive(&mill.sink, 0..102), 0, "{kind:?}");
        assert_eq!(node.terminate(), 0, "{kind:?}");
    }
}

#[test]
fn channels_keep_to_their_rate_within_their_backlog() {
    let keys = "from = { channel = \"news\" }\nrate = \"100/s\"\nburst = 5\nbacklog = { keep = 60, drop = \"newest\" }\nin_flight = 20";
    let config = pipeline("", PATIENT).replace("from = { list = \"jobs\" }", keys);
    let mill = Mill::new().plugins(&["http"]).config(&config);
    let start = Instant::now();
    let node = mill.node();
    eventually(SOON, "it listens", || {
        let listeners: (String, usize) = mill.redis.ask(&["PUBSUB", "NUMSUB", "news"]);
        (listeners.1 == 1).then_some(())
    });
    for job in jobs(0..200) {
        mill.redis.ask::<()>(&["PUBLISH", "news", &job]);
    }
    eventually(SOON, "what had room has come", || (mill.sink.count() >= 60).then_some(()));
    never_too_fast(&mill.sink.received(), start, 100.0, 5);
    node.says(&["dropped", "no room to wait"]);
}

#[test]
fn a_low_rate_has_no_burst_after_a_pause_and_costs_no_processor() {
    let mill = direct(Redis::start(), "rate = \"120/min\"");
    let node = mill.node();
    pause(Duration::from_secs(3));
    let start = Instant::now();
    mill.redis.push("jobs", jobs(0..6));
    assert_eq!(all_arrive(&mill.sink, 0..6), 0);
    never_too_fast(&mill.sink.received(), start, 2.0, 1);
    let commands = |redis: &Redis| -> usize {
        let stats: String = redis.ask(&["INFO", "stats"]);
        stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).unwrap().trim().parse().unwrap()
    };
    let before = commands(&mill.redis);
    pause(Duration::from_secs(4));
    let spent = commands(&mill.redis) - before;
    // Looking every 20 ms on three connections would be 600.
    assert!(spent < 300, "{spent} commands in 4 s of nothing to do");
    drop(node);
}

#[test]
fn a_ramp_begins_slowly() {
    let mill = direct(Redis::start(), "rate = \"200/s\"\nburst = 1\nramp = \"4s\"");
    mill.redis.push("jobs", jobs(0..500));
    let start = Instant::now();
    let _node = mill.node();
    assert_eq!(all_arrive(&mill.sink, 0..500), 0);
    // In four seconds come 440, where the whole rate lets 800 through.
    let received = mill.sink.received();
    let early = received.iter().filter(|one| one.at < start + Duration::from_secs(2)).count();
    assert!(early <= 140, "{early} within the first two seconds");
    assert!(received.last().unwrap().at >= start + Duration::from_millis(4_200));
}

fn cluster(rate: &str) -> Mill {
    direct(Redis::start(), &format!("{rate}\nrate_scope = \"cluster\""))
}

#[test]
fn nodes_that_share_a_rate_never_exceed_it_together() {
    let mill = cluster("rate = \"400/s\"\nburst = 20");
    mill.redis.push("jobs", jobs(0..2_000));
    let start = Instant::now();
    let nodes: Vec<Node> = (0..3).map(|_| mill.node_unready()).collect();
    let nodes: Vec<Node> = nodes.into_iter().map(Node::ready).collect();
    assert_eq!(all_arrive(&mill.sink, 0..2_000), 0);
    never_too_fast(&mill.sink.received(), start, 400.0, 20);
    nothing_is_left(&mill.redis);
    // What gathers while all are idle is one burst, and not one for each.
    pause(Duration::from_secs(1));
    mill.sink.forget();
    let start = Instant::now();
    mill.redis.push("jobs", jobs(0..300));
    assert_eq!(all_arrive(&mill.sink, 0..300), 0);
    never_too_fast(&mill.sink.received(), start, 400.0, 20);
    drop(nodes);
}

#[test]
fn a_shared_rate_goes_on_when_a_node_dies_and_when_redis_was_away() {
    let mill = cluster("rate = \"300/s\"\nburst = 10");
    mill.redis.push("jobs", jobs(0..1_500));
    let start = Instant::now();
    let mut dying = mill.node();
    let _heir = mill.node();
    eventually(SOON, "both are at work", || (mill.sink.count() > 300).then_some(()));
    dying.kill9();
    mill.redis.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    all_arrive(&mill.sink, 0..1_500);
    never_too_fast(&mill.sink.received(), start, 300.0, 10);
    nothing_is_left(&mill.redis);
}

#[test]
fn status_and_metrics_tell_of_the_rate() {
    let mill = direct(Redis::start(), "rate = \"30/min\"\nburst = 3\nrate_scope = \"cluster\"");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..3));
    assert_eq!(all_arrive(&mill.sink, 0..3), 0);
    let page = mill.run(&["status"]).stdout;
    assert!(page.contains("at most 30/min in the cluster"), "{page}");
    let reply: serde_json::Value = serde_json::from_str(&mill.run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(reply["pipelines"][0]["rate"], "30/min in the cluster");
    holds_for(Duration::from_millis(200), "there are three", || mill.sink.count() == 3);
}

#[test]
fn a_rate_is_changed_while_messages_flow() {
    let mill = direct(Redis::start(), "rate = \"2/s\"");
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..2_000));
    eventually(SOON, "it has begun", || (mill.sink.count() >= 2).then_some(()));
    assert!(waiting(&mill.redis) > 1_500);
    mill.write_config(&pipeline("rate = \"100000/s\"", ""));
    node.says(&["configuration reloaded"]);
    assert_eq!(all_arrive(&mill.sink, 0..2_000), 0);
}
