//! Messages that were in flight when nodes ended.

use super::*;

/// Lets nodes die with everything that they are given, except what `settles`; returns how many messages each was given.
async fn die_with_all(server: &Server, name: &str, count: usize) {
    let mut node = Node::start(server, name, 64);
    for _ in 0..count {
        std::mem::forget(node.next().await);
    }
    drop(node.die().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ends_every_node_is_quarantined_alone() {
    let server = Server::start().await;
    server.push((0..40).map(|n| n.to_string())).await;
    // First with all others, then among sixteen, then alone.
    die_with_all(&server, "a", 40).await;
    die_with_all(&server, "b", 40).await;
    let poison = "0";
    let mut ends = 0;
    let mut delivered = HashSet::new();
    'node: for name in ["c", "d", "e"] {
        let mut node = Node::start(&server, name, 64);
        while delivered.len() < 39 || ends < 2 {
            let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_secs(5), node.taken.recv()).await else {
                break;
            };
            if delivery.message.payload == poison {
                // Whatever else it was given ends with the node.
                std::mem::forget(delivery);
                while let Ok(other) = node.taken.try_recv() {
                    std::mem::forget(other);
                }
                drop(node.die().await);
                ends += 1;
                continue 'node;
            }
            delivered.insert(delivery.message.payload.clone());
            delivery.settle(Outcome::Done);
        }
        eventually("the poison is buried", || async {
            server.ask::<usize>(&["XLEN", &Keys::new(LIST).dead()]).await == 1
        })
        .await;
        node.end().await;
        break;
    }
    assert_eq!(ends, 2, "once among sixteen, once alone");
    let place = Place::of("test", &pipeline(64)).unwrap();
    let letters = DeadLetters::open(&server.connector(), vec![place]).await.unwrap();
    let letter = letters.walk(Filter::default()).await.unwrap().next().await.unwrap().expect("a letter");
    assert_eq!(letter.payload, poison.as_bytes());
    assert!(letter.reason().starts_with("quarantined: a node ended 4 times"), "{}", letter.reason());
    assert_eq!(delivered.len(), 39, "all others go free");
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
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
