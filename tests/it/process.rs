//! Nodes that come, freeze, starve and go at any moment: what they held goes to others, and nothing is lost.

use crate::{
    harm::{HELD, Producer, at, busy, descriptors, progress},
    jobs::{SOON, all_arrive, direct, nothing_is_left, pipeline},
};
use gristmill_tests::{Answer, Node, Redis, eventually::pause};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Chance that can be had again: the seed is told, and taken from `GRISTMILL_SEED` where that is set.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = std::env::var("GRISTMILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(now);
        eprintln!("GRISTMILL_SEED={seed}");
        Self(seed | 1)
    }

    /// Less than `below`.
    fn next(&mut self, below: u64) -> u64 {
        // Marsaglia's xorshift: G. Marsaglia, Xorshift RNGs, Journal of Statistical Software 8 (2003), with 13, 7, 17.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn pause(&mut self, below: u64) {
        pause(Duration::from_millis(self.next(below)));
    }
}

#[test]
fn kills_at_any_moment_lose_nothing() {
    const KILLS: usize = 20;
    let mut chance = Chance::new();
    let mill =
        direct(Redis::start(), "in_flight = 128\nretry = { attempts = 20, first = \"20ms\", longest = \"100ms\" }");
    let fails = std::sync::atomic::AtomicU64::new(0);
    mill.sink.answer_by(move |_| match fails.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 10 {
        0 => Answer::Status(503),
        _ => Answer::Late(Duration::from_millis(10)),
    });
    let producer = Producer::default();
    let mut nodes: Vec<Node> = vec![mill.node(), mill.node_unready()];
    for _ in 0..KILLS {
        producer.push(&mill.redis, 200);
        chance.pause(350);
        let doomed = chance.next(2) as usize;
        nodes[doomed].kill9();
        nodes[doomed] = mill.node_unready();
    }
    let failed = |received: &gristmill_tests::Received| received.header("idempotency-key").map(str::to_owned);
    all_arrive(&mill.sink, 0..producer.pushed());
    nothing_is_left(&mill.redis);
    let twice = mill.sink.count() - mill.sink.tally(failed).len();
    // One in ten was sent away.
    assert!(twice <= HELD * KILLS + mill.sink.count() / 10 + 1, "{twice} came twice");
}

#[test]
fn a_node_frozen_for_two_leases_settles_nothing_of_what_others_have_taken_over() {
    let mill = busy(Redis::start());
    let (frozen, other) = (mill.node(), mill.node());
    let producer = Producer::default();
    let mut chance = Chance::new();
    for _ in 0..3 {
        producer.push(&mill.redis, 1_500);
        progress(&mill, 200);
        chance.pause(100);
        frozen.sigstop();
        pause(Duration::from_secs(2));
        frozen.sigcont();
    }
    producer.lost_nothing(&mill, &mill.redis, 3 * HELD);
    other.says(&["took over the messages in flight"]);
}

#[test]
fn a_node_with_few_descriptors_does_its_work() {
    let mill = at(Redis::start(), Redis::url).descriptors(64);
    mill.write_config(&pipeline("in_flight = 16", ""));
    let mut node = mill.node();
    let producer = Producer::default();
    producer.push(&mill.redis, 1_000);
    progress(&mill, 300);
    // What opens and closes while it is counted may be counted twice.
    assert!(descriptors(&node) < 80);
    mill.redis.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    all_arrive(&mill.sink, 0..1_000);
    nothing_is_left(&mill.redis);
    assert_eq!(node.ended(), None);
    assert!(node.log().lines().count() < 40, "{}", node.log());
}

#[test]
fn a_node_that_can_write_nowhere_does_its_work() {
    let mill = at(Redis::start(), Redis::url);
    // A file where the directory should be: root may write into directories that are read-only.
    fs::write(mill.dir().join("data"), "").unwrap();
    fs::set_permissions(mill.dir().join("data"), fs::Permissions::from_mode(0o444)).unwrap();
    let node = mill.node();
    node.says(&["compiled plugins are not kept"]);
    let producer = Producer::default();
    producer.push(&mill.redis, 500);
    producer.lost_nothing(&mill, &mill.redis, 0);
}

#[test]
fn nodes_that_join_and_leave_all_the_time_lose_nothing_and_repeat_little() {
    let mill = busy(Redis::start());
    let _constant = mill.node();
    let producer = Producer::default();
    let began = Instant::now();
    let mut chance = Chance::new();
    let mut guests: Vec<Node> = Vec::new();
    let mut left = 0;
    while began.elapsed() < Duration::from_secs(8) {
        producer.push(&mill.redis, 300);
        guests.push(mill.node_unready());
        chance.pause(600);
        if guests.len() > 2 {
            let leaving = guests.remove(chance.next(guests.len() as u64) as usize);
            leaving.sigterm();
            let mut leaving = leaving;
            assert!([0, -1].contains(&leaving.exit_code(SOON)), "{}", leaving.log());
            left += 1;
        }
    }
    assert!(left >= 5, "{left} nodes have left");
    // Who leaves in peace gives back what it holds.
    producer.lost_nothing(&mill, &mill.redis, 0);
}
