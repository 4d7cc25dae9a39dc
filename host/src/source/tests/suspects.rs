//! Messages that were in flight when nodes ended.

use super::*;
use bytes::Bytes;

/// Lets a node die with `count` messages that it was given.
async fn die_with_all(server: &Server, name: &str, count: usize) {
    let mut node = Node::start(server, name, 64);
    for _ in 0..count {
        std::mem::forget(node.next().await);
    }
    drop(node.die().await);
}

/// Lets a node settle what it is given until that is `poison`; whatever else it was given ends with it.
async fn die_by(poison: &str, mut node: Node, delivered: &mut HashSet<Bytes>) {
    loop {
        let delivery = node.next().await;
        if delivery.message.payload == poison {
            std::mem::forget(delivery);
            break;
        }
        delivered.insert(delivery.message.payload.clone());
        delivery.settle(Outcome::Done);
    }
    while let Ok(other) = node.taken.try_recv() {
        std::mem::forget(other);
    }
    drop(node.die().await);
}

async fn dead(server: &Server) -> usize {
    server.ask(&["XLEN", &Keys::new(LIST).dead()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ends_every_node_is_quarantined_alone() {
    let server = Server::start().await;
    server.push((0..40).map(|n| n.to_string())).await;
    // Twice with all others, then among sixteen, then alone.
    die_with_all(&server, "a", 40).await;
    die_with_all(&server, "b", 40).await;
    let poison = "0";
    let mut delivered = HashSet::new();
    for name in ["c", "d"] {
        die_by(poison, Node::start(&server, name, 64), &mut delivered).await;
    }
    let mut heir = Node::start(&server, "e", 64);
    eventually("the poison is buried, and nothing else is left", || {
        // What was settled just before a node ended comes again.
        while let Ok(delivery) = heir.taken.try_recv() {
            assert_ne!(delivery.message.payload, poison, "it ends no third one");
            delivered.insert(delivery.message.payload.clone());
            delivery.settle(Outcome::Done);
        }
        let (server, all) = (&server, delivered.len() == 39);
        async move { all && dead(server).await == 1 && server.in_lanes().await == 0 }
    })
    .await;
    heir.end().await;
    let place = Place::of("test", &pipeline(64)).unwrap();
    let letters = DeadLetters::open(&server.connector(), vec![place]).await.unwrap();
    let letter = letters.walk(Filter::default()).await.unwrap().next().await.unwrap().expect("a letter");
    assert_eq!(letter.payload, poison.as_bytes());
    assert!(letter.reason().starts_with("quarantined: a node ended 4 times"), "{}", letter.reason());
    assert_eq!(dead(&server).await, 1, "it alone");
    assert_eq!(server.ask::<usize>(&["EXISTS", &Keys::new(LIST).tried()]).await, 0, "nothing is remembered of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_with_a_slow_message_does_not_wait_for_it() {
    let server = Server::start().await;
    server.push((0..8).map(|n| n.to_string())).await;
    die_with_all(&server, "a", 8).await;
    // Hardly more than one at a time is read of what the dead node left, as the heir's takers wait with the other permit.
    let mut heir = Node::start(&server, "b", 2);
    let slow = heir.next().await;
    for _ in 1..8 {
        heir.next().await.settle(Outcome::Done);
    }
    slow.settle(Outcome::Done);
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_are_counted_by_the_holder_of_the_lane_only() {
    let server = Server::start().await;
    let (keys, mut redis) = (Keys::new(LIST), server.redis().await);
    let lane = keys.lane("a", "q1");
    let lanes: usize =
        redis::cmd("HSET").arg(keys.lanes()).arg(&lane).arg("0 0 x 0 -").query_async(&mut redis).await.unwrap();
    assert_eq!(lanes, 1);
    for (held, counted) in [(&*lane, 1), ("taken over", 0)] {
        let tried = scripts::TRIED.run(&mut redis, |count| {
            count.key(keys.lanes()).key(held).key(keys.tried()).arg("id").arg(1);
        });
        let (): () = tried.await.unwrap();
        assert_eq!(server.ask::<usize>(&["HLEN", &keys.tried()]).await, counted, "{held}");
        server.ask::<usize>(&["DEL", &keys.tried()]).await;
    }
}
