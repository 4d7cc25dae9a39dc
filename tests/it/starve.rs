//! Too few descriptors, too little memory, one processor: takes go on, and nothing spins.

use crate::{
    harm::{HELD, Producer, at, descriptors, progress, resident_mib},
    jobs::{PATIENT, SOON, all_arrive, nothing_is_left, pipeline},
};
use gristmill_tests::{Answer, Mill, Node, Redis, Sink, eventually, eventually::pause};
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

/// The processor time that the node has used.
fn processor_time(node: &Node) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", node.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // The system's tick is a hundredth of a second on every Linux there is.
    Duration::from_millis(ticks * 10)
}

#[test]
fn a_busy_publisher_leaves_descriptors_for_redis() {
    let mill = at(Redis::start(), Redis::url).descriptors(64);
    mill.write_config(&pipeline("in_flight = 256", PATIENT));
    mill.sink.answer(Answer::Late(Duration::from_millis(50)));
    let mut node = mill.node();
    let producer = Producer::default();
    producer.push(&mill.redis, 4_000);
    progress(&mill, 500);
    // Redis is left, and found again, while every request wants a connection.
    mill.redis.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    producer.push(&mill.redis, 100);
    let twice = all_arrive(&mill.sink, 0..producer.pushed());
    assert!(twice <= 2 * HELD, "{twice} came twice");
    nothing_is_left(&mill.redis);
    assert!(descriptors(&node) <= 64);
    assert_eq!(node.ended(), None);
    let log = node.log();
    assert!(!log.contains("attempt") && log.lines().count() < 20, "nothing failed for want of a descriptor:\n{log}");
}

#[test]
fn connections_kept_for_other_hosts_make_room() {
    const HOSTS: usize = 30;
    const EACH: usize = 12;
    let sinks: Vec<Sink> = (0..HOSTS).map(|_| Sink::start()).collect();
    let mut config = String::new();
    for (number, sink) in sinks.iter().enumerate() {
        // Each request has a connection, as none is free while the others wait for their answers.
        sink.answer(Answer::Late(Duration::from_millis(100)));
        let (url, authority) = (sink.url(), sink.authority());
        config += &format!(
            "[pipeline.p{number}]\nfrom = {{ list = \"l{number}\" }}\npublish = [\"h{number}\"]\n[plugin.h{number}]\nfile = \"http.wasm\"\n\
             config = {{ url = \"{url}\", method = \"POST\" }}\nallow_http = [\"{authority}\"]\n{PATIENT}"
        );
    }
    let mill = Mill::new().plugins(&["http"]).config(&config).descriptors(500);
    let node = mill.node();
    let began = Instant::now();
    for round in 1..=2 {
        for (number, sink) in sinks.iter().enumerate() {
            mill.redis.push(&format!("l{number}"), (0..EACH).map(|job| format!("{{\"id\":{job},\"round\":{round}}}")));
            eventually(SOON, "they have come", || (sink.count() >= EACH * round).then_some(()));
        }
    }
    // Connections are kept for a minute, and there is room for 250: 360 come before.
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    assert!(sinks.iter().all(|sink| sink.count() == EACH * 2));
    assert!(descriptors(&node) <= 500);
    assert!(!node.log().contains("attempt") && !node.log().contains("descriptor"), "{}", node.log());
}

#[test]
fn without_a_descriptor_left_nothing_spins_and_nothing_is_buried() {
    let mill = at(Redis::start(), Redis::url);
    mill.write_config(&pipeline(
        "in_flight = 64\nretry = { attempts = 3, first = \"100ms\", longest = \"1s\" }",
        PATIENT,
    ));
    let mut node = mill.node();
    let open = descriptors(&node).to_string();
    let limit = |soft: &str| {
        let mut command = std::process::Command::new("prlimit");
        command.args(["--pid", &node.id().to_string(), &format!("--nofile={soft}:")]);
        assert!(command.status().unwrap().success());
    };
    limit(&open);
    let producer = Producer::default();
    producer.push(&mill.redis, 200);
    let before = processor_time(&node);
    pause(Duration::from_secs(4));
    let spent = processor_time(&node) - before;
    assert!(spent < Duration::from_secs(1), "{spent:?} of 4 s");
    limit("1024");
    all_arrive(&mill.sink, 0..200);
    nothing_is_left(&mill.redis);
    assert!(mill.redis.keys("*:dead").is_empty());
    assert!(node.log().lines().count() < 30, "{}", node.log());
    node.says(&["descriptor"]);
    assert_eq!(node.terminate(), 0);
}

#[test]
fn one_processor_is_enough() {
    let mill = at(Redis::start(), Redis::url).under(&["taskset", "-c", "0"]);
    mill.write_config(&pipeline("in_flight = 128", PATIENT));
    let mut node = mill.node();
    let producer = Producer::default();
    let began = Instant::now();
    for _ in 0..4 {
        producer.push(&mill.redis, 1_000);
        progress(&mill, 300);
    }
    producer.lost_nothing(&mill, &mill.redis, 0);
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert_eq!(node.terminate(), 0);
}

/// A memory limit for one process: the control group is gone when this is dropped.
struct MemoryLimit(PathBuf);

impl MemoryLimit {
    /// Nothing, said in a line, where no such group can be made.
    fn of(mib: u64, pid: u32) -> Option<Self> {
        let places = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        let made = places.iter().find_map(|(root, limit)| {
            let group = Self(PathBuf::from(root).join(format!("gristmill-test-{pid}")));
            fs::create_dir(&group.0).ok()?;
            fs::write(group.0.join(limit), (mib << 20).to_string()).ok()?;
            fs::write(group.0.join("cgroup.procs"), pid.to_string()).ok()?;
            Some(group)
        });
        if made.is_none() {
            eprintln!("passed over: no memory control group can be made here: that takes root");
        }
        made
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // The process has to be gone, which takes a moment.
        let end = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.0).is_err() && self.0.exists() && Instant::now() < end {
            pause(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_long_backlog_fits_into_a_small_control_group() {
    let mill = Mill::new().plugins(&["http"]).config(&pipeline("in_flight = 256", PATIENT));
    let node = mill.node();
    let Some(_limit) = MemoryLimit::of(300, node.id()) else { return };
    let mut node = node;
    let text = "x".repeat(100_000);
    mill.redis.push("jobs", (0..3_000).map(|n| format!("{{\"id\":{n},\"text\":\"{text}\"}}")));
    assert_eq!(all_arrive(&mill.sink, 0..3_000), 0);
    nothing_is_left(&mill.redis);
    assert!(resident_mib(&node) < 300);
    assert_eq!(node.terminate(), 0);
}
