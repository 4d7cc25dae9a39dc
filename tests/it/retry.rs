//! What fails is tried again, after the right pause, as often as allowed.

use crate::jobs::{SOON, all_arrive, direct, jobs, nothing_is_left, pipeline, something_is_scheduled};
use gristmill_tests::{Answer, Dead, Mill, Redis, eventually, holds_for};
use std::time::Duration;

const QUICK: &str = "retry = { attempts = 8, first = \"50ms\", longest = \"200ms\" }";

#[test]
fn a_message_that_fails_twice_succeeds_under_the_same_idempotency_key() {
    let mill = direct(Redis::start(), QUICK);
    mill.sink.answer_first(2, Answer::Status(503));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    eventually(SOON, "the third attempt", || (mill.sink.count() == 3).then_some(()));
    nothing_is_left(&mill.redis);
    let received = mill.sink.received();
    let keys: Vec<_> = received.iter().map(|one| one.header("idempotency-key").expect("a key")).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert!(received.iter().all(|one| one.body == received[0].body));
    holds_for(Duration::from_millis(500), "there are three attempts", || mill.sink.count() == 3);
}

#[test]
fn the_sink_says_when_to_come_back() {
    let mill = direct(Redis::start(), QUICK);
    mill.sink.answer_first(1, Answer::RetryAfter(503, 2));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    eventually(SOON, "the second attempt", || (mill.sink.count() == 2).then_some(()));
    let received = mill.sink.received();
    let pause = received[1].at - received[0].at;
    assert!(pause >= Duration::from_millis(1_950), "came back after {pause:?}");
}

#[test]
fn pauses_grow() {
    let mill = direct(Redis::start(), "retry = { attempts = 4, first = \"200ms\", longest = \"10s\" }");
    mill.sink.answer(Answer::Status(500));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    eventually(SOON, "the fourth attempt", || (mill.sink.count() == 4).then_some(()));
    let received = mill.sink.received();
    let whole = received[3].at - received[0].at;
    // 200 + 400 + 800 ms, of which jitter may take a half.
    assert!(whole >= Duration::from_millis(700), "four attempts within {whole:?}");
}

#[test]
fn a_sink_that_is_away_is_waited_for() {
    let mut mill = direct(Redis::start(), QUICK);
    mill.sink.stop();
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    something_is_scheduled(&mill.redis);
    mill.sink.restart();
    assert_eq!(all_arrive(&mill.sink, 0..20), 0);
    nothing_is_left(&mill.redis);
}

#[test]
fn a_sink_that_says_nothing_or_hangs_up_is_tried_again() {
    let config = pipeline(QUICK, "http_timeout = \"300ms\"\n");
    let mill = Mill::new().plugins(&["http"]).config(&config);
    mill.sink.answer_first(1, Answer::Hang);
    mill.sink.answer_first(1, Answer::Close);
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    eventually(SOON, "the third attempt", || (mill.sink.count() >= 3).then_some(()));
    nothing_is_left(&mill.redis);
}

#[test]
fn a_refusal_is_not_repeated() {
    let mill = direct(Redis::start(), QUICK);
    mill.sink.answer(Answer::Status(400));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    let letters = eventually(SOON, "a dead letter", || {
        Some(Dead::of(&mill, "jobs").list()).filter(|letters| !letters.is_empty())
    });
    assert!(letters[0].to_string().contains("400"), "{letters:?}");
    assert_eq!(mill.sink.count(), 1);
}

#[test]
fn attempts_outlive_a_kill() {
    let mill = direct(Redis::start(), "retry = { attempts = 4, first = \"500ms\", longest = \"500ms\" }");
    mill.sink.answer(Answer::Status(503));
    let mut first = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    eventually(SOON, "the second attempt", || (mill.sink.count() == 2).then_some(()));
    something_is_scheduled(&mill.redis);
    first.kill9();
    let _second = mill.node();
    eventually(SOON, "a dead letter", || (!Dead::of(&mill, "jobs").list().is_empty()).then_some(()));
    // The kill may have hit the third attempt, which then has a successor.
    assert!((4..=5).contains(&mill.sink.count()), "{} attempts", mill.sink.count());
}

#[test]
fn a_publisher_that_succeeded_is_not_run_again_for_another_that_failed() {
    let other = "\n[plugin.other]\nfile = \"http.wasm\"\nconfig = { url = \"$SINK/other\", method = \"POST\" }\nallow_http = [\"$AUTHORITY\"]\n";
    let config = pipeline(QUICK, other).replace("publish = [\"http\"]", "publish = [\"http\", \"other\"]");
    let mill = Mill::new().plugins(&["http"]).config(&config);
    let failures = std::sync::atomic::AtomicUsize::new(0);
    mill.sink.answer_by(move |received| {
        let fails = received.path == "/other" && failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2;
        Answer::Status(if fails { 503 } else { 200 })
    });
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..2));
    eventually(SOON, "the other publisher's third attempt", || {
        (mill.sink.tally(|one| one.path.clone()).get("/other") == Some(&3)).then_some(())
    });
    nothing_is_left(&mill.redis);
    assert_eq!(mill.sink.tally(|one| one.path.clone())["/hooks/jobs"], 1);
    let keys = mill.sink.tally(|one| (one.path.clone(), one.header("idempotency-key").map(str::to_owned)));
    assert_eq!(keys.len(), 2, "one key for each publisher: {keys:?}");
}
