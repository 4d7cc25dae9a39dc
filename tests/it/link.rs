//! Whatever a network does to the connections to Redis: nothing is lost, nothing comes twice, and the log stays short.

use crate::{
    harm::{HELD, Producer, descriptors, progress, proxied, troubles},
    jobs::{SOON, nothing_is_left},
};
use gristmill_tests::{Answer, Ending, Fault, Redis, eventually, eventually::pause};
use std::{
    collections::HashSet,
    sync::Mutex,
    time::{Duration, Instant},
};

/// A cut or garbled connection repeats nothing: what lies in its lane is read again only where it was not read before.
const NONE: usize = 0;

#[test]
fn a_reply_that_ends_at_any_byte_is_never_half_believed() {
    let mill = proxied();
    let mut node = mill.node();
    let jobs = Producer::default();
    let cuts = (1..40).chain((40..400).step_by(17)).chain((400..4_000).step_by(331));
    for (at, ending) in cuts.zip([Ending::Reset, Ending::Close].into_iter().cycle()) {
        mill.redis.proxy.set(Fault::CutOnce(at, ending));
        jobs.push(&mill.redis, 20);
        jobs.caught_up(&mill);
    }
    mill.redis.proxy.clear();
    jobs.lost_nothing(&mill, &mill.redis, NONE);
    assert_eq!(node.ended(), None);
    assert!(troubles(&node) <= 3, "{} times told", troubles(&node));
}

#[test]
fn connections_reset_every_ten_milliseconds_are_made_again_and_leave_nothing_behind() {
    let mill = proxied();
    let mut node = mill.node();
    let jobs = Producer::default();
    jobs.push(&mill.redis, 200);
    jobs.caught_up(&mill);
    let before = descriptors(&node);
    let began = Instant::now();
    let mut storms = 0;
    while began.elapsed() < Duration::from_secs(5) {
        jobs.push(&mill.redis, 20);
        mill.redis.proxy.kill_all();
        storms += 1;
        pause(Duration::from_millis(10));
    }
    let connections = mill.redis.proxy.connections();
    assert!(storms > 50 && connections > 20, "{storms} storms met {connections} connections");
    assert!(connections < 1_500, "{connections} connections in five seconds are a storm of our own");
    jobs.lost_nothing(&mill, &mill.redis, NONE);
    eventually(SOON, "the node has as many files open as before", || (descriptors(&node) <= before + 1).then_some(()));
    assert!(troubles(&node) <= 2, "{} times told: {}", troubles(&node), node.log());
    assert_eq!(node.ended(), None);
}

#[test]
fn messages_that_are_tried_again_come_through_a_storm_as_often_as_they_should() {
    let mill = proxied();
    let text = std::fs::read_to_string(mill.config_file()).unwrap();
    let retry = "retry = { attempts = 9, first = \"20ms\", longest = \"200ms\" }\nin_flight = 128";
    mill.write_raw_config(&text.replace("in_flight = 128", retry));
    let seen = Mutex::new(HashSet::new());
    mill.sink.answer_by(move |received| {
        let again = !seen.lock().unwrap().insert(received.body.clone());
        if again { Answer::Late(Duration::from_millis(10)) } else { Answer::Status(503) }
    });
    let _node = mill.node();
    let jobs = Producer::default();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        jobs.push(&mill.redis, 20);
        pause(Duration::from_millis(30));
        mill.redis.proxy.kill_all();
    }
    // The first time each is sent away.
    let pushed = jobs.pushed() as usize;
    eventually(SOON, "each has come twice", || (mill.sink.count() >= 2 * pushed).then_some(()));
    jobs.lost_nothing(&mill, &mill.redis, pushed);
    assert!(mill.sink.bodies().values().all(|&times| times == 2));
}

#[test]
fn a_node_cut_off_past_its_lease_settles_nothing_of_what_another_has_taken_over() {
    let mill = proxied();
    let cut_off = mill.node();
    let text = std::fs::read_to_string(mill.config_file()).unwrap();
    mill.write_raw_config(&text.replace(&mill.redis.url(), &Redis::url(&mill.redis)));
    let other = mill.node();
    let jobs = Producer::default();
    for _ in 0..2 {
        jobs.push(&mill.redis, 1_500);
        progress(&mill, 300);
        mill.redis.proxy.set(Fault::BlackHole);
        // Three leases; what was sent meanwhile arrives late.
        pause(Duration::from_secs(3));
        mill.redis.proxy.clear();
    }
    jobs.push(&mill.redis, 500);
    jobs.lost_nothing(&mill, &mill.redis, 2 * HELD);
    other.says(&["took over the messages in flight"]);
    cut_off.says(&["another node has taken these messages over"]);
}

