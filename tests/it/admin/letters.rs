//! Dead letters through a running node.

use super::{
    caller::{Caller, FULL},
    mill,
};
use crate::jobs::{SOON, jobs, number};
use gristmill_tests::{Answer, eventually};
use serde_json::Value;

/// Waits for so many, and returns their entries.
fn entries(caller: &Caller, count: usize) -> Vec<String> {
    let entries = || {
        let found = caller.get("/api/dead").json();
        let letters = found["letters"].as_array().unwrap().clone();
        letters.iter().map(|letter| letter["entry"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    eventually(SOON, &format!("{count} dead letters"), || Some(entries()).filter(|entries| entries.len() == count))
}

#[test]
fn a_letter_is_replayed_as_it_was_or_edited_or_dropped() {
    let mill = mill("");
    mill.sink.answer(Answer::Status(400));
    let node = mill.node();
    let caller = Caller::of(&mill).with(FULL);
    mill.redis.push("jobs", jobs(1..4));
    let found = entries(&caller, 3);
    mill.sink.forget();
    mill.sink.answer(Answer::Status(200));
    let replay = |entry: &str, body: &str| caller.ask("POST", &format!("/api/dead/{entry}/replay"), body).json();
    let before = caller.get(&format!("/api/dead/{}", found[0])).json();
    assert_eq!(replay(&found[0], "")["replayed_as"], before["id"]);
    let edited = replay(&found[1], &serde_json::json!({ "payload": "{\"id\":77}" }).to_string());
    assert_ne!(edited["replayed_as"], caller.get(&format!("/api/dead/{}", found[2])).json()["id"]);
    eventually(SOON, "both arrive", || (mill.sink.count() == 2).then_some(()));
    let mut numbers: Vec<u64> = mill.sink.received().iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!((numbers.contains(&77), numbers.len()), (true, 2));
    node.says(&["dead letter replayed", "edited=true"]);
    assert_eq!(caller.ask("DELETE", &format!("/api/dead/{}", found[2]), "").status, 200);
    node.says(&["dead letter dropped"]);
    entries(&caller, 0);
}

#[test]
fn letters_are_found_by_what_is_in_them_and_told_page_by_page() {
    let mill = mill("");
    mill.sink.answer(Answer::Status(400));
    let _node = mill.node();
    let caller = Caller::of(&mill).with(FULL);
    mill.redis.push("jobs", jobs(0..60));
    let total = || caller.get("/api/dead?limit=1").json()["total"] == 60;
    eventually(SOON, "all are dead", || total().then_some(()));
    let found = |query: &str| caller.get(&format!("/api/dead?{query}")).json();
    let count = |found: &Value| found["letters"].as_array().unwrap().len();
    assert_eq!((count(&found("")), &found("")["more"]), (50, &Value::Bool(true)));
    assert_eq!((count(&found("limit=100")), &found("limit=100")["more"]), (60, &Value::Bool(false)));
    assert_eq!(count(&found("search=%22job%2042%22")), 1);
    assert_eq!(count(&found("plugin=stamp")), 0);
    assert_eq!(count(&found("reason=400&newer=1h&limit=500")), 60);
    assert_eq!(count(&found("older=1h")), 0);
}

#[test]
fn letters_cannot_be_asked_for_while_redis_is_away_and_the_node_says_so() {
    let mut mill = mill("");
    let _node = mill.node();
    let caller = Caller::of(&mill).with(FULL);
    mill.redis.kill9();
    assert_eq!(caller.get("/api/dead").status, 503);
    let ready = eventually(SOON, "it is no longer ready", || {
        let ready = caller.get("/health/ready");
        (ready.status == 503).then_some(ready)
    });
    assert!(ready.body.contains("no Redis answers"), "{}", ready.body);
    assert_eq!(caller.get("/health/live").status, 200);
    mill.redis.restart();
    eventually(SOON, "it is ready again", || (caller.get("/health/ready").status == 200).then_some(()));
}
