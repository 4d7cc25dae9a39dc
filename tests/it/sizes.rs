//! Messages of any size and content, and very many that wait for another attempt.

use crate::{
    harm::resident_mib,
    jobs::{SOON, all_arrive, direct, jobs, nothing_is_left},
};
use gristmill_tests::{Dead, Redis, eventually};
use std::collections::HashSet;

#[test]
fn a_payload_of_any_size_and_content_arrives_as_it_was_pushed() {
    let mill = direct(Redis::start(), "");
    let node = mill.node();
    let mut odd: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![0],
        b"\xff\xfe\0\x80 not text".to_vec(),
        b"*1\r\n$4\r\nPING\r\n".to_vec(),
        b"{\"id\":\"a\"}\n1\n2".to_vec(),
        "[".repeat(100_000).into_bytes(),
        (0..=255).collect(),
    ];
    odd.push(vec![b'l'; 4 << 20]);
    mill.redis.push("jobs", &odd);
    eventually(SOON, "all have arrived", || (mill.sink.count() >= odd.len()).then_some(()));
    let arrived: HashSet<Vec<u8>> = mill.sink.received().into_iter().map(|one| one.body.to_vec()).collect();
    assert_eq!(arrived, odd.into_iter().collect());
    nothing_is_left(&mill.redis);
    drop(node);
}

#[test]
fn payloads_larger_than_a_plugin_may_hold_are_buried_and_disturb_nobody() {
    let mill = direct(Redis::start(), "retry = { attempts = 2, first = \"50ms\", longest = \"50ms\" }");
    let mut node = mill.node();
    for huge in 0..4_u8 {
        mill.redis.push("jobs", [vec![b'0' + huge; 64 << 20]]);
    }
    mill.redis.push("jobs", jobs(0..500));
    assert_eq!(all_arrive(&mill.sink, 0..500), 0);
    let letters = eventually(SOON, "all of them are buried", || {
        Some(Dead::of(&mill, "jobs").list()).filter(|letters| letters.len() == 4)
    });
    assert!(letters[0].to_string().contains("memory_mib"), "{}", letters[0]);
    assert_eq!(node.ended(), None);
    assert!(resident_mib(&node) < 1_024, "{} MiB", resident_mib(&node));
}

#[test]
fn very_many_that_wait_for_another_attempt_are_taken_in_their_time() {
    const MANY: u64 = 200_000;
    let mill = direct(Redis::start(), "in_flight = 256");
    let mut connection = mill.redis.connect();
    for first in (0..MANY).step_by(1_000) {
        let mut add = redis::cmd("ZADD");
        add.arg("gristmill:{jobs}:jobs:delayed");
        for (number, job) in (first..).zip(jobs(first..first + 1_000)) {
            // Due long ago, or in a hundred years.
            let due = if number < 20_000 { 1 } else { 4_000_000_000_000_u64 };
            add.arg(due)
                .arg(format!("{{\"id\":\"{number}\",\"attempts\":1,\"received_ms\":1,\"troubles\":[]}}\n{job}"));
        }
        add.exec(&mut connection).unwrap();
    }
    let mut node = mill.node();
    assert_eq!(all_arrive(&mill.sink, 0..20_000), 0);
    assert!(resident_mib(&node) < 200, "{} MiB", resident_mib(&node));
    let waiting: u64 = mill.redis.ask(&["ZCARD", "gristmill:{jobs}:jobs:delayed"]);
    assert_eq!(waiting, MANY - 20_000);
    assert_eq!(node.terminate(), 0);
}
