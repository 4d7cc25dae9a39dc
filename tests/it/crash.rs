//! Whatever is killed, frozen or cut off: nothing is lost, and what comes twice is bounded by what a node may hold.

use crate::jobs::{SOON, all_arrive, direct, jobs, nothing_is_left};
use gristmill_tests::{Answer, Mill, Redis, eventually, eventually::pause};
use std::time::Duration;

/// What a node holds at most, and so what its end may repeat.
const HELD: usize = 128;
const KEYS: &str = "in_flight = 128";

/// A mill with a sink slow enough for messages to be in flight at any time.
fn busy(redis: Redis) -> Mill {
    let mill = direct(redis, KEYS);
    mill.sink.answer(Answer::Late(Duration::from_millis(20)));
    mill
}

/// Waits until `more` requests have come in.
#[track_caller]
fn progress(mill: &Mill, more: usize) {
    let before = mill.sink.count();
    eventually(SOON, &format!("{more} more requests"), || (mill.sink.count() >= before + more).then_some(()));
}

#[test]
fn killing_the_node_again_and_again_loses_nothing() {
    const KILLS: usize = 5;
    let mill = busy(Redis::start());
    mill.redis.push("jobs", jobs(0..5_000));
    for _ in 0..KILLS {
        let mut node = mill.node();
        progress(&mill, 400);
        node.kill9();
    }
    let mut last = mill.node();
    let twice = all_arrive(&mill.sink, 0..5_000);
    assert!(twice <= HELD * KILLS, "{twice} came twice");
    assert!(mill.sink.count() >= 5_000);
    nothing_is_left(&mill.redis);
    assert_eq!(last.terminate(), 0);
    nothing_is_left(&mill.redis);
}

#[test]
fn when_one_of_two_nodes_is_killed_the_other_finishes_its_work() {
    let mill = busy(Redis::start());
    let (mut one, _other) = (mill.node(), mill.node());
    mill.redis.push("jobs", jobs(0..3_000));
    progress(&mill, 500);
    one.kill9();
    let twice = all_arrive(&mill.sink, 0..3_000);
    assert!(twice <= HELD, "{twice} came twice");
    nothing_is_left(&mill.redis);
}

#[test]
fn a_node_frozen_past_its_lease_harms_nothing_when_it_thaws() {
    let mill = busy(Redis::start());
    let (frozen, _other) = (mill.node(), mill.node());
    mill.redis.push("jobs", jobs(0..3_000));
    progress(&mill, 300);
    frozen.sigstop();
    // Three leases: its lanes are taken over in this time.
    pause(Duration::from_secs(3));
    frozen.sigcont();
    mill.redis.push("jobs", jobs(3_000..4_000));
    let twice = all_arrive(&mill.sink, 0..4_000);
    assert!(twice <= HELD, "{twice} came twice");
    nothing_is_left(&mill.redis);
}

#[test]
fn a_redis_that_is_killed_and_comes_back_is_survived() {
    let mut mill = busy(Redis::durable());
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..2_000));
    progress(&mill, 300);
    mill.redis.kill9();
    // Long enough for the node to meet the closed socket more than once.
    pause(Duration::from_millis(700));
    assert_eq!(node.ended(), None, "the node waits for Redis");
    mill.redis.restart();
    let twice = all_arrive(&mill.sink, 0..2_000);
    assert!(twice <= HELD, "{twice} came twice");
    nothing_is_left(&mill.redis);
    assert_eq!(node.terminate(), 0);
}

#[test]
fn connections_cut_by_the_server_are_made_again() {
    let mill = busy(Redis::start());
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..3_000));
    for _ in 0..5 {
        progress(&mill, 200);
        mill.redis.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    }
    let twice = all_arrive(&mill.sink, 0..3_000);
    assert!(twice <= HELD * 5, "{twice} came twice");
    nothing_is_left(&mill.redis);
}

#[test]
fn a_redis_that_freezes_is_waited_out() {
    let mill = busy(Redis::start());
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..1_500));
    progress(&mill, 200);
    mill.redis.sigstop();
    pause(Duration::from_secs(4));
    mill.redis.sigcont();
    let twice = all_arrive(&mill.sink, 0..1_500);
    assert!(twice <= HELD * 2, "{twice} came twice");
    nothing_is_left(&mill.redis);
}
