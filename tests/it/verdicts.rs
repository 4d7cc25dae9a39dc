//! What filters decide comes true: pass, replace, split, drop, and the two faults; and publishers may ask twice.

use crate::jobs::{SOON, all_arrive, jobs, nothing_is_left, pipeline};
use gristmill_tests::{Answer, Dead, Mill, eventually};
use std::sync::atomic::{AtomicUsize, Ordering};

const QUICK: &str = "retry = { attempts = 8, first = \"50ms\", longest = \"200ms\" }";

/// A mill whose jobs go through this guest, with this table of its own.
fn through(guest: &str, table: &str) -> Mill {
    let keys = format!("filters = [\"{guest}\"]\n{QUICK}");
    Mill::new().guests(&[guest]).plugins(&["http"]).config(&pipeline(&keys, table))
}

fn misbehaving(config: &str) -> Mill {
    through("misbehave", &format!("[plugin.misbehave]\nconfig = {{ {config} }}\n"))
}

#[test]
fn what_passes_is_untouched_whatever_it_holds() {
    let mill = misbehaving("mode = \"pass\"");
    let _node = mill.node();
    let long: Vec<u8> = (0..10 * 1024 * 1024).map(|n: u32| (n % 251) as u8).collect();
    let payloads: [&[u8]; 5] = [b"not JSON", b"", b"NUL \0\0", b"\xff\xfe\x80", &long];
    mill.redis.push("jobs", payloads);
    eventually(SOON, "all of them arrive", || (mill.sink.count() >= payloads.len()).then_some(()));
    let bodies = mill.sink.bodies();
    assert!(payloads.iter().all(|payload| bodies.get(*payload) == Some(&1)));
    nothing_is_left(&mill.redis);
}

#[test]
fn what_is_replaced_arrives_replaced() {
    let mill = through("stamp", "");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..100));
    assert_eq!(all_arrive(&mill.sink, 0..100), 0);
    assert!(mill.sink.received().iter().all(|received| received.json()["version"] == "version-0001"));
}

#[test]
fn what_is_split_arrives_in_parts_with_keys_of_their_own() {
    let mill = through("splitter", "");
    let _node = mill.node();
    let arrays = (0..50).map(|n| format!("[{{\"id\":{}}},{{\"id\":{}}}]", n * 2, n * 2 + 1));
    mill.redis.push("jobs", arrays);
    mill.redis.push("jobs", ["[]"]);
    assert_eq!(all_arrive(&mill.sink, 0..100), 0);
    let keys = mill.sink.tally(|received| received.header("idempotency-key").map(str::to_owned));
    assert_eq!(keys.len(), 100);
    nothing_is_left(&mill.redis);
}

#[test]
fn a_part_that_fails_is_tried_again_without_the_parts_that_succeeded() {
    let mill = through("splitter", "");
    let failures = AtomicUsize::new(0);
    mill.sink.answer_by(move |received| {
        let fails = received.json()["id"] == 1 && failures.fetch_add(1, Ordering::Relaxed) < 2;
        Answer::Status(if fails { 503 } else { 200 })
    });
    let _node = mill.node();
    mill.redis.push("jobs", ["[{\"id\":0},{\"id\":1},{\"id\":2}]"]);
    eventually(SOON, "the second part's third attempt", || (mill.sink.count() >= 5).then_some(()));
    nothing_is_left(&mill.redis);
    let seen = mill.sink.tally(|received| received.json()["id"].as_u64());
    assert_eq!((seen[&Some(0)], seen[&Some(1)], seen[&Some(2)]), (1, 3, 1));
}

#[test]
fn what_is_dropped_is_done() {
    let mill = misbehaving("mode = \"drop\", when = \"unwanted\"");
    let mut node = mill.node();
    mill.redis.push("jobs", (0..50).map(|n| format!("unwanted {n}")));
    mill.redis.push("jobs", jobs(0..50));
    assert_eq!(all_arrive(&mill.sink, 0..50), 0);
    nothing_is_left(&mill.redis);
    assert_eq!(node.terminate(), 0);
    assert_eq!(mill.sink.count(), 50);
}

#[test]
fn a_filter_that_asks_for_another_attempt_gets_it() {
    let mill = misbehaving("mode = \"retry\", amount = 2, when = \"job 7\"");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    assert_eq!(all_arrive(&mill.sink, 0..20), 0);
    nothing_is_left(&mill.redis);
}

#[test]
fn what_a_filter_rejects_is_buried_with_its_reason() {
    let mill = misbehaving("mode = \"reject\", when = \"job 7\"");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..7));
    mill.redis.push("jobs", jobs(7..8));
    assert_eq!(all_arrive(&mill.sink, 0..7), 0);
    let dead = Dead::of(&mill, "jobs");
    let letters = eventually(SOON, "a dead letter", || Some(dead.list()).filter(|letters| !letters.is_empty()));
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["attempts"], 1, "{letters:?}");
    assert!(letters[0].to_string().contains("rejected on purpose"), "{letters:?}");
}

#[test]
fn a_publisher_may_ask_for_a_second_request_once_the_first_is_answered() {
    let table =
        "[plugin.two-rounds]\nconfig = { urls = [\"$SINK/first\", \"$SINK/second\"] }\nallow_http = [\"$AUTHORITY\"]\n";
    let config = pipeline(QUICK, table).replace("publish = [\"http\"]", "publish = [\"two-rounds\"]");
    let mill = Mill::new().guests(&["two-rounds"]).plugins(&["http"]).config(&config);
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    eventually(SOON, "both requests", || (mill.sink.count() >= 2).then_some(()));
    nothing_is_left(&mill.redis);
    let paths: Vec<String> = mill.sink.received().into_iter().map(|received| received.path).collect();
    assert_eq!(paths, ["/first", "/second"]);
}

#[test]
fn what_is_not_granted_is_not_sent() {
    let config = pipeline(QUICK, "").replace("allow_http = [\"$AUTHORITY\"]", "allow_http = [\"127.0.0.1:1\"]");
    let mill = Mill::new().plugins(&["http"]).config(&config);
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    let dead = Dead::of(&mill, "jobs");
    let letters = eventually(SOON, "a dead letter", || Some(dead.list()).filter(|letters| !letters.is_empty()));
    assert!(letters[0].to_string().contains("allow_http"), "{letters:?}");
    assert_eq!(mill.sink.count(), 0);
}
