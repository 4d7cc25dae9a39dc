//! Redis loses, holds back or swaps what belongs to us, or holds far more than usual: no panic, no hang, bounded memory.

use crate::{
    harm::{HELD, Producer, busy, nothing_was_slow, progress, resident_mib, size, told_of_slow_commands, troubles},
    jobs::{SOON, all_arrive, direct, jobs, nothing_is_left},
};
use gristmill_tests::{Answer, Dead, Redis, eventually, eventually::pause};
use std::time::{Duration, Instant};

const LANES: &str = "gristmill:{jobs}:jobs:lanes";

#[test]
fn a_redis_that_is_emptied_or_robbed_of_lanes_is_taken_from_again() {
    for robbery in ["FLUSHALL", "lanes", "a lane", "leases"] {
        let mill = busy(Redis::start());
        let mut node = mill.node();
        let producer = Producer::default();
        producer.push(&mill.redis, 1_000);
        progress(&mill, 300);
        let doomed: Vec<String> = match robbery {
            "lanes" => vec![LANES.to_owned()],
            "a lane" => mill.redis.keys("*:lane:*"),
            "leases" => mill.redis.keys("*:lease:*"),
            _ => Vec::new(),
        };
        let mut words: Vec<&str> = vec!["DEL", "nothing"];
        words.extend(doomed.iter().map(String::as_str));
        mill.redis.ask::<()>(if robbery == "FLUSHALL" { &["FLUSHALL"] } else { &words });
        mill.redis.push("jobs", jobs(10_000..10_500));
        all_arrive(&mill.sink, 10_000..10_500);
        if ["FLUSHALL", "lanes"].contains(&robbery) {
            node.says(&["Redis has lost them"]);
        }
        if robbery != "FLUSHALL" {
            all_arrive(&mill.sink, 0..1_000);
        }
        nothing_is_left(&mill.redis);
        assert_eq!(node.ended(), None, "{robbery}");
        assert!(!node.log().contains("panicked"), "{robbery}: {}", node.log());
        assert!(mill.sink.count() <= 1_500 + 4 * HELD, "{robbery}: {} requests", mill.sink.count());
    }
}

#[test]
fn a_redis_in_memory_that_is_killed_is_taken_from_again_and_its_loss_told() {
    let mut mill = busy(Redis::start());
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..1_000));
    progress(&mill, 200);
    mill.redis.kill9();
    mill.redis.restart();
    mill.redis.push("jobs", jobs(10_000..10_500));
    all_arrive(&mill.sink, 10_000..10_500);
    nothing_is_left(&mill.redis);
    node.says(&["Redis has lost them"]);
    assert!(node.log().contains("Redis keeps nothing over a restart"), "it was said before");
    assert_eq!(node.ended(), None);
}

#[test]
fn a_key_of_another_type_is_named_and_waited_for() {
    for key in
        ["jobs", LANES, "gristmill:{jobs}:jobs:delayed", "gristmill:{jobs}:jobs:retry", "gristmill:{jobs}:jobs:dead"]
    {
        let mill = direct(Redis::start(), "retry = { attempts = 2, first = \"10ms\", longest = \"10ms\" }");
        mill.redis.ask::<()>(&["SET", key, "something else"]);
        let node = mill.node();
        mill.sink.answer_first(1, Answer::Status(503));
        mill.sink.answer_first(1, Answer::Status(400));
        if key != "jobs" {
            mill.redis.push("jobs", jobs(0..200));
        }
        node.says(&["holds another type", "`jobs`"]);
        pause(Duration::from_secs(1));
        mill.redis.ask::<()>(&["DEL", key]);
        if key == "jobs" {
            mill.redis.push("jobs", jobs(0..200));
        }
        all_arrive(&mill.sink, 0..200);
        let dead = Dead::of(&mill, "jobs");
        eventually(SOON, "one is buried", || dead.list().pop());
        dead.replay_all();
        nothing_is_left(&mill.redis);
        assert_eq!(troubles(&node), 1, "{key}: {}", node.log());
    }
}

#[test]
fn a_server_that_takes_its_time_to_load_is_waited_for() {
    // A millisecond for each command in its append-only file.
    let slow = ["--key-load-delay", "1000", "--aof-use-rdb-preamble", "no"];
    let mut mill = busy(Redis::setup().durable().args(&slow).start());
    let mut node = mill.node();
    let mut other = redis::pipe();
    for n in 0..3_000 {
        other.cmd("SET").arg(format!("other:{n}")).arg(n).ignore();
    }
    other.exec(&mut mill.redis.connect()).unwrap();
    let producer = Producer::default();
    producer.push(&mill.redis, 2_000);
    progress(&mill, 200);
    mill.redis.stop();
    // Connections are refused for a while, then let in and told that data is being loaded.
    pause(Duration::from_secs(1));
    let began = Instant::now();
    mill.redis.restart();
    assert!(began.elapsed() > Duration::from_secs(2), "it was loading for a while");
    let back = Instant::now();
    progress(&mill, 500);
    assert!(back.elapsed() < Duration::from_secs(15), "500 more after {:?}", back.elapsed());
    node.says(&["loading its data"]);
    producer.push(&mill.redis, 100);
    producer.lost_nothing(&mill, &mill.redis, HELD);
    assert_eq!(node.ended(), None);
    // Once that it is gone, once that it is loading.
    assert!(troubles(&node) <= 2, "{}", node.log());
}

#[test]
fn a_server_that_sleeps_or_reloads_while_messages_are_in_flight_settles_none_twice() {
    let mill = busy(Redis::with_args(&["--enable-debug-command", "yes"]));
    let _node = mill.node();
    let producer = Producer::default();
    producer.push(&mill.redis, 1_500);
    progress(&mill, 200);
    mill.redis.ask::<()>(&["DEBUG", "SLEEP", "3"]);
    progress(&mill, 200);
    mill.redis.ask::<()>(&["DEBUG", "RELOAD"]);
    producer.lost_nothing(&mill, &mill.redis, HELD);
}

#[test]
fn a_long_backlog_costs_neither_memory_nor_a_slow_start() {
    let many = size("GRISTMILL_BACKLOG", 300_000);
    let mill = direct(told_of_slow_commands(), "in_flight = 256");
    drop(mill.node());
    let payload = "x".repeat(500);
    for first in (0..many).step_by(100_000) {
        let some = first..many.min(first + 100_000);
        mill.redis.push("jobs", some.map(|n| format!("{{\"id\":{n},\"text\":\"{payload}\"}}")));
    }
    mill.redis.ask::<()>(&["SLOWLOG", "RESET"]);
    let asked = Instant::now();
    let node = mill.node();
    eventually(SOON, "the first message arrives", || (mill.sink.count() > 0).then_some(()));
    assert!(asked.elapsed() < Duration::from_secs(15), "started after {:?}", asked.elapsed());
    progress(&mill, 20_000);
    assert!(resident_mib(&node) < 250, "{} MiB", resident_mib(&node));
    nothing_was_slow(&mill.redis);
}