#[test]
fn one_byte_at_a_time_slowly_and_late_gives_the_same() {
    let mill = proxied();
    let node = mill.node();
    let jobs = Producer::default();
    mill.redis.proxy.set(Fault::Chunks(1));
    jobs.push(&mill.redis, 50);
    jobs.lost_nothing(&mill, &mill.redis, NONE);
    let late = Duration::from_millis(200);
    mill.redis.proxy.set(Fault::Delay { to_server: late, to_client: late });
    mill.redis.proxy.set(Fault::Rate(50_000));
    jobs.push(&mill.redis, 60);
    jobs.lost_nothing(&mill, &mill.redis, NONE);
    assert_eq!(troubles(&node), 0, "slow is no trouble: {}", node.log());
}

#[test]
fn a_garbled_reply_settles_nothing() {
    let mill = proxied();
    let mut node = mill.node();
    let (mut pushed, mut flips) = (0_u64, 0_usize);
    for at in (0..48).chain((48..600).step_by(23)) {
        flips += 1;
        mill.redis.proxy.set(Fault::FlipOnce(at));
        mill.redis.push("jobs", crate::jobs::jobs(pushed..pushed + 10));
        pushed += 10;
        eventually(SOON, "all requests have come", || (mill.sink.count() as u64 >= pushed).then_some(()));
    }
    mill.redis.proxy.clear();
    nothing_is_left(&mill.redis);
    let received = mill.sink.received();
    // A byte inside a message cannot be told from another one: such a message arrives as it was garbled.
    let read = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).ok()?["id"].as_u64();
    let whole: HashSet<u64> = received.iter().filter_map(|one| read(&one.body)).collect();
    let garbled = received.iter().filter(|one| !one.body.is_ascii()).count();
    assert_eq!(received.len() as u64, pushed, "each came once");
    assert!(whole.len() as u64 + garbled as u64 >= pushed, "{} whole, {garbled} garbled of {pushed}", whole.len());
    assert!(garbled <= flips);
    assert_eq!(node.ended(), None);
    assert!(!node.log().contains("panicked"), "{}", node.log());
}

#[test]
fn a_network_that_swallows_everything_is_noticed_and_waited_out() {
    let mill = proxied();
    let node = mill.node();
    let jobs = Producer::default();
    jobs.push(&mill.redis, 1_000);
    progress(&mill, 200);
    mill.redis.proxy.set(Fault::BlackHole);
    jobs.push(&mill.redis, 1_000);
    let noticed = Instant::now();
    eventually(Duration::from_secs(25), "the silence is noticed", || (troubles(&node) > 0).then_some(()));
    assert!(noticed.elapsed() < Duration::from_secs(25));
    mill.redis.proxy.clear();
    jobs.lost_nothing(&mill, &mill.redis, NONE);
    assert_eq!(troubles(&node), 1, "{}", node.log());
}

#[test]
fn a_server_that_refuses_or_accepts_and_says_nothing_is_waited_for() {
    for (fault, lasts) in [(Fault::Refuse, 1), (Fault::Hang, 6)] {
        let mill = proxied();
        let node = mill.node();
        let jobs = Producer::default();
        jobs.push(&mill.redis, 1_000);
        progress(&mill, 200);
        mill.redis.proxy.set(fault);
        mill.redis.proxy.kill_all();
        let before = mill.redis.proxy.connections();
        pause(Duration::from_secs(lasts));
        assert!(mill.redis.proxy.connections() - before < 60, "{fault:?}: tried too often");
        mill.redis.proxy.clear();
        mill.redis.proxy.kill_all();
        jobs.push(&mill.redis, 100);
        jobs.lost_nothing(&mill, &mill.redis, NONE);
        assert!((1..=2).contains(&troubles(&node)), "{fault:?}: {}", node.log());
        node.says(&["nothing answers there", "start Redis"]);
    }
}
