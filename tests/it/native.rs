//! The benchmark's native program does the job that it is compared for.

use crate::jobs::{SOON, arrived};
use gristmill_tests::{Mill, Node, eventually};
use std::process::Command;

fn start(mill: &Mill, run: usize) -> Node {
    let mut command = Command::new(env!("CARGO_BIN_EXE_native-job"));
    command.args([&mill.redis.url(), "jobs", &mill.sink.url()]);
    Node::start("native-job", &mut command, &mill.dir().join(format!("native-{run}.log")))
}

fn payloads(count: u64) -> Vec<String> {
    (0..count)
        .map(|id| {
            format!("{{\"id\":{id},\"ip\":\"192.0.2.1\",\"user\":{{\"name\":\"Mia\",\"email\":\"mia@example.org\"}}}}")
        })
        .collect()
}

#[test]
fn it_delivers_every_message_without_the_two_fields() {
    let mill = Mill::new();
    let _job = start(&mill, 1);
    mill.redis.push("jobs", payloads(1_000));
    eventually(SOON, "all have arrived", || (mill.sink.count() == 1_000).then_some(()));
    assert_eq!(arrived(&mill.sink).len(), 1_000);
    let expected = |id| serde_json::json!({"id": id, "user": {"name": "Mia"}});
    assert!(mill.sink.received().iter().all(|received| received.json() == expected(received.json()["id"].clone())));
    eventually(SOON, "the lanes are empty", || mill.redis.keys("native:*:lane:*").is_empty().then_some(()));
}

#[test]
fn a_kill_loses_nothing() {
    let mill = Mill::new();
    let mut job = start(&mill, 1);
    mill.redis.push("jobs", payloads(5_000));
    eventually(SOON, "some have arrived", || (mill.sink.count() >= 500).then_some(()));
    job.kill9();
    for lease in mill.redis.keys("native:*:lease:*") {
        mill.redis.ask::<()>(&["DEL", &lease]);
    }
    let _next = start(&mill, 2);
    eventually(SOON, "all have arrived", || (arrived(&mill.sink).len() == 5_000).then_some(()));
}
