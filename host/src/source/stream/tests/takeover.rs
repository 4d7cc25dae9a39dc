//! What a node held that is gone, or was too long silent, and who may settle it.

use super::*;
use crate::source::stream::scripts;
use std::mem;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_node_had_pending_comes_again_under_the_same_ids() {
    let server = Server::start().await;
    let mut dying = Node::with(&server, "a", &pipeline(64));
    let ids = add(&server, (0..20).map(|n| n.to_string())).await;
    for n in 0..20 {
        let delivery = dying.next().await;
        if n < 5 {
            delivery.settle(Outcome::Done);
        } else {
            mem::forget(delivery);
        }
    }
    eventually("five settled", || async { pending(&server).await == 15 }).await;
    drop(dying.die().await);
    let mut heir = Node::with(&server, "b", &pipeline(64));
    let mut again = HashSet::new();
    for _ in 0..15 {
        let delivery = heir.next().await;
        assert_eq!(delivery.message.attempt, 2);
        assert!(ids.contains(&delivery.message.id.to_string()));
        again.insert(delivery.message.id.clone());
        delivery.settle(Outcome::Done);
    }
    assert_eq!(again.len(), 15);
    nothing_is_pending(&server).await;
    let is_a = |name: &String| name.starts_with("gristmill:a:");
    eventually("no more consumers of `a`", || async { !consumers(&server).await.iter().any(is_a) }).await;
    heir.end().await;
    assert_eq!(consumers(&server).await, Vec::<String>::new());
    let ours: Vec<String> = ask(&server, "KEYS gristmill:*").await;
    assert_eq!(ours, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_fits_in_flight_is_taken_over_bit_by_bit() {
    let server = Server::start().await;
    let mut dying = Node::with(&server, "a", &pipeline(1_000));
    add(&server, (0..700).map(|n| n.to_string())).await;
    for _ in 0..700 {
        mem::forget(dying.next().await);
    }
    drop(dying.die().await);
    let mut heir = Node::with(&server, "b", &pipeline(16));
    let mut seen = HashSet::new();
    while seen.len() < 700 {
        let delivery = heir.next().await;
        assert!(seen.insert(delivery.message.id.clone()), "{} came twice", delivery.message.id);
        assert!(held_by(&server, "gristmill:b:").await <= 16);
        delivery.settle(Outcome::Done);
    }
    nothing_is_pending(&server).await;
}

async fn held_by(server: &Server, prefix: &str) -> usize {
    let mut summary: Vec<Value> = ask(server, &format!("XPENDING {STREAM} {GROUP}")).await;
    let holders: Option<Vec<(String, usize)>> = redis::from_redis_value(summary.remove(3)).unwrap();
    holders.into_iter().flatten().filter(|(name, _)| name.starts_with(prefix)).map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_entries_were_taken_over_cannot_settle_them() {
    let server = Server::start().await;
    let mut frozen = Node::with(&server, "a", &pipeline(8));
    add(&server, ["x".to_owned()]).await;
    let held = frozen.next().await;
    take_over_by_hand(&server).await;
    held.settle(Outcome::Dead { trouble: trouble(1, "too late"), succeeded: Vec::new() });
    let again = frozen.next().await;
    assert_eq!((again.message.payload.as_ref(), again.message.attempt), (&b"x"[..], 2));
    assert_eq!(dead(&server).await.count().await.unwrap(), 0, "the late settlement was refused as a whole");
    add(&server, ["y".to_owned()]).await;
    again.settle(Outcome::Done);
    let next = frozen.next().await;
    assert_eq!(next.message.payload, "y");
    next.settle(Outcome::Done);
    nothing_is_pending(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_was_registered_anew_settles_nothing_of_before() {
    let server = Server::start().await;
    let mut frozen = Node::with(&server, "a", &pipeline(8));
    add(&server, ["x".to_owned()]).await;
    let held = frozen.next().await;
    let all = consumers(&server).await;
    let lanes: Vec<String> =
        all.iter().map(|consumer| crate::source::stream::group::lane(&keys(), consumer).unwrap()).collect();
    take_over_by_hand(&server).await;
    // A round registers it before it waits for the next entry, and is told of that only behind it.
    eventually("the consumer that holds it is registered anew", || async {
        let found: Vec<String> = ask(&server, &format!("HKEYS {}", keys().lanes())).await;
        lanes.iter().all(|lane| found.contains(lane))
    })
    .await;
    held.settle(Outcome::Dead { trouble: trouble(1, "too late"), succeeded: Vec::new() });
    let again = frozen.next().await;
    assert_eq!((again.message.payload.as_ref(), again.message.attempt), (&b"x"[..], 2));
    again.settle(Outcome::Done);
    nothing_is_pending(&server).await;
    frozen.end().await;
    assert_eq!(dead(&server).await.count().await.unwrap(), 0, "the late settlement was refused as a whole");
}

/// Does to every consumer what a reaper does, as a node `z` that then dies.
async fn take_over_by_hand(server: &Server) {
    let (keys, mut redis) = (keys(), server.redis().await);
    for (index, consumer) in consumers(server).await.into_iter().enumerate() {
        let lane = crate::source::stream::group::lane(&keys, &consumer).unwrap();
        let heir = keys.lane("z", &format!("c{index}"));
        let taken = scripts::TAKE_OVER.run::<usize>(&mut redis, |claim| {
            claim.key(keys.lanes()).key(&lane).key("no-lease").key(STREAM).key(&heir);
            claim.arg(GROUP).arg(&consumer).arg(format!("gristmill:z:c{index}")).arg("0 0 x 0 -").arg(100);
        });
        taken.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_without_a_register_are_found_too() {
    let server = Server::start().await;
    let mut dying = Node::with(&server, "a", &pipeline(8));
    add(&server, ["x".to_owned()]).await;
    mem::forget(dying.next().await);
    drop(dying.die().await);
    ask::<()>(&server, &format!("DEL {}", keys().lanes())).await;
    let mut heir = Node::with(&server, "b", &pipeline(8));
    heir.next().await.settle(Outcome::Done);
    nothing_is_pending(&server).await;
    let is_a = |name: &String| name.starts_with("gristmill:a:");
    eventually("no more consumers of `a`", || async { !consumers(&server).await.iter().any(is_a) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_deleted_while_it_was_pending_is_let_go() {
    let server = Server::start().await;
    let mut dying = Node::with(&server, "a", &pipeline(8));
    let ids = add(&server, ["gone".to_owned(), "there".to_owned()]).await;
    mem::forget(dying.next().await);
    mem::forget(dying.next().await);
    drop(dying.die().await);
    assert_eq!(ask::<usize>(&server, &format!("XDEL {STREAM} {}", ids[0])).await, 1);
    let mut heir = Node::with(&server, "b", &pipeline(8));
    let delivery = heir.next().await;
    assert_eq!(delivery.message.payload, "there");
    delivery.settle(Outcome::Done);
    nothing_is_pending(&server).await;
    assert_eq!(dead(&server).await.count().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ends_every_node_is_quarantined_and_the_others_go_free() {
    let server = Server::start().await;
    let poison = add(&server, ["poison".to_owned()]).await.remove(0);
    add(&server, (0..10).map(|n| n.to_string())).await;
    let mut done = HashSet::new();
    for name in ["a", "b", "c", "d"] {
        let mut node = Node::with(&server, name, &pipeline(64));
        let mut met = false;
        while let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_millis(2_500), node.taken.recv()).await {
            if *delivery.message.id == *poison {
                met = true;
                mem::forget(delivery);
            } else if met || name != "a" {
                // Only the first ends with others in flight, too: a message that never gets done is as bad as the poison.
                done.insert(delivery.message.payload.clone());
                delivery.settle(Outcome::Done);
            } else {
                mem::forget(delivery);
            }
        }
        assert!(met, "`{name}` meets it");
        drop(node.die().await);
    }
    let mut last = Node::with(&server, "e", &pipeline(64));
    let mut dead = dead(&server).await;
    let begun = std::time::Instant::now();
    while dead.count().await.unwrap() == 0 || done.len() < 10 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} dead, done: {done:?}", dead.count().await.unwrap());
        if let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_millis(50), last.taken.recv()).await {
            assert_ne!(*delivery.message.id, *poison);
            done.insert(delivery.message.payload.clone());
            delivery.settle(Outcome::Done);
        }
    }
    let letter = only_letter(&dead).await;
    assert_eq!(*letter.id, *poison);
    assert!(letter.reason().starts_with("quarantined"), "{}", letter.reason());
    nothing_is_pending(&server).await;
    last.end().await;
    assert_eq!(ask::<usize>(&server, &format!("EXISTS {}", keys().tried())).await, 0);
}
