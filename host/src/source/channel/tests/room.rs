//! A pipeline that is too slow, and one that ends: what waits, what is dropped, what is lost.

use super::*;
use crate::{config::Take, shutdown::Shutdown, source::Start};
use std::sync::{Arc, Mutex};

const KEEP_TEN: Option<Backlog> = Some(Backlog { keep: 10, drop: Take::Oldest });

/// What comes of a hundred messages behind one that is being processed, when ten may wait; and how many were told dropped.
async fn kept_of_a_hundred(drop: Take) -> (Vec<String>, u64) {
    let (log, _guard) = Log::capture();
    let server = Server::start().await;
    let backlog = Some(Backlog { keep: 10, drop });
    let mut node = Node::start(&server, Wanted { in_flight: 1, backlog, ..ONE }).await;
    node.publish("news", "slow").await;
    let slow = node.next().await;
    node.publish_all((0..100).map(|n| n.to_string())).await;
    node.has_heard(101).await;
    slow.settle(Outcome::Done);
    let mut kept = Vec::new();
    for _ in 0..10 {
        kept.push(node.next_payload().await);
    }
    assert!(node.has_nothing().await);
    node.end(Duration::from_secs(5)).await;
    let told = log.lines("dropped=").len();
    assert!((1..=2).contains(&told), "told at most every five seconds, and at the end: {told}");
    (kept, log.sum("dropped="))
}

#[tokio::test]
async fn the_oldest_make_room_for_the_newest() {
    let expected: Vec<String> = (90..100).map(|n| n.to_string()).collect();
    assert_eq!(kept_of_a_hundred(Take::Oldest).await, (expected, 90));
}

#[tokio::test]
async fn the_newest_are_dropped_where_that_is_wanted() {
    let expected: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(kept_of_a_hundred(Take::Newest).await, (expected, 90));
}

#[tokio::test]
async fn a_pipeline_that_stands_still_neither_fills_the_memory_nor_loses_the_connection() {
    let (log, _guard) = Log::capture();
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let limit = "pubsub 8mb 4mb 1";
    redis::cmd("CONFIG").arg("SET").arg("client-output-buffer-limit").arg(limit).exec_async(&mut redis).await.unwrap();
    let mut node = Node::start(&server, Wanted { in_flight: 1, ..ONE }).await;
    node.publish("news", "slow").await;
    let slow = node.next().await;
    for n in 0..100u8 {
        node.publish("news", vec![n; 1 << 20]).await;
        if n % 4 == 0 {
            // The machine may be busy, and the server's patience is short here.
            node.has_heard(u64::from(n) + 2).await;
        }
    }
    node.has_heard(101).await;
    slow.settle(Outcome::Done);
    for n in 37..100u8 {
        let delivery = node.next().await;
        assert_eq!((delivery.message.payload.len(), delivery.message.payload[0]), (1 << 20, n));
        delivery.settle(Outcome::Done);
    }
    node.end(Duration::from_secs(5)).await;
    assert_eq!((log.sum("dropped="), log.lines("subscribed again").len()), (37, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_in_flight_than_may_be() {
    let server = Server::start().await;
    let mut node = Node::start(&server, Wanted { in_flight: 7, ..ONE }).await;
    node.publish_all((0..100).map(|n| n.to_string())).await;
    let mut held = Vec::new();
    for _ in 0..7 {
        held.push(node.next().await);
    }
    assert!(node.has_nothing().await);
    held.pop().unwrap().settle(Outcome::Done);
    held.push(node.next().await);
    assert!(node.has_nothing().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_during_a_burst_takes_no_longer_than_what_has_been_heard() {
    let server = Server::start().await;
    let start: Start = Arc::new(|batch| batch.into_iter().for_each(|delivery| delivery.settle(Outcome::Done)));
    let opening = Opening { start, ..opened(server.connector(), &ONE) };
    let source = Source::open(&opening);
    let burst = Shutdown::default();
    let mut redis = server.redis().await;
    let stop = burst.stop().clone();
    let heard = Arc::new(Mutex::new(0usize));
    let count = Arc::clone(&heard);
    burst.track(async move {
        let mut pipe = redis::pipe();
        for _ in 0..100 {
            pipe.cmd("PUBLISH").arg("news").arg("x");
        }
        while !stop.is_cancelled() {
            let heard: Vec<usize> = pipe.query_async(&mut redis).await.unwrap();
            *count.lock().unwrap() += heard.into_iter().sum::<usize>();
        }
    });
    eventually("a burst", || async { *heard.lock().unwrap() > 5_000 }).await;
    let asked = Instant::now();
    assert!(opening.shutdown.end(Duration::from_secs(30)).await);
    source.close().await;
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    burst.end(Duration::ZERO).await;
}

#[tokio::test]
async fn what_is_unfinished_when_the_grace_is_over_is_counted_in_one_line() {
    let (log, _guard) = Log::capture();
    let server = Server::start().await;
    let mut node = Node::start(&server, Wanted { in_flight: 2, backlog: KEEP_TEN, ..ONE }).await;
    node.publish_all(["a".to_owned(), "b".to_owned()]).await;
    let (_held, retried) = (node.next().await, node.next().await);
    node.publish_all((0..5).map(|n| n.to_string())).await;
    node.has_heard(7).await;
    let trouble = trouble(1, "busy");
    retried.settle(Outcome::Retry { after: Duration::from_secs(600), trouble, succeeded: Vec::new() });
    let asked = Instant::now();
    assert!(!node.inner.shutdown.end(Duration::from_millis(100)).await);
    node.inner.source.close().await;
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    let lines = log.lines("ended before these messages were processed");
    assert_eq!((lines.len(), log.sum("lost=")), (1, 7), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_another_attempt_gets_its_last_one_when_the_node_ends() {
    let server = Server::start().await;
    let mut node = Node::start(&server, ONE).await;
    node.publish("news", "x").await;
    let after = Duration::from_secs(600);
    node.next().await.settle(Outcome::Retry { after, trouble: trouble(1, "busy"), succeeded: Vec::new() });
    node.inner.shutdown.quiet().cancel();
    let last = node.next().await;
    assert_eq!(last.message.attempt, 2);
    last.settle(Outcome::Done);
    assert!(node.end(Duration::from_secs(5)).await);
}
