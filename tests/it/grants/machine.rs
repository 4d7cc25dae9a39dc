//! Environment, clocks, randomness and sockets.

use super::{mill, told};
use crate::jobs::SOON;
use gristmill_tests::{Answer, eventually};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

/// What the guest's clock shows in milliseconds, and whether it moves.
fn clock(came: &str) -> (u128, bool) {
    let (time, moves) = came.strip_prefix("ok ").unwrap().split_once(' ').unwrap();
    (time.parse().unwrap(), moves == "true")
}

#[test]
fn a_plugin_sees_the_variables_it_was_granted_and_no_others() {
    let granted = mill("allow_env = [\"GREETING\", \"NOT_SET\"]").env("GREETING", "hello").env("HIDDEN", "x");
    let _node = granted.node();
    assert_eq!(told(&granted, &json!({ "do": "environment" })), "ok GREETING=hello");
    let bare = mill("").env("GREETING", "hello");
    let _node = bare.node();
    assert_eq!(told(&bare, &json!({ "do": "environment" })), "ok ");
}

#[test]
fn without_the_clock_time_is_when_the_message_came_and_stands_still() {
    let mill = mill("");
    let _node = mill.node();
    let before = now_ms();
    let (first, moves) = clock(&told(&mill, &json!({ "do": "clock" })));
    assert!(!moves);
    assert!((before - 1_000..=now_ms()).contains(&first), "{first} is now");
    let (second, _) = clock(&told(&mill, &json!({ "do": "clock" })));
    assert!(second >= first);
    // It waits all the same.
    let start = now_ms();
    assert_eq!(told(&mill, &json!({ "do": "sleep", "millis": 300 })), "ok done");
    assert!(now_ms() - start >= 300);
}

#[test]
fn with_the_clock_time_goes_on() {
    let mill = mill("allow = [\"clock\"]");
    let _node = mill.node();
    let before = now_ms();
    let (time, moves) = clock(&told(&mill, &json!({ "do": "clock" })));
    assert!(moves);
    assert!((before..=now_ms()).contains(&time), "{time} is now");
}

#[test]
fn without_randomness_keys_cannot_be_made_but_maps_can() {
    let mill = mill("");
    let node = mill.node();
    assert_eq!(told(&mill, &json!({ "do": "hash-map" })), "ok 1");
    mill.redis.push("jobs", [json!({ "do": "random" }).to_string()]);
    node.says(&["dead letters", "reach", "asked for secure randomness", "allow = [\\\"random\\\"]"]);
    assert_eq!(told(&mill, &json!({ "do": "hash-map" })), "ok 1");
}

#[test]
fn with_randomness_no_two_keys_are_the_same() {
    let mill = mill("allow = [\"random\"]");
    let _node = mill.node();
    let keys = [(); 3].map(|()| told(&mill, &json!({ "do": "random" })));
    assert!(keys.iter().all(|key| key.len() == 35 && key.starts_with("ok ")), "{keys:?}");
    assert!(keys[0] != keys[1] && keys[1] != keys[2]);
}

#[test]
fn nothing_opens_a_socket() {
    let everything = "allow_http = [\"*\"]\nallow = [\"clock\", \"random\"]";
    let mill = mill(everything);
    let _node = mill.node();
    for address in [mill.sink.authority(), "localhost:80".to_owned(), "[::1]:80".to_owned()] {
        let came = told(&mill, &json!({ "do": "connect", "address": address }));
        assert!(came.starts_with("no "), "{address}: {came}");
    }
}

#[test]
fn a_message_that_is_tried_again_is_told_the_same_time() {
    let mill = mill("");
    let config = std::fs::read_to_string(mill.config_file()).unwrap();
    let often = "retry = { attempts = 3, first = \"700ms\", longest = \"700ms\" }";
    mill.write_raw_config(&config.replace("retry = { attempts = 1, crashes = 1 }", often));
    mill.sink.answer_first(2, Answer::Status(503));
    let _node = mill.node();
    mill.redis.push("jobs", [json!({ "do": "clock" }).to_string()]);
    eventually(SOON, "it is delivered at the third attempt", || (mill.sink.count() == 3).then_some(()));
    let times: Vec<u128> = mill.sink.received().iter().map(|received| clock(&received.text()).0).collect();
    assert!(times.iter().all(|time| *time == times[0]), "{times:?}");
}
