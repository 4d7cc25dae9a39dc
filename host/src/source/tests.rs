//! Sources against a real server: what is taken, settled, taken over and given up.

use super::{
    Ordered,
    dead::{Changes, DeadLetters, Filter, Place},
    embedded::Embedded,
    keys::{self, Keys},
    lane::scripts,
    queue::flow::MOST_BYTES,
};
use crate::{config, message::Outcome};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

mod along;
mod damage;
mod journal;
mod lead;
mod lists;
mod log;
mod nodes;
mod order_of_settling;
mod suspects;
mod trouble;

pub(super) use log::Log;
pub(super) use nodes::{Node, Server, eventually, opening, pipeline, pipeline_of, trouble};

use nodes::from;

const LIST: &str = "jobs";

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_order_and_leave_nothing_behind() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 1);
    server.push((0..50).map(|n| n.to_string())).await;
    for n in 0..50 {
        let delivery = node.next().await;
        assert_eq!(delivery.message.payload, n.to_string());
        assert_eq!((&*delivery.message.source, delivery.message.attempt), (LIST, 1));
        delivery.settle(Outcome::Done);
    }
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
    node.end().await;
    assert_eq!(server.lanes().await, HashMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_taken_than_may_be_in_flight() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 7);
    server.push((0..100).map(|n| n.to_string())).await;
    let mut held = Vec::new();
    for _ in 0..7 {
        held.push(node.next().await);
    }
    assert!(tokio::time::timeout(Duration::from_millis(300), node.taken.recv()).await.is_err());
    held.pop().unwrap().settle(Outcome::Done);
    held.push(node.next().await);
    eventually("seven in lanes", || async { server.in_lanes().await == 7 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_node_held_comes_again_under_the_same_ids() {
    let server = Server::start().await;
    let mut dying = Node::start(&server, "a", 64);
    server.push((0..20).map(|n| n.to_string())).await;
    let mut ids = HashMap::new();
    for n in 0..20 {
        let delivery = dying.next().await;
        ids.insert(delivery.message.payload.clone(), delivery.message.id.clone());
        if n < 5 {
            delivery.settle(Outcome::Done);
        } else {
            std::mem::forget(delivery);
        }
    }
    eventually("five settled", || async { server.in_lanes().await == 15 }).await;
    drop(dying.die().await);
    let mut heir = Node::start(&server, "b", 64);
    for _ in 0..15 {
        let delivery = heir.next().await;
        assert_eq!(delivery.message.attempt, 2);
        assert_eq!(ids.get(&delivery.message.payload), Some(&delivery.message.id));
        delivery.settle(Outcome::Done);
    }
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
    heir.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_lane_was_taken_over_cannot_settle_it() {
    let server = Server::start().await;
    let mut frozen = Node::start(&server, "a", 8);
    server.push(["x".to_owned()]).await;
    let held = frozen.next().await;
    take_over_by_hand(&server).await;
    held.settle(Outcome::Done);
    eventually("settled in vain", || async { server.in_lanes().await == 1 }).await;
    server.push(["y".to_owned()]).await;
    let mut attempts: HashMap<_, u32> = HashMap::new();
    while attempts.get(&b"x"[..]) != Some(&2) || !attempts.contains_key(&b"y"[..]) || server.in_lanes().await > 0 {
        let delivery = frozen.next().await;
        attempts.insert(delivery.message.payload.clone(), delivery.message.attempt);
        delivery.settle(Outcome::Done);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Does to every lane with something in it what a reaper does, as a node `b` that then dies.
async fn take_over_by_hand(server: &Server) {
    let keys = Keys::new(LIST);
    let mut redis = server.redis().await;
    for (index, lane) in server.lanes().await.into_keys().enumerate() {
        let heir = keys.lane("b", &format!("q{index}"));
        let adopted = scripts::ADOPT.run::<Option<String>>(&mut redis, |adopt| {
            adopt.key(keys.lanes()).key(&lane).key(keys::slow(&lane)).key("no-lease").key(&heir).key(keys::slow(&heir));
        });
        adopted.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_comes_when_it_is_due_with_its_story() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 8);
    server.push(["a\0b\n".to_owned()]).await;
    let first = node.next().await;
    let id = first.message.id.clone();
    let asked = Instant::now();
    let succeeded = vec!["other".to_owned()];
    first.settle(Outcome::Retry { after: Duration::from_millis(400), trouble: trouble(1, "busy"), succeeded });
    let second = node.next().await;
    assert!(asked.elapsed() >= Duration::from_millis(390), "{:?}", asked.elapsed());
    assert_eq!((&second.message.id, second.message.attempt, &second.message.payload[..]), (&id, 2, &b"a\0b\n"[..]));
    assert_eq!((second.troubles(), second.succeeded()), (&[trouble(1, "busy")][..], &["other".to_owned()][..]));
    second.settle(Outcome::Done);
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_tells_its_story_and_can_be_replayed_or_dropped() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 8);
    server.push(["one".to_owned(), "two".to_owned()]).await;
    for _ in 0..2 {
        let delivery = node.next().await;
        delivery.settle(Outcome::Dead { trouble: trouble(1, "no good"), succeeded: vec!["x".to_owned()] });
    }
    let place = Place::of("test", &pipeline(8)).unwrap();
    let mut dead = DeadLetters::open(&server.connector(), vec![place]).await.unwrap();
    while dead.count().await.unwrap() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut walk = dead.walk(Filter::default()).await.unwrap();
    let letters = [walk.next().await.unwrap().unwrap(), walk.next().await.unwrap().unwrap()];
    let payloads: HashSet<_> = letters.iter().map(|letter| &letter.payload[..]).collect();
    assert_eq!(payloads, HashSet::from([&b"one"[..], b"two"]));
    assert_eq!((letters[0].reason(), &*letters[0].pipeline, letters[0].attempts), ("no good", "test", 1));
    let replayed = dead.replay(&letters[0], &Changes::default()).await.unwrap();
    assert_eq!(replayed.unwrap().id, letters[0].id);
    let twice = dead.replay(&letters[0], &Changes::default()).await.unwrap();
    assert_eq!(twice, None, "a letter is replayed once");
    let again = node.next().await;
    assert_eq!(
        (&*again.message.id, again.message.attempt, again.succeeded()),
        (&*letters[0].id, 1, &["x".to_owned()][..])
    );
    again.settle(Outcome::Done);
    assert!(dead.drop(&letters[1]).await.unwrap());
    assert_eq!(dead.count().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_delivery_comes_again() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 8);
    server.push(["x".to_owned()]).await;
    drop(node.next().await);
    let again = node.next().await;
    assert_eq!((again.message.attempt, &*again.troubles()[0].reason), (2, "processing was interrupted"));
    again.settle(Outcome::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_on_the_same_data_is_refused() {
    let server = Server::start().await;
    let refused = Embedded::start(server.dir(), 0).await.unwrap_err();
    assert!(refused.to_string().contains("in use by another node"), "{refused}");
}
