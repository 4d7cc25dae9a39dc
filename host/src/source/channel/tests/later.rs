//! What waits for another attempt: it keeps no place in flight, and has room of its own, which has an end.

use super::*;
use crate::{config::Take, message::Message, source::Ordered};
use std::sync::{Arc, Mutex};

fn busy(after: Duration) -> Outcome {
    Outcome::Retry { after, trouble: trouble(1, "busy"), succeeded: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_waits_for_another_attempt_keeps_nobody_from_being_tried() {
    let server = Server::start().await;
    let mut node = Node::start(&server, Wanted { in_flight: 2, ..ONE }).await;
    node.publish_all((0..50).map(|n| n.to_string())).await;
    for n in 0..50 {
        let delivery = node.next().await;
        assert_eq!(delivery.message.payload, n.to_string());
        let again = Outcome::Again { after: Duration::from_secs(600), succeeded: Vec::new() };
        delivery.settle(if n % 2 == 0 { again } else { busy(Duration::from_secs(600)) });
    }
    node.publish("news", "other").await;
    assert_eq!(node.next_payload().await, "other");
    // The last attempts of those that wait are made as the others are: two at a time.
    node.inner.shutdown.quiet().cancel();
    let (first, second) = (node.next().await, node.next().await);
    assert!(node.has_nothing().await);
    assert_eq!((first.message.attempt, second.message.attempt), (1, 2), "one was not tried before");
    first.settle(Outcome::Done);
    second.settle(Outcome::Done);
    for _ in 2..50 {
        node.next().await.settle(Outcome::Done);
    }
    assert!(node.end(Duration::from_secs(5)).await);
}

/// What comes of ten messages that have to be tried again, when three may wait for that; which of them somebody who keeps an
/// order was told of, and what the log says.
async fn kept_of_ten(drop: Take) -> (Vec<String>, Vec<String>, Vec<String>) {
    let (log, _guard) = Log::capture();
    let server = Server::start().await;
    let wanted = Wanted { in_flight: 2, backlog: Some(Backlog { keep: 3, drop }), ..ONE };
    let gone = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&gone);
    let note = move |messages: Vec<Message>| {
        told.lock().unwrap().extend(messages.iter().map(|one| String::from_utf8(one.payload.to_vec()).unwrap()));
    };
    let ordered = Ordered { lost: Arc::new(|| {}), waiting: Arc::new(|_| {}), gone: Arc::new(note) };
    let opening = Opening { ordered: Some(ordered), ..opened(server.connector(), &wanted) };
    let redis = server.redis().await;
    let mut node = Node { inner: tests::Node::opened(opening), redis, kind: wanted.kind, names: 1 };
    node.is_subscribed().await;
    for n in 0..10 {
        node.publish("news", n.to_string()).await;
        node.next().await.settle(busy(Duration::from_secs(2)));
    }
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(node.next_payload().await);
    }
    assert!(node.has_nothing().await);
    assert!(node.end(Duration::from_secs(5)).await);
    assert_eq!(log.sum("dropped="), 7);
    let gone = gone.lock().unwrap().clone();
    (kept, gone, log.lines("more messages wait for another attempt than `backlog` keeps"))
}

fn texts(numbers: std::ops::Range<u8>) -> Vec<String> {
    numbers.map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn of_more_than_may_wait_for_another_attempt_the_oldest_go() {
    let (kept, gone, log) = kept_of_ten(Take::Oldest).await;
    assert_eq!((kept, gone), (texts(7..10), texts(0..7)));
    assert!((1..=2).contains(&log.len()), "told at most every five seconds, and at the end: {log:?}");
    assert!(log.iter().all(|line| line.contains("ERROR") && line.contains("which=\"oldest\"")), "{log:?}");
}

#[tokio::test]
async fn or_the_newest_where_that_is_wanted() {
    let (kept, gone, _) = kept_of_ten(Take::Newest).await;
    assert_eq!((kept, gone), (texts(0..3), texts(3..10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_in_flight_at_once_can_wait() {
    let server = Server::start().await;
    let backlog = Some(Backlog { keep: 1, drop: Take::Oldest });
    let mut node = Node::start(&server, Wanted { in_flight: 20, backlog, ..ONE }).await;
    let mut deliveries = Vec::new();
    for n in 0..20 {
        node.publish("news", n.to_string()).await;
        deliveries.push(node.next().await);
    }
    deliveries.into_iter().for_each(|delivery| delivery.settle(busy(Duration::from_millis(500))));
    for n in 0..20 {
        assert_eq!(node.next_payload().await, n.to_string());
    }
}
