//! Dead letters keep the bytes and the story, and can be seen, replayed and dropped.

use crate::jobs::{SOON, all_arrive, direct, jobs, nothing_is_left};
use gristmill_tests::{Answer, Dead, Mill, Redis, eventually};
use serde_json::Value;

const THRICE: &str = "retry = { attempts = 3, first = \"50ms\", longest = \"50ms\" }";

/// Waits for `count` letters.
#[track_caller]
fn letters(mill: &Mill, count: usize) -> Vec<Value> {
    eventually(SOON, &format!("{count} dead letters"), || {
        Some(Dead::of(mill, "jobs").list()).filter(|letters| letters.len() == count)
    })
}

#[test]
fn a_message_that_fails_too_often_is_buried_with_its_story() {
    let mill = direct(Redis::start(), THRICE);
    mill.sink.answer(Answer::Status(503));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    let listed = letters(&mill, 1);
    assert_eq!(mill.sink.count(), 3);
    let letter = Dead::of(&mill, "jobs").show(&Dead::entry(&listed[0]));
    let story = letter.to_string();
    assert!(story.contains("http") && story.matches("503").count() >= 3, "every attempt is told: {story}");
    assert_eq!(Dead::of(&mill, "jobs").payload(&Dead::entry(&listed[0])), jobs(1..2)[0], "the original bytes are kept");
}

#[test]
fn a_replayed_letter_is_delivered_and_gone() {
    let mill = direct(Redis::start(), THRICE);
    mill.sink.answer(Answer::Status(400));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..3));
    let listed = letters(&mill, 2);
    mill.sink.answer(Answer::Status(200));
    mill.sink.forget();
    Dead::of(&mill, "jobs").replay(&Dead::entry(&listed[0]));
    eventually(SOON, "the replayed message arrives", || (mill.sink.count() == 1).then_some(()));
    Dead::of(&mill, "jobs").replay_all();
    assert_eq!(all_arrive(&mill.sink, 1..3), 0);
    letters(&mill, 0);
}

#[test]
fn a_dropped_letter_is_gone() {
    let mill = direct(Redis::start(), THRICE);
    mill.sink.answer(Answer::Status(400));
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(1..3));
    let listed = letters(&mill, 2);
    Dead::of(&mill, "jobs").discard(&Dead::entry(&listed[0]));
    let left = letters(&mill, 1);
    assert_eq!(Dead::entry(&left[0]), Dead::entry(&listed[1]));
    Dead::of(&mill, "jobs").discard(&Dead::entry(&left[0]));
    assert_eq!(node.terminate(), 0);
    nothing_is_left(&mill.redis);
}

#[test]
fn letters_go_where_the_config_says() {
    let mill = direct(Redis::start(), &format!("{THRICE}\ndead_letters = \"gristmill:dead:mine\""));
    mill.sink.answer(Answer::Status(400));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    letters(&mill, 1);
    assert_eq!(mill.redis.ask::<usize>(&["XLEN", "gristmill:dead:mine"]), 1);
}

#[test]
fn bytes_that_are_not_text_survive_burial_and_replay() {
    let mill = direct(Redis::start(), THRICE);
    mill.sink.answer(Answer::Status(400));
    let _node = mill.node();
    let payload: &[u8] = b"\xff\xfe\0\x80 not text";
    mill.redis.push("jobs", [payload]);
    let listed = letters(&mill, 1);
    mill.sink.answer(Answer::Status(200));
    mill.sink.forget();
    Dead::of(&mill, "jobs").replay(&Dead::entry(&listed[0]));
    eventually(SOON, "it arrives", || (mill.sink.count() == 1).then_some(()));
    assert_eq!(mill.sink.received()[0].body, payload);
}

#[test]
fn an_unknown_letter_is_an_error_in_words() {
    let mill = direct(Redis::start(), "");
    let finished = mill.run(&["dead", "show", "1-1"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("1-1"), "{}", finished.stderr);
}
