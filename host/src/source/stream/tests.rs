//! Streams against a real server: what is read, settled and given up.

mod along;
mod claimed;
mod done;
mod faults;
mod groups;
mod takeover;

use crate::{
    config::{self, Done, Pipeline, Start},
    message::Outcome,
    source::{
        dead::{Changes, DeadLetters, Filter, Letter, Place},
        keys::Keys,
        tests::{Node, Server, eventually, pipeline_of, trouble},
    },
};
use redis::{FromRedisValue, Value};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

const STREAM: &str = "events";
const GROUP: &str = "g";

fn stream() -> config::Stream {
    config::Stream {
        name: STREAM.into(),
        group: GROUP.into(),
        start: Start::Oldest,
        payload: "data".into(),
        done: Done::Keep,
        claim: None,
    }
}

fn pipeline(in_flight: usize) -> Pipeline {
    pipeline_of(config::From::Stream(stream()), in_flight)
}

fn keys() -> Keys {
    Keys::of_group(STREAM, GROUP)
}

/// Runs a command given as one line of words.
async fn ask<T: FromRedisValue>(server: &Server, line: &str) -> T {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    command.query_async(&mut server.redis().await).await.unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Adds entries with one field; returns their ids.
async fn add(server: &Server, payloads: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut pipe = redis::pipe();
    for payload in payloads {
        pipe.cmd("XADD").arg(STREAM).arg("*").arg("data").arg(payload);
    }
    pipe.query_async(&mut server.redis().await).await.unwrap()
}

/// How many entries the group has pending.
async fn pending(server: &Server) -> usize {
    let summary: Vec<Value> = ask(server, &format!("XPENDING {STREAM} {GROUP}")).await;
    redis::from_redis_value(summary[0].clone()).unwrap()
}

async fn consumers(server: &Server) -> Vec<String> {
    let all: Vec<HashMap<String, Value>> = ask(server, &format!("XINFO CONSUMERS {STREAM} {GROUP}")).await;
    all.into_iter().map(|mut one| redis::from_redis_value(one.remove("name").unwrap()).unwrap()).collect()
}

async fn dead(server: &Server) -> DeadLetters {
    let config = pipeline_of(config::From::Stream(stream()), 8);
    DeadLetters::open(&server.connector(), vec![Place::of("test", &config).unwrap()]).await.unwrap()
}

/// The oldest of the dead letters.
async fn only_letter(dead: &DeadLetters) -> Letter {
    dead.walk(Filter::default()).await.unwrap().next().await.unwrap().unwrap()
}

async fn nothing_is_pending(server: &Server) {
    eventually("nothing pending", || async { pending(server).await == 0 }).await;
}

async fn comes_nothing(node: &mut Node) {
    let next = tokio::time::timeout(Duration::from_millis(400), node.taken.recv()).await;
    assert!(next.is_err(), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_come_in_order_and_leave_nothing_behind() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &pipeline(1));
    let ids = add(&server, (0..50).map(|n| n.to_string())).await;
    for (n, id) in ids.iter().enumerate() {
        let delivery = node.next().await;
        let message = &delivery.message;
        assert_eq!((&*message.id, &message.payload[..]), (&**id, n.to_string().as_bytes()));
        assert_eq!((&*message.source, &*message.topic, message.attempt), (STREAM, STREAM, 1));
        assert_eq!(message.received_ms.to_string(), id.split_once('-').unwrap().0);
        delivery.settle(Outcome::Done);
    }
    nothing_is_pending(&server).await;
    assert_eq!(consumers(&server).await.len(), 2, "one for each connection");
    node.end().await;
    assert_eq!(consumers(&server).await, Vec::<String>::new());
    let ours: Vec<String> = ask(&server, "KEYS gristmill:*").await;
    assert_eq!(ours, Vec::<String>::new());
    assert_eq!(ask::<usize>(&server, "XLEN events").await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_pending_than_may_be_in_flight() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &pipeline(7));
    add(&server, (0..100).map(|n| n.to_string())).await;
    let mut held = Vec::new();
    for _ in 0..7 {
        held.push(node.next().await);
    }
    comes_nothing(&mut node).await;
    assert_eq!(pending(&server).await, 7);
    held.pop().unwrap().settle(Outcome::Done);
    held.push(node.next().await);
    for _ in 0..93 {
        held.swap_remove(3).settle(Outcome::Done);
        assert!(pending(&server).await <= 7);
        if let Ok(Some(next)) = tokio::time::timeout(Duration::from_secs(5), node.taken.recv()).await {
            held.push(next);
        }
        if held.len() < 7 {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_fields_are_headers_also_of_a_retry() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &pipeline(8));
    let id: String = ask(&server, "XADD events * kind order data x trace 17").await;
    let headers = [("kind".to_owned(), "order".to_owned()), ("trace".to_owned(), "17".to_owned())];
    let first = node.next().await;
    assert_eq!((&first.message.headers[..], &*first.message.id), (&headers[..], &*id));
    let succeeded = vec!["other".to_owned()];
    first.settle(Outcome::Retry { after: Duration::from_millis(100), trouble: trouble(1, "busy"), succeeded });
    let second = node.next().await;
    assert_eq!((&second.message.headers[..], &*second.message.id, second.message.attempt), (&headers[..], &*id, 2));
    assert_eq!((&*second.message.topic, &second.message.payload[..]), (STREAM, &b"x"[..]));
    assert_eq!((second.troubles(), second.succeeded()), (&[trouble(1, "busy")][..], &["other".to_owned()][..]));
    assert_eq!(pending(&server).await, 0, "what waits for another attempt is no longer the group's");
    second.settle(Outcome::Done);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_of_a_stream_can_be_replayed() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &pipeline(8));
    let id: String = ask(&server, "XADD events * data x kind order").await;
    node.next().await.settle(Outcome::Dead { trouble: trouble(1, "no good"), succeeded: Vec::new() });
    nothing_is_pending(&server).await;
    let mut dead = dead(&server).await;
    let letter = only_letter(&dead).await;
    assert_eq!((&*letter.id, letter.reason(), &*letter.source), (&*id, "no good", STREAM));
    assert!(dead.replay(&letter, &Changes::default()).await.unwrap().is_some());
    let again = node.next().await;
    assert_eq!((&*again.message.id, again.message.attempt, again.message.header("kind")), (&*id, 1, Some("order")));
    again.settle(Outcome::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_without_the_payload_field_is_a_dead_letter_with_all_its_fields() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &pipeline(1));
    let id: String = ask(&server, "XADD events * wrong x other y").await;
    add(&server, ["good".to_owned()]).await;
    assert_eq!(node.next().await.message.payload, "good", "it holds up nothing");
    let letter = only_letter(&dead(&server).await).await;
    assert_eq!((&*letter.id, letter.reason()), (&*id, "the entry has no field `data`"));
    assert_eq!(letter.payload, br#"[["wrong","x"],["other","y"]]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_the_work() {
    let server = Server::start().await;
    let (mut one, mut other) = (Node::with(&server, "a", &pipeline(4)), Node::with(&server, "b", &pipeline(4)));
    eventually("both read", || async { registers(&server).await == 6 }).await;
    add(&server, (0..400).map(|n| n.to_string())).await;
    let mut seen = HashSet::new();
    let (mut ones, mut others) = (0, 0);
    while seen.len() < 400 {
        let (delivery, count) = tokio::select! {
            delivery = one.next() => (delivery, &mut ones),
            delivery = other.next() => (delivery, &mut others),
        };
        *count += 1;
        assert!(seen.insert(delivery.message.id.clone()), "nothing comes twice");
        delivery.settle(Outcome::Done);
    }
    assert!(ones > 40 && others > 40, "{ones} and {others}");
    nothing_is_pending(&server).await;
}

/// How many are registered: of every node two that read, and one for retries.
async fn registers(server: &Server) -> usize {
    ask(server, &format!("HLEN {}", keys().lanes())).await
}
