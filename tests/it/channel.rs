//! What channels bring and a server has no room for waits in the node, within its bounds, and keeps nothing from others.

use crate::{
    jobs::{PATIENT, SOON, number, pipeline},
    status::get,
};
use gristmill_tests::{Answer, Mill, Redis, Sink, eventually};
use std::{
    collections::BTreeSet,
    ops::Range,
    time::{Duration, Instant},
};

/// How long the server wants to be left alone that does.
const PAUSE: u32 = 5;

/// A mill whose messages come from channels `to.PORT` and go to one of two servers, by their topic.
fn two(keys: &str) -> (Mill, Sink) {
    let other = Sink::start();
    let keys = format!("in_flight = 8\nretry = {{ attempts = 3, first = \"10ms\", longest = \"10ms\" }}\n{keys}");
    let config = pipeline(&keys, PATIENT)
        .replace("{ list = \"jobs\" }", "{ pattern = \"to.*\" }")
        .replace("$SINK/hooks/{topic}", "http://127.0.0.1:{json:port}/hooks")
        .replace("[\"$AUTHORITY\"]", &format!("[\"$AUTHORITY\", \"{}\"]", other.authority()));
    (Mill::new().plugins(&["http"]).config(&config), other)
}

/// Publishes to the channel of this server.
fn publish(redis: &Redis, sink: &Sink, numbers: Range<u64>) {
    let port = sink.authority().rsplit_once(':').unwrap().1.to_owned();
    let mut connection = redis.connect();
    for number in numbers {
        let message = format!("{{\"id\":{number},\"port\":{port}}}");
        let heard: usize = redis::cmd("PUBLISH").arg(format!("to.{port}")).arg(message).query(&mut connection).unwrap();
        assert_eq!(heard, 1, "the node listens");
    }
}

fn listens(mill: &Mill) {
    eventually(SOON, "it listens", || (mill.redis.ask::<usize>(&["PUBSUB", "NUMPAT"]) == 1).then_some(()));
}

fn numbers(sink: &Sink) -> BTreeSet<u64> {
    sink.received().iter().map(number).collect()
}

/// The node, once the first of two servers has asked to be left alone; it asks only once.
fn resting(mill: &Mill) -> (gristmill_tests::Node, Instant) {
    mill.sink.answer_first(1, Answer::RetryAfter(503, PAUSE));
    let node = mill.node();
    listens(mill);
    publish(&mill.redis, &mill.sink, 0..1);
    node.says(&["asks to be left alone", &mill.sink.authority()]);
    let asked = mill.sink.received()[0].at;
    (node, asked)
}

#[test]
fn a_server_that_asks_for_a_pause_does_not_stop_messages_to_others() {
    let (mill, other) = two("");
    let (mut node, asked) = resting(&mill);
    // Many times what may be in flight, before those to the other and between them.
    for round in 0..10 {
        publish(&mill.redis, &mill.sink, 1 + round * 20..1 + (round + 1) * 20);
        publish(&mill.redis, &other, 1_000 + round * 20..1_000 + (round + 1) * 20);
    }
    eventually(SOON, "the other has all of its own", || (other.count() == 200).then_some(()));
    let quick = asked.elapsed() < Duration::from_secs(u64::from(PAUSE) - 1);
    assert!(!quick || mill.sink.count() == 1, "{} came within the pause", mill.sink.count());
    // The one that was refused, and all of them then.
    eventually(SOON, "all have come", || (mill.sink.count() == 202).then_some(()));
    assert_eq!(numbers(&mill.sink), (0..201).collect());
    let waited = mill.sink.received()[1].at - asked;
    assert!(waited >= Duration::from_millis(u64::from(PAUSE) * 1_000 - 50), "{waited:?}");
    assert_eq!(node.terminate(), 0);
    assert!(!node.log().contains("dropped"), "{}", node.log());
}

#[test]
fn of_what_waits_for_such_a_server_no_more_is_kept_than_may_wait() {
    only_the_newest_are_kept("");
}

#[test]
fn what_was_dropped_of_a_key_is_not_waited_for_by_those_behind_it() {
    let Some((sink, asked)) = only_the_newest_are_kept("order_by = \"topic\"") else { return };
    let received = sink.received();
    assert!(received.iter().map(number).is_sorted(), "{received:?}");
    let waited = received[1].at - asked;
    assert!(waited < Duration::from_secs(30), "{waited:?}: as after a message that is gone without a word");
}

/// Returns the server that rested, and since when.
fn only_the_newest_are_kept(keys: &str) -> Option<(Sink, Instant)> {
    let (mill, other) = two(&format!("{keys}\nbacklog = {{ keep = 20, drop = \"oldest\" }}"));
    let (mut node, asked) = resting(&mill);
    for round in 0..30 {
        publish(&mill.redis, &mill.sink, 1 + round * 10..1 + (round + 1) * 10);
        // One after the other, so that nothing of what is looked at here is for want of speed.
        publish(&mill.redis, &other, 1_000 + round..1_001 + round);
        eventually(SOON, "the other has its own", || (other.count() == round as usize + 1).then_some(()));
    }
    if asked.elapsed() > Duration::from_secs(u64::from(PAUSE)) {
        eprintln!("passed over: this machine is too busy to publish 300 messages within the pause");
        return None;
    }
    let newest: BTreeSet<u64> = (281..301).collect();
    eventually(SOON, "the newest have come", || numbers(&mill.sink).is_superset(&newest).then_some(()));
    node.says(&["ERROR", "more messages wait for another attempt", "which=\"oldest\""]);
    let counted = "gristmill_channel_dropped_messages_total{pipeline=\"jobs\",waited_for=\"another attempt\"} 281\n";
    eventually(SOON, "all that went are counted", || get(&mill, "/metrics").contains(counted).then_some(()));
    assert_eq!(node.terminate(), 0);
    assert_eq!(numbers(&mill.sink), newest.into_iter().chain([0]).collect(), "the first had been sent once");
    Some((mill.sink, asked))
}
