//! Messages over WebSockets, to servers that behave, refuse, and go and come back.

mod peer;
mod ways;

use crate::jobs::{SOON, jobs, nothing_is_left, number_in};
use gristmill_tests::{Dead, Mill, eventually, holds_for, socket::Sockets};
use std::time::Duration;

/// A mill that sends jobs over WebSockets to `url`, with `keys` for its pipeline and `config` for the plugin.
fn mill(url: &str, authority: &str, keys: &str, config: &str) -> Mill {
    Mill::new().plugins(&["websocket"]).config(&format!(
        r#"
[pipeline.jobs]
from = {{ list = "jobs" }}
publish = ["websocket"]
retry = {{ attempts = 20, first = "50ms", longest = "100ms" }}
{keys}

[plugin.websocket]
config = {{ url = "{url}", {config} }}
allow_http = ["{authority}"]
secrets = {{ token = "5e5ame" }}
timeout = "20s"
"#
    ))
}

fn to(server: &Sockets, keys: &str, config: &str) -> Mill {
    mill(&server.url(), &server.authority(), keys, config)
}

/// The numbers of the jobs that the server has read, in that order.
fn numbers(server: &Sockets) -> Vec<u64> {
    server.texts().iter().map(|text| number_in(&serde_json::from_str(text).unwrap())).collect()
}

/// The numbers, each where it came first.
fn first_of_each(numbers: &[u64]) -> Vec<u64> {
    let mut firsts = Vec::new();
    for number in numbers {
        if !firsts.contains(number) {
            firsts.push(*number);
        }
    }
    firsts
}

#[test]
fn messages_go_over_one_connection_in_their_order_with_what_the_config_says() {
    let server = Sockets::start();
    let config = r#"headers = { authorization = "Bearer ${secret:token}" }, subprotocols = ["jobs.v2", "jobs.v1"]"#;
    let mill = mill_at(&server, "/feed/{topic}?q=1", "in_flight = 1", config);
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..200));
    eventually(SOON, "all have arrived", || (server.heard().len() == 200).then_some(()));
    nothing_is_left(&mill.redis);
    assert_eq!(numbers(&server), (0..200).collect::<Vec<_>>());
    assert!(server.heard().iter().all(|heard| heard.is_text && heard.connection == 0));
    let handshake = server.handshakes().remove(0);
    assert_eq!(handshake.path, "/feed/jobs?q=1");
    assert_eq!(handshake.header("authorization"), Some("Bearer 5e5ame"));
    assert_eq!(handshake.header("sec-websocket-protocol"), Some("jobs.v2, jobs.v1"));
}

fn mill_at(server: &Sockets, path: &str, keys: &str, config: &str) -> Mill {
    mill(&format!("{}{path}", server.url()), &server.authority(), keys, config)
}

#[test]
fn each_url_has_a_connection_and_bytes_go_as_they_are() {
    let server = Sockets::start();
    let mill = mill_at(&server, "/{json:id}", "", r#"frames = "binary""#);
    let _node = mill.node();
    for _ in 0..3 {
        mill.redis.push("jobs", [r#"{"id":1}"#, r#"{"id":2}"#]);
    }
    eventually(SOON, "all have arrived", || (server.heard().len() == 6).then_some(()));
    let mut paths: Vec<String> = server.handshakes().into_iter().map(|handshake| handshake.path).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/1", "/2"]);
    assert!(server.heard().iter().all(|heard| !heard.is_text));
}

#[test]
fn a_server_that_closes_and_is_away_for_a_while_misses_nothing() {
    let mut server = Sockets::start();
    // It closes in the middle of what it is sent, without a look at the rest.
    server.close_after(15, 1001);
    let mill = to(&server, "", "");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..100));
    eventually(SOON, "some have arrived", || (server.heard().len() >= 40).then_some(()));
    server.stop();
    mill.redis.push("jobs", jobs(100..150));
    server.keep();
    holds_for(Duration::from_millis(300), "nothing is given up", || Dead::of(&mill, "jobs").list().is_empty());
    server.restart();
    eventually(SOON, "all have arrived", || (first_of_each(&numbers(&server)).len() == 150).then_some(()));
    nothing_is_left(&mill.redis);
    assert!(Dead::of(&mill, "jobs").list().is_empty());
}

#[test]
fn with_a_key_of_order_messages_arrive_in_it_however_often_the_connection_breaks() {
    let server = Sockets::start();
    server.close_after(3, 1012);
    let mill = to(&server, "order_by = \"topic\"", "");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    eventually(SOON, "all have arrived", || (first_of_each(&numbers(&server)).len() == 20).then_some(()));
    nothing_is_left(&mill.redis);
    assert_eq!(first_of_each(&numbers(&server)), (0..20).collect::<Vec<_>>());
    assert!(server.handshakes().len() > 5);
}

#[test]
fn a_handshake_that_is_refused_is_tried_again_or_not_as_its_status_says() {
    let server = Sockets::start();
    server.refuse(Some((401, "")));
    let mill = to(&server, "", "");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..1));
    let letter = eventually(SOON, "it is a dead letter", || Dead::of(&mill, "jobs").list().pop());
    assert!(letter.to_string().contains("401 Unauthorized instead of switching protocols"), "{letter}");
    assert_eq!(server.handshakes().len(), 1);
    // It asks to be left alone for longer than all attempts would take.
    server.refuse(Some((503, "retry-after: 4\r\n")));
    mill.redis.push("jobs", jobs(1..2));
    eventually(SOON, "it was tried", || (server.handshakes().len() == 2).then_some(()));
    mill.redis.push("jobs", jobs(2..10));
    holds_for(Duration::from_secs(2), "it is left alone", || server.handshakes().len() == 2);
    server.refuse(None);
    eventually(SOON, "all have arrived", || (first_of_each(&numbers(&server)).len() == 9).then_some(()));
    assert_eq!(Dead::of(&mill, "jobs").list().len(), 1);
}

#[test]
fn answers_are_waited_for_and_mean_what_the_config_says() {
    let server = Sockets::start();
    server.answer_by(|text| {
        let status = match number_in(&serde_json::from_str(text).unwrap()) {
            1 => "invalid",
            2 => "busy",
            _ => "ok",
        };
        format!(r#"{{"status":"{status}"}}"#)
    });
    let config = r#"answer = { at = "status", done = ["ok"], reject = ["invalid"] }"#;
    let mill = to(&server, "", config);
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..5));
    eventually(SOON, "two are dead letters", || (Dead::of(&mill, "jobs").list().len() == 2).then_some(()));
    let times = |number| numbers(&server).iter().filter(|&&heard| heard == number).count();
    assert_eq!([0, 1, 2, 3, 4].map(times), [1, 1, 20, 1, 1]);
}

#[test]
fn a_server_that_is_not_granted_is_not_connected_to() {
    let server = Sockets::start();
    for (authority, why) in [("example.com", "`allow_http` does not name"), ("*", "is not a public address")] {
        let mill = mill(&server.url(), authority, "", "");
        let _node = mill.node();
        mill.redis.push("jobs", jobs(0..1));
        let letter = eventually(SOON, "it is a dead letter", || Dead::of(&mill, "jobs").list().pop());
        assert!(letter.to_string().contains(why), "{letter}");
    }
    assert!(server.handshakes().is_empty());
}
