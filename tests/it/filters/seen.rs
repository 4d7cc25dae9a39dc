//! Duplicates that `dedupe` finds: in one node, over nodes, and never a message's own next attempt.

use super::filtering;
use crate::jobs::{SOON, nothing_is_left};
use gristmill_tests::{Answer, Mill, eventually};
use std::time::Duration;

fn deduping(store: &str, keys: &str) -> Mill {
    filtering(
        &["dedupe"],
        &format!("[plugin.dedupe]\nallow_store = \"{store}\"\nconfig = {{ key = \"json:order\", {keys} }}\n"),
    )
}

/// Jobs of these orders; each has a text of its own.
fn orders(numbers: std::ops::Range<u32>, text: &str) -> Vec<String> {
    numbers.map(|number| format!("{{\"order\":{number},\"text\":\"{text}\"}}")).collect()
}

/// How often each order has arrived.
fn arrived(mill: &Mill) -> Vec<usize> {
    let counts = mill.sink.tally(|received| received.json()["order"].as_u64().unwrap());
    (0..counts.len() as u64).map(|number| counts.get(&number).copied().unwrap_or_default()).collect()
}

#[test]
fn of_messages_with_the_same_key_one_arrives() {
    for store in ["memory", "redis"] {
        let mill = deduping(store, "window = \"1h\"");
        let mut node = mill.node();
        for text in ["a", "b", "c"] {
            mill.redis.push("jobs", orders(0..100, text));
        }
        eventually(SOON, "all orders arrive", || (mill.sink.count() >= 100).then_some(()));
        nothing_is_left(&mill.redis);
        assert_eq!(node.terminate(), 0);
        assert_eq!(arrived(&mill), vec![1; 100], "{store}");
    }
}

#[test]
fn two_nodes_share_what_they_have_seen_in_redis() {
    let mill = deduping("redis", "window = \"1h\"");
    let mut nodes = [mill.node(), mill.node()];
    for text in ["a", "b", "c", "d"] {
        mill.redis.push("jobs", orders(0..500, text));
    }
    eventually(SOON, "all orders arrive", || (mill.sink.count() >= 500).then_some(()));
    nothing_is_left(&mill.redis);
    for node in &mut nodes {
        assert_eq!(node.terminate(), 0);
    }
    assert_eq!(arrived(&mill), vec![1; 500]);
    // Another node, another time.
    let _node = mill.node();
    mill.redis.push("jobs", orders(0..501, "e"));
    eventually(SOON, "the new order arrives", || (mill.sink.count() == 501).then_some(()));
    nothing_is_left(&mill.redis);
    assert_eq!(arrived(&mill), vec![1; 501]);
}

#[test]
fn a_message_that_is_tried_again_is_not_its_own_duplicate() {
    for store in ["memory", "redis"] {
        let mill = deduping(store, "window = \"1h\"");
        let _node = mill.node();
        mill.sink.answer_first(3, Answer::Status(503));
        mill.redis.push("jobs", orders(0..1, "a"));
        eventually(SOON, "four attempts", || (mill.sink.count() == 4).then_some(()));
        nothing_is_left(&mill.redis);
        mill.redis.push("jobs", orders(0..1, "b"));
        nothing_is_left(&mill.redis);
        assert_eq!(mill.sink.count(), 4, "{store}");
    }
}

#[test]
fn after_the_window_a_message_comes_through_again() {
    let mill = deduping("redis", "window = \"300ms\"");
    let _node = mill.node();
    mill.redis.push("jobs", orders(0..1, "a"));
    eventually(SOON, "it arrives", || (mill.sink.count() == 1).then_some(()));
    eventually(SOON, "nothing is remembered", || mill.redis.keys("gristmill:store:*").is_empty().then_some(()));
    mill.redis.push("jobs", orders(0..1, "b"));
    eventually(SOON, "it arrives again", || (mill.sink.count() == 2).then_some(()));
}

#[test]
fn without_the_grant_it_is_not_loaded_and_says_what_it_needs() {
    let mill = deduping("nothing", "window = \"1h\"");
    let finished = mill.run(&["run"]);
    assert_eq!(finished.code, 78, "{}", finished.stderr);
    assert!(finished.stderr.contains("allow_store"), "{}", finished.stderr);
}

#[test]
fn marked_duplicates_arrive_and_say_so() {
    let tables = "[plugin.dedupe]\nallow_store = \"memory\"\nconfig = { key = \"payload\", window = \"1h\", mark = \"duplicate\" }\n\
        [plugin.route]\nconfig = { rules = [{ when = { header = \"duplicate\", exists = true }, topic = \"again\" }] }\n";
    let mill = filtering(&["dedupe", "route"], tables);
    let _node = mill.node();
    for expected in ["/hooks/jobs", "/hooks/again", "/hooks/again"] {
        mill.sink.forget();
        mill.redis.push("jobs", ["x"]);
        let received = eventually(Duration::from_secs(30), "it arrives", || mill.sink.received().pop());
        assert_eq!(received.path, expected);
    }
}
