//! Whatever Redis refuses, for a while: it is told once in words an operator can use, and nothing is lost.

use crate::{
    harm::{HELD, Producer, busy, progress, troubles},
    jobs::{SOON, direct},
};
use gristmill_tests::{Answer, Mill, Node, Program, Redis, eventually, eventually::pause};
use std::time::{Duration, Instant};

/// Nothing was away long enough for a lease to end.
const NONE: usize = 0;

/// Lets jobs flow while `harm` is done for some seconds and then mended, and returns the node and its mill.
#[track_caller]
fn survived(redis: Redis, harm: impl Fn(&Redis), mend: impl Fn(&Redis), advice: &[&str]) -> (Mill, Node) {
    let mill = busy(redis);
    let mut node = mill.node();
    let jobs = Producer::default();
    jobs.push(&mill.redis, 1_000);
    progress(&mill, 200);
    harm(&mill.redis);
    node.says(advice);
    pause(Duration::from_secs(2));
    mend(&mill.redis);
    let mended = Instant::now();
    jobs.push(&mill.redis, 100);
    progress(&mill, 1);
    assert!(mended.elapsed() < Duration::from_secs(20), "work goes on after {:?}", mended.elapsed());
    jobs.lost_nothing(&mill, &mill.redis, HELD);
    assert_eq!(node.ended(), None);
    assert!(troubles(&node) <= 2, "told {} times: {}", troubles(&node), node.log());
    (mill, node)
}

fn configure(redis: &Redis, key: &str, value: &str) {
    redis.ask::<()>(&["CONFIG", "SET", key, value]);
}

/// A mill whose first jobs are sent away or take long, on a server that is full.
fn filled(redis: Redis) -> (Mill, Producer) {
    let mill = direct(redis, "retry = { attempts = 9, first = \"100ms\", longest = \"100ms\" }");
    mill.sink.answer_first(50, Answer::Status(503));
    mill.sink.answer_first(50, Answer::Late(Duration::from_millis(300)));
    let producer = Producer::default();
    producer.push(&mill.redis, 2_000);
    (mill, producer)
}

#[test]
fn a_full_redis_is_drained() {
    for program in [Program::OnPath, Program::Valkey] {
        if program.found().is_none() {
            continue;
        }
        let (mill, producer) = filled(Redis::setup().program(program).start());
        let mut node = mill.node();
        configure(&mill.redis, "maxmemory", "1");
        eventually(SOON, "all have arrived though Redis is full", || (mill.sink.count() >= 2_050).then_some(()));
        producer.lost_nothing(&mill, &mill.redis, 50);
        configure(&mill.redis, "maxmemory", "0");
        producer.push(&mill.redis, 100);
        producer.lost_nothing(&mill, &mill.redis, 50);
        assert_eq!(node.ended(), None);
        assert!(troubles(&node) <= 1, "{}", node.log());
    }
}

#[test]
fn an_old_redis_that_is_full_is_waited_for() {
    if Program::Redis62.found().is_none() {
        return;
    }
    let (mill, producer) = filled(Redis::setup().program(Program::Redis62).start());
    let node = mill.node();
    progress(&mill, 100);
    configure(&mill.redis, "maxmemory", "1");
    node.says(&["Redis is full", "maxmemory"]);
    pause(Duration::from_secs(2));
    configure(&mill.redis, "maxmemory", "0");
    producer.lost_nothing(&mill, &mill.redis, 50 + HELD);
    assert!(troubles(&node) <= 1, "{}", node.log());
}

#[test]
fn a_script_that_keeps_redis_busy_is_waited_for_and_not_killed() {
    let redis = Redis::with_args(&["--busy-reply-threshold", "100"]);
    let endless = |redis: &Redis| {
        let socket = redis.socket();
        // Some seconds of the server's own clock; the answer is of no interest.
        let script = "local t = redis.call('TIME')[1] + 4 while redis.call('TIME')[1] + 0 < t do end return 1";
        let mut cli = std::process::Command::new("redis-cli");
        cli.arg("-s").arg(socket).args(["EVAL", script, "0"]);
        drop(cli.stdout(std::process::Stdio::null()).spawn().unwrap());
    };
    survived(redis, endless, |redis| eventually(SOON, "the script ends", || free(redis)), &["SCRIPT KILL"]);
}

fn free(redis: &Redis) -> Option<()> {
    redis::cmd("GET").arg("x").query::<Option<String>>(&mut redis.connect()).ok().map(drop)
}

#[test]
fn a_redis_that_cannot_save_is_waited_for() {
    let broken = |redis: &Redis| {
        std::fs::create_dir(redis.dir().join("dump.rdb")).unwrap();
        configure(redis, "save", "1 1");
        eventually(SOON, "a snapshot has failed", || {
            let info: String = redis.ask(&["INFO", "persistence"]);
            info.contains("rdb_last_bgsave_status:err").then_some(())
        });
    };
    let mend = |redis: &Redis| configure(redis, "stop-writes-on-bgsave-error", "no");
    survived(Redis::start(), broken, mend, &["cannot write to its disk"]);
}

