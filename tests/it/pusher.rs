//! The plugin `pusher`, a real server that speaks Pusher's protocol, and a real client that listens.

use crate::jobs::{SOON, nothing_is_left, something_is_scheduled};
use gristmill_tests::{
    Dead, Mill, Redis, eventually,
    pusher::{APP, Heard, KEY, SECRET, Soketi},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A mill whose jobs are triggered on `soketi`; `more` goes into the plugin's config, `retry` into the pipeline.
fn mill(soketi: &Soketi, more: &str, retry: &str) -> Mill {
    let (url, authority) = (soketi.url(), soketi.authority());
    Mill::on(Redis::start()).plugins(&["pusher"]).env("PUSHER_SECRET", SECRET).config(&format!(
        r#"
[pipeline.jobs]
from = {{ list = "jobs" }}
publish = ["pusher"]
{retry}

[plugin.pusher]
config = {{ app_id = "{APP}", key = "{KEY}", secret = "${{PUSHER_SECRET}}", url = "{url}"{more} }}
allow_http = ["{authority}"]
allow = ["clock"]
timeout = "20s"
"#
    ))
}

fn heard(channel: &str, event: &str, data: Value) -> Heard {
    Heard { channel: channel.into(), event: event.into(), data }
}

/// Waits for so many dead letters.
#[track_caller]
fn letters(mill: &Mill, count: usize) -> Vec<Value> {
    eventually(SOON, &format!("{count} dead letters"), || {
        let letters = Dead::of(mill, "jobs").list();
        (letters.len() == count).then_some(letters)
    })
}

#[test]
fn events_reach_those_who_listen_to_their_channels() {
    let Some(soketi) = Soketi::start() else { return };
    let listener = soketi.listen(&["gauge-1", "private-b", "presence-c"]);
    let mill = mill(&soketi, "", "order_by = \"topic\"");
    let _node = mill.node();
    let payloads = [
        json!({"channel": "gauge-1", "event": "hit", "data": {"views": 12, "title": "ü \"<>\""}}),
        json!({"channels": ["private-b", "presence-c", "nobody"], "event": "say", "data": "plain text"}),
        json!({"channel": "gauge-1", "event": "rest", "views": 13}),
    ];
    mill.redis.push("jobs", payloads.map(|payload| payload.to_string()));
    let mut all = listener.hears(4);
    all.retain(|heard| !heard.event.starts_with("pusher_internal:"));
    assert_eq!(
        all,
        [
            heard("gauge-1", "hit", json!({"views": 12, "title": "ü \"<>\""})),
            heard("private-b", "say", json!("plain text")),
            heard("presence-c", "say", json!("plain text")),
            heard("gauge-1", "rest", json!({"views": 13})),
        ]
    );
    nothing_is_left(&mill.redis);
}

#[test]
fn the_connection_that_is_named_is_left_out() {
    let Some(soketi) = Soketi::start() else { return };
    let (one, other) = (soketi.listen(&["room"]), soketi.listen(&["room"]));
    let mill = mill(&soketi, ", channel = \"room\", event = \"{json:kind}\"", "order_by = \"topic\"");
    let _node = mill.node();
    let said = json!({"kind": "said", "data": 1, "socket_id": one.socket_id()});
    mill.redis.push("jobs", [said.to_string(), json!({"kind": "last", "data": 2}).to_string()]);
    assert_eq!(other.hears(2), [heard("room", "said", json!(1)), heard("room", "last", json!(2))]);
    assert_eq!(one.hears(1), [heard("room", "last", json!(2))]);
}

#[test]
fn all_of_many_channels_get_the_event() {
    let Some(soketi) = Soketi::start() else { return };
    let channels: Vec<String> = (0..250).map(|number| format!("c{number}")).collect();
    let ends = ["c0", "c99", "c100", "c199", "c200", "c249"];
    let listener = soketi.listen(&ends);
    let mill = mill(&soketi, "", "");
    let _node = mill.node();
    mill.redis.push("jobs", [json!({"channels": channels, "event": "e", "data": {}}).to_string()]);
    let heard: BTreeSet<String> = listener.hears(ends.len()).into_iter().map(|heard| heard.channel).collect();
    assert_eq!(heard, ends.map(str::to_owned).into());
    nothing_is_left(&mill.redis);
}

#[test]
fn what_no_server_would_take_is_a_dead_letter_that_says_why_and_was_never_sent() {
    let mill = Mill::new().plugins(&["pusher"]).config(
        r#"
[pipeline.jobs]
from = { list = "jobs" }
publish = ["pusher"]

[plugin.pusher]
config = { app_id = "3", key = "k", secret = "s", url = "$SINK" }
allow_http = ["$AUTHORITY"]
allow = ["clock"]
timeout = "20s"
"#,
    );
    let _node = mill.node();
    let long = json!({"channel": "a", "event": "e", "data": "x".repeat(10_241)}).to_string();
    let wrong = [
        (long, "10241 bytes, more than the 10240"),
        (json!({"channel": "a b", "event": "e"}).to_string(), "no channel can be called `a b`"),
        (json!({"channel": "presence-", "event": "e"}).to_string(), "no channel can be called `presence-`"),
        (json!({"channel": "a"}).to_string(), "no `event`"),
        ("no json".to_owned(), "not JSON"),
    ];
    mill.redis.push("jobs", wrong.iter().map(|(payload, _)| payload));
    let letters = letters(&mill, wrong.len());
    for (_, reason) in &wrong {
        assert!(letters.iter().any(|letter| letter.to_string().contains(reason)), "{reason}: {letters:#?}");
    }
    assert_eq!(mill.sink.count(), 0);
}

#[test]
fn ten_events_go_in_one_request_and_all_are_heard() {
    let Some(soketi) = Soketi::start() else { return };
    let listener = soketi.listen(&["gauge-0", "gauge-1", "gauge-2"]);
    let mill = mill(&soketi, "", "");
    let event = |number: u64| {
        let channel = format!("gauge-{}", number % 3);
        json!({"channel": channel, "event": "hit", "data": {"n": number}}).to_string()
    };
    let wrong = json!({"channel": "a b", "event": "hit"}).to_string();
    mill.redis.push("jobs", (0..200).map(event).chain([wrong]));
    let node = mill.node();
    let mut numbers: Vec<u64> = listener.hears(200).iter().filter_map(|heard| heard.data["n"].as_u64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>(), "each is heard once");
    letters(&mill, 1);
    let status: Value = serde_json::from_str(&mill.run(&["status", "--json"]).stdout).expect("a status");
    let text = status.to_string();
    let requests = requests(&status).unwrap_or_else(|| panic!("{text}"));
    assert!((20..100).contains(&requests), "{requests} requests for 200 events: {}", node.log());
}

/// How many requests a node has carried out for its plugins, wherever its status has that.
fn requests(status: &Value) -> Option<u64> {
    match status {
        Value::Object(members) => {
            members.get("requests").and_then(Value::as_u64).or_else(|| members.values().find_map(requests))
        }
        Value::Array(items) => items.iter().find_map(requests),
        _ => None,
    }
}

#[test]
fn a_wrong_secret_is_told_and_not_tried_again() {
    let Some(soketi) = Soketi::start() else { return };
    let mill = mill(&soketi, "", "").env("PUSHER_SECRET", "another");
    let _node = mill.node();
    mill.redis.push("jobs", [json!({"channel": "a", "event": "e", "data": 1}).to_string()]);
    let letters = letters(&mill, 1);
    assert!(letters[0].to_string().contains("answered 401"), "{letters:#?}");
}

#[test]
fn nothing_is_lost_while_the_server_is_down() {
    const EVENTS: u64 = 200;
    let Some(mut soketi) = Soketi::start() else { return };
    let listener = soketi.listen(&["a"]);
    let retry = "retry = { attempts = 1000, first = \"100ms\", longest = \"500ms\" }";
    let mill = mill(&soketi, "", retry);
    let node = mill.node();
    let event = |number| json!({"channel": "a", "event": "e", "data": {"n": number}}).to_string();
    mill.redis.push("jobs", (0..EVENTS / 2).map(event));
    listener.hears(100);
    soketi.stop();
    mill.redis.push("jobs", (EVENTS / 2..EVENTS).map(event));
    something_is_scheduled(&mill.redis);
    // What a server takes while nobody listens nobody hears: the node waits until the listener is back.
    node.sigstop();
    soketi.restart();
    eventually(SOON, "the listener is back", || (listener.joined() > 1).then_some(()));
    node.sigcont();
    nothing_is_left(&mill.redis);
    let all: BTreeSet<u64> = (0..EVENTS).collect();
    eventually(SOON, "every event is heard", || {
        let heard: BTreeSet<u64> = listener.heard().iter().filter_map(|heard| heard.data["n"].as_u64()).collect();
        (heard == all).then_some(())
    });
    assert!(Dead::of(&mill, "jobs").list().is_empty(), "{}", node.log());
}
