//! One node at a time takes where the order matters.

use super::*;
use crate::source::{Opening, Waiting};
use std::collections::BTreeSet;

/// A node that keeps an order, and the payloads of what it was told to wait for.
fn ordered(server: &Server, name: &str) -> (Node, Arc<Mutex<Vec<String>>>) {
    leased(server, name, Duration::from_secs(1))
}

fn leased(server: &Server, name: &str, lease: Duration) -> (Node, Arc<Mutex<Vec<String>>>) {
    let waiting = Arc::new(Mutex::new(Vec::new()));
    let (lost, told) = (Arc::clone(&waiting), Arc::clone(&waiting));
    let ordered = Ordered {
        lost: Arc::new(move || lost.lock().unwrap().clear()),
        waiting: Arc::new(move |waiting| {
            let payloads = waiting.iter().map(|one| String::from_utf8(one.message.payload.to_vec()).unwrap());
            told.lock().unwrap().extend(payloads);
        }),
        gone: Arc::new(|_| {}),
    };
    let opening = opening(server.connector(), name, &pipeline(8));
    (Node::opened(Opening { lease, ordered: Some(ordered), ..opening }), waiting)
}

async fn takes_nothing(node: &mut Node) {
    let taken = tokio::time::timeout(Duration::from_millis(300), node.taken.recv()).await;
    assert!(taken.is_err(), "it stands by");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_stand_by_until_the_first_ends() {
    let server = Server::start().await;
    let lease = Duration::from_secs(20);
    let (mut first, _) = leased(&server, "a", lease);
    server.push((0..4).map(|n| n.to_string())).await;
    for n in 0..4 {
        let delivery = first.next().await;
        assert_eq!(delivery.message.payload, n.to_string());
        delivery.settle(Outcome::Done);
    }
    let (mut second, _) = leased(&server, "b", lease);
    server.push(["x".to_owned()]).await;
    first.next().await.settle(Outcome::Done);
    takes_nothing(&mut second).await;
    let ended = Instant::now();
    first.end().await;
    server.push(["y".to_owned()]).await;
    second.next().await.settle(Outcome::Done);
    assert!(ended.elapsed() < lease * 3 / 4, "it need not wait for a lease to end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_node_held_is_told_before_anything_is_taken() {
    let server = Server::start().await;
    let (mut dying, _) = ordered(&server, "a");
    server.push((0..6).map(|n| n.to_string())).await;
    for n in 0..4 {
        let delivery = dying.next().await;
        match n {
            0 => delivery.settle(Outcome::Retry {
                after: Duration::from_secs(3),
                trouble: trouble(1, "busy"),
                succeeded: Vec::new(),
            }),
            _ => std::mem::forget(delivery),
        }
    }
    eventually("one waits", || async { server.ask::<usize>(&["ZCARD", &Keys::new(LIST).delayed()]).await == 1 }).await;
    let (mut heir, waiting) = ordered(&server, "b");
    takes_nothing(&mut heir).await;
    drop(dying.die().await);
    server.push(["6".to_owned()]).await;
    let mut taken = Vec::new();
    for n in 0..7 {
        let delivery = heir.next().await;
        if n == 0 {
            let told: BTreeSet<String> = waiting.lock().unwrap().iter().cloned().collect();
            assert_eq!(told, (0..6).map(|n| n.to_string()).collect(), "all that waits is known before");
        }
        taken.push(delivery.message.payload.clone());
        delivery.settle(Outcome::Done);
    }
    assert_eq!(taken.last().unwrap(), "0", "it has to wait longest");
    taken.sort();
    assert_eq!(taken, (0..7).map(|n| n.to_string()).collect::<Vec<_>>());
    heir.end().await;
    assert_eq!(server.ask::<usize>(&["EXISTS", &Keys::new(LIST).leader()]).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn places_tell_the_order_over_lost_connections_and_the_end_of_the_node() {
    let server = Server::start().await;
    let (mut dying, _) = ordered(&server, "a");
    let mut held = Vec::new();
    for round in 0..4 {
        server.push([(2 * round).to_string(), (2 * round + 1).to_string()]).await;
        held.extend([dying.next().await, dying.next().await]);
        server.ask::<usize>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    }
    held.into_iter().for_each(std::mem::forget);
    drop(dying.die().await);
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let places = move |waiting: Vec<Waiting>| {
        let place = |one: Waiting| {
            let (origin, number) = one.place.rsplit_once('-').unwrap();
            (
                (origin.to_owned(), number.parse::<u64>().unwrap()),
                String::from_utf8(one.message.payload.to_vec()).unwrap(),
            )
        };
        teller.lock().unwrap().extend(waiting.into_iter().map(place));
    };
    let listening = Ordered { lost: Arc::new(|| {}), waiting: Arc::new(places), gone: Arc::new(|_| {}) };
    let mut heir = Node::open(&server, "b", &pipeline(8), Some(listening));
    // What waits is told before anything is taken.
    heir.next().await.settle(Outcome::Done);
    let told: std::collections::BTreeMap<_, _> = told.lock().unwrap().drain(..).collect();
    assert_eq!(told.into_values().collect::<Vec<_>>(), (0..8).map(|n| n.to_string()).collect::<Vec<_>>());
}