#[test]
fn a_server_that_becomes_a_replica_and_a_master_again_is_taken_from_again() {
    let elsewhere = |redis: &Redis| redis.ask::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let back = |redis: &Redis| redis.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    survived(Redis::start(), elsewhere, back, &["is a replica", "redis+sentinel://"]);
}

#[test]
fn too_few_replicas_are_waited_for() {
    let more = |redis: &Redis| configure(redis, "min-replicas-to-write", "1");
    let fewer = |redis: &Redis| configure(redis, "min-replicas-to-write", "0");
    survived(Redis::start(), more, fewer, &["too few replicas", "min-replicas-to-write"]);
}

#[test]
fn a_password_that_is_changed_is_told_and_taken_again_when_it_is_changed_back() {
    let redis = Redis::setup().password("first").start();
    let cut = |redis: &Redis| {
        // In one transaction, as this very connection would not be let in again.
        let mut connection = redis.connect();
        redis::cmd("CONFIG").arg(&["SET", "requirepass", "second"]).exec(&mut connection).unwrap();
        redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).exec(&mut connection).unwrap();
    };
    let back = |redis: &Redis| {
        let url = format!("unix://{}?pass=second", redis.socket().display());
        let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
        redis::cmd("CONFIG").arg(&["SET", "requirepass", "first"]).exec(&mut connection).unwrap();
    };
    let (_mill, node) = survived(redis, cut, back, &["does not let us in", "password"]);
    assert!(!node.log().contains("first"), "no password is told: {}", node.log());
}

#[test]
fn connections_killed_without_end_by_the_server_lose_nothing() {
    let mill = busy(Redis::start());
    let node = mill.node();
    let jobs = Producer::default();
    for kill in [["TYPE", "normal"], ["USER", "default"]] {
        jobs.push(&mill.redis, 1_000);
        for _ in 0..20 {
            pause(Duration::from_millis(50));
            mill.redis.ask::<()>(&["CLIENT", "KILL", kill[0], kill[1], "SKIPME", "yes"]);
        }
    }
    jobs.lost_nothing(&mill, &mill.redis, NONE);
    assert!(troubles(&node) <= 2, "{}", node.log());
}

#[test]
fn pauses_of_clients_are_waited_out() {
    let mill = busy(Redis::start());
    let _node = mill.node();
    let jobs = Producer::default();
    jobs.push(&mill.redis, 1_000);
    progress(&mill, 200);
    // The first is longer than a taker waits for a living server.
    for (millis, which) in [("11000", "ALL"), ("500", "WRITE")] {
        mill.redis.ask::<()>(&["CLIENT", "PAUSE", millis, which]);
        pause(Duration::from_millis(millis.parse().unwrap()));
        jobs.push(&mill.redis, 200);
    }
    jobs.lost_nothing(&mill, &mill.redis, 2 * HELD);
}

#[test]
fn a_server_without_room_for_another_client_is_waited_for() {
    let mill = busy(Redis::start());
    let node = mill.node();
    let jobs = Producer::default();
    jobs.push(&mill.redis, 1_000);
    progress(&mill, 200);
    // The one client that there may be.
    let mut only = mill.redis.connect();
    let mut ask = |words: &[&str]| redis::cmd(words[0]).arg(&words[1..]).exec(&mut only).unwrap();
    ask(&["CONFIG", "SET", "maxclients", "1"]);
    ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    node.says(&["maxclients"]);
    ask(&["CONFIG", "SET", "maxclients", "1000"]);
    jobs.push(&mill.redis, 100);
    jobs.lost_nothing(&mill, &mill.redis, HELD);
    assert!(troubles(&node) <= 2, "{}", node.log());
}

#[test]
fn a_server_that_cuts_idle_clients_costs_nothing() {
    let mill = busy(Redis::with_args(&["--timeout", "1"]));
    let node = mill.node();
    let jobs = Producer::default();
    for _ in 0..2 {
        pause(Duration::from_millis(2_500));
        jobs.push(&mill.redis, 100);
        jobs.lost_nothing(&mill, &mill.redis, NONE);
    }
    assert_eq!(troubles(&node), 0, "{}", node.log());
}

#[test]
fn scripts_that_the_server_forgets_are_sent_again() {
    let mill = busy(Redis::start());
    let node = mill.node();
    let jobs = Producer::default();
    jobs.push(&mill.redis, 2_000);
    for _ in 0..50 {
        mill.redis.ask::<()>(&["SCRIPT", "FLUSH", "SYNC"]);
        pause(Duration::from_millis(10));
    }
    jobs.lost_nothing(&mill, &mill.redis, NONE);
    assert_eq!(troubles(&node), 0, "{}", node.log());
}
