//! Disks that are full or cannot be written to: what can go on goes on, and what is wrong is said once.

use crate::{
    harm::{HELD, Producer, progress},
    jobs::{SOON, all_arrive, jobs, nothing_is_left, pipeline},
};
use gristmill_tests::{Answer, Mill, Redis, SmallDisk, eventually, eventually::holds_for, guest_bytes, replace_file};
use std::{fs, path::Path, time::Duration};

/// A mill that keeps what it keeps in `data`.
fn keeping_in(redis: Redis, data: &Path) -> Mill {
    let mill = Mill::on(redis).plugins(&["http"]).guests(&["stamp"]);
    let head =
        format!("redis = \"{}\"\nplugins_dir = \"plugins\"\ndata_dir = \"{}\"\n", mill.redis.url(), data.display());
    rest(&mill, &head);
    mill
}

fn rest(mill: &Mill, head: &str) {
    let rest = pipeline("in_flight = 128", "").replace("$SINK", &mill.sink.url());
    mill.write_raw_config(&format!("{head}{}", rest.replace("$AUTHORITY", &mill.sink.authority())));
}

#[test]
fn a_full_disk_for_compiled_plugins_costs_time_and_nothing_else() {
    let Some(disk) = SmallDisk::of(2) else { return };
    disk.fill();
    let mill = keeping_in(Redis::start(), &disk.path().join("data"));
    let mut node = mill.node();
    node.says(&["compiled plugins are not kept"]);
    let producer = Producer::default();
    producer.push(&mill.redis, 500);
    producer.lost_nothing(&mill, &mill.redis, 0);
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_disk_that_fills_up_later_keeps_no_plugin_from_being_swapped() {
    // Room for the directory and not for what is compiled.
    let Some(disk) = SmallDisk::of(1) else { return };
    let mill = keeping_in(Redis::start(), &disk.path().join("data"));
    let mut node = mill.node();
    let producer = Producer::default();
    producer.push(&mill.redis, 200);
    producer.caught_up(&mill);
    disk.fill();
    let seen = node.log().len();
    // Custom sections may stand at the end: another file with the same code.
    let mut bytes = fs::read(mill.plugin_file("http")).unwrap();
    bytes.extend([0, 5, 4, b'n', b'e', b'w', b'!']);
    replace_file(&mill.plugin_file("http"), &bytes);
    node.says_after(seen, &["swapped"]);
    producer.push(&mill.redis, 200);
    producer.lost_nothing(&mill, &mill.redis, 0);
    let written = fs::read_dir(disk.path().join("data")).unwrap().count();
    assert!(written < 10, "{written} files are left behind");
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_disk_that_cannot_be_written_to_changes_nothing() {
    let Some(disk) = SmallDisk::of(8) else { return };
    let mill = keeping_in(Redis::start(), &disk.path().join("data"));
    let mut node = mill.node();
    assert_eq!(node.terminate(), 0);
    disk.read_only();
    let mut node = mill.node();
    let producer = Producer::default();
    producer.push(&mill.redis, 200);
    producer.caught_up(&mill);
    replace_file(&mill.plugin_file("stamp"), &guest_bytes("splitter"));
    producer.push(&mill.redis, 200);
    producer.lost_nothing(&mill, &mill.redis, 0);
    assert!(!node.log().contains("panicked"), "{}", node.log());
    assert_eq!(node.terminate(), 0);
}

/// A mill with an embedded Redis in `data`.
fn embedded_in(data: &Path) -> Mill {
    let mill = Mill::new().plugins(&["http"]);
    rest(&mill, &format!("redis = \"embedded\"\nplugins_dir = \"plugins\"\ndata_dir = \"{}\"\n", data.display()));
    mill.sink.answer(Answer::Late(Duration::from_millis(5)));
    mill
}

/// A connection to the embedded Redis.
fn embedded_redis(data: &Path) -> redis::Connection {
    let socket = eventually(SOON, "the embedded Redis has a socket", || find(data, "redis.sock"));
    redis::Client::open(format!("unix://{}", socket.display())).unwrap().get_connection().unwrap()
}

fn find(dir: &Path, name: &str) -> Option<std::path::PathBuf> {
    fs::read_dir(dir).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() { find(&path, name) } else { Some(path).filter(|path| path.ends_with(name)) }
    })
}

#[test]
fn an_embedded_redis_on_a_full_disk_is_waited_for_and_loses_nothing() {
    let Some(disk) = SmallDisk::of(24) else { return };
    let data = disk.path().join("data");
    let mill = embedded_in(&data);
    let mut node = mill.node();
    let mut redis = embedded_redis(&data);
    let push = |redis: &mut redis::Connection, numbers: std::ops::Range<u64>| {
        redis::cmd("RPUSH").arg("jobs").arg(jobs(numbers)).exec(redis)
    };
    push(&mut redis, 0..2_000).unwrap();
    progress(&mill, 200);
    disk.fill();
    // Redis writes its file once a second, and refuses from then on.
    eventually(SOON, "Redis cannot keep what it is told", || {
        redis::cmd("SET").arg("filler").arg("x".repeat(100_000)).exec(&mut redis).is_err().then_some(())
    });
    node.says(&["redis does not do what we ask"]);
    holds_for(Duration::from_secs(2), "the node goes on", || node.ended().is_none());
    disk.free();
    eventually(SOON, "Redis takes jobs again", || push(&mut redis, 2_000..2_500).ok());
    let twice = all_arrive(&mill.sink, 0..2_500);
    assert!(twice <= HELD, "{twice} came twice");
    let told = node.log().matches("Redis does not do what we ask").count();
    assert!(told <= 2, "told {told} times:\n{}", node.log());
    assert_eq!(node.terminate(), 0);
}

#[test]
fn an_embedded_redis_that_can_write_nowhere_is_told_with_its_place() {
    let Some(disk) = SmallDisk::of(2) else { return };
    disk.read_only();
    let mill = embedded_in(&disk.path().join("data"));
    let mut node = mill.node_unready();
    let code = node.exit_code(SOON);
    assert!([1, 69, 78].contains(&code), "{code}: {}", node.log());
    let place = disk.path().display().to_string();
    assert!(node.log().contains(&place) && node.log().to_lowercase().contains("read-only"), "{}", node.log());
}

#[test]
fn a_log_that_cannot_be_written_stops_no_message() {
    let mill = keeping_in(Redis::start(), Path::new("data")).under(&["sh", "-c", "exec \"$@\" 2>/dev/full", "sh"]);
    // It cannot say that it is ready.
    let mut node = mill.node_unready();
    let producer = Producer::default();
    producer.push(&mill.redis, 500);
    producer.lost_nothing(&mill, &mill.redis, 0);
    nothing_is_left(&mill.redis);
    assert_eq!(node.terminate(), 0);
}
