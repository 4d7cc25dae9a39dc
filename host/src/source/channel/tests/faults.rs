//! Connections that break, servers that end, and networks that swallow.

use super::*;
use crate::{shutdown::Shutdown, source::embedded::Embedded};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

async fn kill_subscribers(server: &Server) {
    let kill = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").to_owned();
    kill.exec_async(&mut server.redis().await).await.unwrap();
}

#[tokio::test]
async fn a_cut_connection_is_opened_again_and_the_gap_is_told() {
    let (log, _guard) = Log::capture();
    for kind in [ChannelKind::Exact, ChannelKind::Pattern, ChannelKind::Sharded] {
        let server = Server::start().await;
        let mut node = Node::start(&server, Wanted { kind, ..ONE }).await;
        let gaps = log.lines("subscribed again").len();
        kill_subscribers(&server).await;
        eventually("a gap that is told", || async { log.lines("subscribed again").len() == gaps + 1 }).await;
        node.is_subscribed().await;
        node.publish("news", "after").await;
        assert_eq!(node.next_payload().await, "after");
        assert_eq!(log.lines("subscribed again").len(), gaps + 1);
    }
    let lines = log.lines("subscribed again");
    assert!(lines.iter().all(|line| line.contains("WARN") && line.contains("lasted=")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_again_and_again_repeat_nothing() {
    let server = Server::start().await;
    let mut node = Node::start(&server, ONE).await;
    let mut heard = Vec::new();
    for round in 0..10 {
        node.is_subscribed().await;
        node.publish_all((0..50).map(|n| format!("{round}-{n}"))).await;
        for _ in 0..50 {
            heard.push(node.next_payload().await);
        }
        kill_subscribers(&server).await;
    }
    let expected: Vec<String> = (0..10).flat_map(|round| (0..50).map(move |n| format!("{round}-{n}"))).collect();
    assert_eq!(heard, expected);
    assert!(node.has_nothing().await);
}

#[tokio::test]
async fn a_restarted_server_is_subscribed_to_again() {
    let (log, _guard) = Log::capture();
    let dir = TempDir::new().unwrap();
    let first = Embedded::start(dir.path(), 0).await.unwrap();
    let connector = Connector::new(&first.url()).unwrap();
    let mut node = Node::start_through(connector.clone(), connector.shared().await.unwrap(), ONE).await;
    drop(first);
    eventually("the loss is told", || async { log.lines("Redis does not do what we ask").len() == 1 }).await;
    let _second = Embedded::start(dir.path(), 0).await.unwrap();
    node.redis = connector.shared().await.unwrap();
    node.is_subscribed().await;
    node.publish("news", "after").await;
    assert_eq!(node.next_payload().await, "after");
    let told = (log.lines("Redis does not do what we ask").len(), log.lines("subscribed again").len());
    assert_eq!(told, (1, 1), "once for each gap");
}

#[tokio::test]
async fn a_channel_that_may_not_be_listened_to_is_waited_out() {
    let (log, _guard) = Log::capture();
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let rights = |channels: &str| redis::cmd("ACL").arg("SETUSER").arg("default").arg(channels).to_owned();
    rights("resetchannels").exec_async(&mut redis).await.unwrap();
    let (connector, asking) = (server.connector(), redis.clone());
    let shutdown = Shutdown::default();
    let node = shutdown.track(async move { Node::start_through(connector, asking, ONE).await });
    eventually("the refusal is told", || async { log.lines("permissions").len() == 1 }).await;
    rights("allchannels").exec_async(&mut redis).await.unwrap();
    let mut node = node.await.unwrap();
    node.publish("news", "x").await;
    assert_eq!(node.next_payload().await, "x");
}

/// Stands between a node and its server, and can swallow what is said.
async fn network(server: &Server, swallows: Arc<AtomicBool>, tasks: &Shutdown) -> Connector {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let to = server.port();
    let pairs = tasks.clone();
    tasks.track_until_stop(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let (near, far) = (near.into_split(), far.into_split());
            // What was opened while it swallowed nothing is lost once it does, for good.
            pairs.track_until_stop(pass(near.0, far.1, Arc::clone(&swallows)));
            pairs.track_until_stop(pass(far.0, near.1, Arc::clone(&swallows)));
        }
    });
    Connector::new(&url).unwrap()
}

async fn pass(from: tokio::net::tcp::OwnedReadHalf, to: tokio::net::tcp::OwnedWriteHalf, swallows: Arc<AtomicBool>) {
    let mut lost = false;
    let mut buffer = vec![0; 4096];
    while from.readable().await.is_ok() {
        let read = match from.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => read,
            Err(_) => continue,
        };
        lost |= swallows.load(Ordering::Relaxed);
        if !lost {
            to.writable().await.unwrap();
            assert_eq!(to.try_write(&buffer[..read]).unwrap(), read);
        }
    }
}

#[tokio::test]
async fn a_connection_that_has_died_without_a_word_is_noticed() {
    let (log, _guard) = Log::capture();
    let server = Server::start().await;
    let (swallows, tasks) = (Arc::new(AtomicBool::new(false)), Shutdown::default());
    let connector = network(&server, Arc::clone(&swallows), &tasks).await;
    let mut node = Node::start_through(connector, server.redis().await, ONE).await;
    swallows.store(true, Ordering::Relaxed);
    node.publish("news", "missed").await;
    eventually("noticed", || async { log.lines("Redis does not do what we ask").len() == 1 }).await;
    swallows.store(false, Ordering::Relaxed);
    eventually("a gap that is told", || async { log.lines("subscribed again").len() == 1 }).await;
    // The server may not have noticed that the old connection is dead.
    redis::cmd("PUBLISH").arg("news").arg("after").exec_async(&mut node.redis).await.unwrap();
    assert_eq!(node.next_payload().await, "after");
    tasks.stop().cancel();
}
