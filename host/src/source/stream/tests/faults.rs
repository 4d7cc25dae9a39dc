//! Broken connections, and servers that end or are full.

use super::*;
use std::sync::{Arc, Mutex};

type Seen = Arc<Mutex<HashMap<String, usize>>>;

/// Settles everything that comes, and counts it; the node lives as long as the task.
fn settle_all(mut node: Node) -> (Seen, tokio::task::JoinHandle<()>) {
    let seen = Seen::default();
    let count = Arc::clone(&seen);
    let shutdown = node.shutdown.clone();
    let settling = shutdown.track(async move {
        while let Some(delivery) = node.taken.recv().await {
            let payload = String::from_utf8(delivery.message.payload.to_vec()).unwrap();
            *count.lock().unwrap().entry(payload).or_default() += 1;
            delivery.settle(Outcome::Done);
        }
        drop(node);
    });
    (seen, settling)
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_lose_nothing_and_repeat_nothing() {
    let server = Server::start().await;
    let (seen, settling) = settle_all(Node::with(&server, "a", &pipeline(64)));
    for round in 0..20 {
        add(&server, (0..200).map(|n| format!("{round}-{n}"))).await;
        ask::<usize>(&server, "CLIENT KILL TYPE normal SKIPME yes").await;
        eventually("some more", || async { seen.lock().unwrap().len() > round * 200 }).await;
    }
    eventually("all have come", || async { seen.lock().unwrap().len() == 4_000 }).await;
    nothing_is_pending(&server).await;
    assert_eq!(seen.lock().unwrap().values().filter(|times| **times > 1).count(), 0);
    eventually("old registers are gone", || async { registers(&server).await == 3 }).await;
    assert!(consumers(&server).await.len() <= 2);
    settling.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_that_keeps_its_data_loses_nothing() {
    let mut server = Server::start().await;
    ask::<()>(&server, "CONFIG SET appendfsync always").await;
    let mut node = Node::with(&server, "a", &pipeline(16));
    add(&server, (0..8).map(|n| format!("held {n}"))).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(node.next().await);
    }
    assert_eq!(pending(&server).await, 8);
    let (seen, settling) = settle_all(node);
    for round in 0..3 {
        // Otherwise a write can be answered up to two seconds before it reaches the file.
        ask::<()>(&server, "CONFIG SET appendfsync always").await;
        add(&server, (0..300).map(|n| format!("{round}-{n}"))).await;
        server = server.kill_and_restart().await;
    }
    held.into_iter().for_each(|delivery| delivery.settle(Outcome::Done));
    eventually("all have come", || async { seen.lock().unwrap().len() == 900 }).await;
    nothing_is_pending(&server).await;
    let seen = seen.lock().unwrap().clone();
    let repeated = seen.values().filter(|times| **times > 1).count();
    assert!(repeated <= 3 * 16, "no more than what was in flight: {repeated}");
    settling.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_is_drained() {
    let server = Server::start().await;
    add(&server, (0..300).map(|n| n.to_string())).await;
    ask::<()>(&server, "CONFIG SET maxmemory 1").await;
    let mut node = Node::with(&server, "a", &pipeline(16));
    let mut seen = HashSet::new();
    while seen.len() < 300 {
        let delivery = node.next().await;
        assert!(seen.insert(delivery.message.id.clone()), "nothing comes twice");
        delivery.settle(match seen.len() {
            10 => Outcome::Dead { trouble: trouble(1, "no good"), succeeded: Vec::new() },
            20 => Outcome::Retry { after: Duration::ZERO, trouble: trouble(1, "busy"), succeeded: Vec::new() },
            _ => Outcome::Done,
        });
    }
    node.next().await.settle(Outcome::Done);
    nothing_is_pending(&server).await;
    assert_eq!(dead(&server).await.count().await.unwrap(), 1);
    node.end().await;
    assert_eq!(consumers(&server).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_taken_over_when_the_server_is_full() {
    let server = Server::start().await;
    let mut dying = Node::with(&server, "a", &pipeline(8));
    add(&server, (0..5).map(|n| n.to_string())).await;
    for _ in 0..5 {
        std::mem::forget(dying.next().await);
    }
    drop(dying.die().await);
    ask::<()>(&server, "CONFIG SET maxmemory 1").await;
    let mut heir = Node::with(&server, "b", &pipeline(8));
    for _ in 0..5 {
        heir.next().await.settle(Outcome::Done);
    }
    nothing_is_pending(&server).await;
}
