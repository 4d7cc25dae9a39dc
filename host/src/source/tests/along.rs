//! Commands that are carried out in the step that settles a message.

use super::{nodes::Through, *};
use crate::{
    request::Failure,
    source::{Delivery, Opening, Settled},
};
use bytes::Bytes;
use futures_util::{FutureExt, future::join_all};

/// Each given as one line of words.
fn commands(lines: &[&str]) -> Vec<Vec<Bytes>> {
    let words = |line: &&str| line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
    lines.iter().map(words).collect()
}

/// What Redis said, and to which command, as the message was not settled.
fn refused(settled: Settled) -> (usize, Failure) {
    match settled {
        Settled::Refused(refusal) => (refusal.place, refusal.failure),
        other => panic!("it is {other:?}"),
    }
}

async fn along(delivery: &mut Delivery, lines: &[&str]) -> Settled {
    delivery.settle_along(commands(lines)).await
}

async fn take(node: &mut Node, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(node.next().await);
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_carried_out_once_for_each_message_and_nothing_is_left() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 64);
    server.push((0..200).map(|n| n.to_string())).await;
    for _ in 0..25 {
        let taken = take(&mut node, 8).await;
        let settled = join_all(taken.into_iter().map(async |mut delivery| {
            let payload = String::from_utf8(delivery.message.payload.to_vec()).unwrap();
            along(&mut delivery, &["INCR count", &format!("RPUSH out {payload}")]).await
        }));
        assert!(settled.await.iter().all(|settled| matches!(settled, Settled::Done)));
    }
    assert_eq!(server.ask::<usize>(&["GET", "count"]).await, 200);
    let out: Vec<usize> = server.ask(&["LRANGE", "out", "0", "-1"]).await;
    assert_eq!((out.len(), HashSet::<usize>::from_iter(out).len()), (200, 200));
    assert_eq!(server.in_lanes().await, 0, "who is told that it is settled can rely on it");
    node.end().await;
    assert_eq!(server.lanes().await, HashMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_command_is_refused_is_not_settled_and_holds_up_nothing() {
    let server = Server::start().await;
    server.ask::<()>(&["SET", "text", "x"]).await;
    let mut node = Node::start(&server, "a", 16);
    server.push((0..9).map(|n| n.to_string())).await;
    let mut taken = take(&mut node, 9).await;
    let settled = join_all(taken.iter_mut().map(async |delivery| match &delivery.message.payload[..] {
        b"0" | b"4" => along(delivery, &["INCR before", "RPUSH text y", "INCR behind"]).await,
        _ => along(delivery, &["INCR count"]).await,
    }))
    .await;
    let mut open = Vec::new();
    for (delivery, settled) in taken.into_iter().zip(settled) {
        if matches!(&delivery.message.payload[..], b"0" | b"4") {
            let (place, failure) = refused(settled);
            let Failure::Invalid(why) = failure else { panic!("{failure:?}") };
            assert!(place == 1 && why.contains("WRONGTYPE"), "{place}: {why}");
            open.push(delivery);
        } else {
            assert!(matches!(settled, Settled::Done), "{settled:?}");
        }
    }
    assert_eq!(server.ask::<(usize, usize, Option<usize>)>(&["MGET", "count", "before", "behind"]).await, (7, 2, None));
    assert_eq!(server.in_lanes().await, 2);
    // One is tried again, the other one outlives its node: both as they were.
    let waits = open.pop().unwrap();
    let ids = [waits.message.id.clone(), open[0].message.id.clone()];
    let (after, succeeded) = (Duration::ZERO, vec!["other".to_owned()]);
    waits.settle(Outcome::Retry { after, trouble: trouble(1, "refused"), succeeded });
    let mut again = node.next().await;
    assert_eq!((&again.message.id, again.message.attempt, again.succeeded()), (&ids[0], 2, &["other".to_owned()][..]));
    assert!(matches!(refused(along(&mut again, &["RPUSH text y"]).await), (0, Failure::Invalid(_))));
    assert!(matches!(along(&mut again, &["INCR count"]).await, Settled::Done), "a lane of envelopes is like others");
    open.into_iter().for_each(std::mem::forget);
    drop(node.die().await);
    let mut heir = Node::start(&server, "b", 16);
    let mut again = heir.next().await;
    assert_eq!((&again.message.id, again.message.attempt), (&ids[1], 2));
    assert!(matches!(along(&mut again, &["INCR count"]).await, Settled::Done));
    assert_eq!((server.ask::<usize>(&["GET", "count"]).await, server.in_lanes().await), (9, 0));
    heir.end().await;
    assert_eq!(server.lanes().await, HashMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_lane_was_taken_over_carries_nothing_out() {
    let server = Server::start().await;
    let mut frozen = Node::start(&server, "a", 8);
    server.push(["x".to_owned()]).await;
    let mut held = frozen.next().await;
    take_over_by_hand(&server).await;
    assert!(matches!(along(&mut held, &["INCR count"]).await, Settled::Lost));
    drop(held);
    let mut again = frozen.next().await;
    assert_eq!(again.message.attempt, 2);
    assert!(!server.ask::<bool>(&["EXISTS", "count"]).await);
    assert!(matches!(along(&mut again, &["INCR count"]).await, Settled::Done));
    assert_eq!(server.ask::<usize>(&["GET", "count"]).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_carries_nothing_out_twice_and_no_refusal_is_missed() {
    let server = Server::start().await;
    server.ask::<()>(&["SET", "text", "x"]).await;
    let through = Through::to(&server).await;
    let mut node = Node::opened(Opening {
        connector: through.connector(),
        ..nodes::opening(server.connector(), "a", &pipeline(8))
    });
    server.push(["first".to_owned()]).await;
    let settled = along(&mut node.next().await, &["SET first x"]).await;
    assert!(matches!(settled, Settled::Done), "now Redis has the script");
    server.push(["good".to_owned(), "bad".to_owned()]).await;
    for _ in 0..2 {
        let mut delivery = node.next().await;
        // The answer to the settlement is cut off with its connection.
        through.cut_behind(b"marked");
        if delivery.message.payload == "good" {
            assert!(matches!(along(&mut delivery, &["INCR count", "SET marked x"]).await, Settled::Done));
        } else {
            let (_, failure) = refused(along(&mut delivery, &["INCR count", "RPUSH text marked"]).await);
            let Failure::Unreachable(why) = failure else { panic!("{failure:?}") };
            assert!(why.contains("the answer of Redis was lost"), "{why}");
            let again = along(&mut delivery, &["RPUSH text x"]).await;
            assert!(matches!(refused(again), (0, Failure::Invalid(_))));
            delivery.settle(Outcome::Done);
        }
        assert!(through.has_cut(), "an answer was lost");
    }
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
    assert_eq!(server.ask::<usize>(&["GET", "count"]).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_repeat_no_command() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 64);
    let shutdown = node.shutdown.clone();
    let worker = shutdown.clone();
    let collector = shutdown.track(async move {
        while let Some(mut delivery) = node.taken.recv().await {
            drop(worker.track(async move {
                let payload = String::from_utf8(delivery.message.payload.to_vec()).unwrap();
                along(&mut delivery, &[&format!("HINCRBY counts {payload} 1")]).await
            }));
        }
        node.source
    });
    for round in 0..10 {
        server.push((0..200).map(|n| format!("{round}-{n}"))).await;
        let mut redis = server.redis().await;
        for _ in 0..5 {
            let kill = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes").to_owned();
            kill.exec_async(&mut redis).await.unwrap();
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }
    eventually("all are counted", || async { server.ask::<usize>(&["HLEN", "counts"]).await == 2_000 }).await;
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
    let counts: Vec<usize> = server.ask(&["HVALS", "counts"]).await;
    assert_eq!(counts.iter().filter(|count| **count != 1).count(), 0);
    collector.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_refuses_all_commands_until_there_is_room() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 8);
    server.push(["x".to_owned(), "y".to_owned()]).await;
    let mut taken = take(&mut node, 2).await;
    server.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for delivery in &mut taken {
        let (place, failure) = refused(along(delivery, &["INCR count", "INCR count"]).await);
        let Failure::Unreachable(why) = failure else { panic!("{failure:?}") };
        assert!(place == 0 && why.contains("OOM"), "{why}");
    }
    assert!(!server.ask::<bool>(&["EXISTS", "count"]).await);
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    for delivery in &mut taken {
        assert!(matches!(along(delivery, &["INCR count"]).await, Settled::Done));
    }
    assert_eq!((server.ask::<usize>(&["GET", "count"]).await, server.in_lanes().await), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_commands_go_in_several_steps_and_endless_ones_not_at_all() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 16);
    server.push((0..12).map(|n| n.to_string())).await;
    let mut taken = take(&mut node, 12).await;
    let long = "x".repeat(5 << 20);
    let settled = taken.iter_mut().enumerate().map(async |(n, delivery)| match n {
        0 => delivery.settle_along(vec![vec![Bytes::from(long.clone().repeat(13))]]).await,
        1 => along(delivery, &["INCR count"]).await,
        _ => along(delivery, &["INCR count", &format!("SET k{n} {long}")]).await,
    });
    let mut settled = join_all(settled).await.into_iter();
    let (_, Failure::Invalid(why)) = refused(settled.next().unwrap()) else { panic!() };
    assert!(why.contains("64 MiB"), "{why}");
    assert!(settled.all(|settled| matches!(settled, Settled::Done)));
    assert_eq!(server.ask::<usize>(&["GET", "count"]).await, 11);
    taken.swap_remove(0).settle(Outcome::Done);
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_waits_for_any_more_is_settled_or_comes_again() {
    let server = Server::start().await;
    server.ask::<()>(&["SET", "text", "x"]).await;
    let mut node = Node::start(&server, "a", 8);
    server.push(["good".to_owned(), "bad".to_owned()]).await;
    for _ in 0..2 {
        let mut delivery = node.next().await;
        let line = if delivery.message.payload == "good" { "INCR count" } else { "RPUSH text y" };
        let begun = along(&mut delivery, &[line]).now_or_never();
        drop((begun, delivery));
    }
    let mut again = node.next().await;
    assert_eq!(again.message.payload, "bad");
    assert!(matches!(along(&mut again, &["INCR count"]).await, Settled::Done));
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
    assert_eq!(server.ask::<usize>(&["GET", "count"]).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_lane_carries_commands_out_once() {
    let server = Server::start().await;
    server.ask::<()>(&["SET", "text", "x"]).await;
    let mut node = Node::start(&server, "a", 16);
    server.push((0..4).map(|n| n.to_string())).await;
    let mut taken = take(&mut node, 4).await;
    for lane in server.lanes().await.into_keys() {
        server.ask::<()>(&["DEL", &lane]).await;
    }
    let settled = join_all(taken.iter_mut().map(async |delivery| match &delivery.message.payload[..] {
        b"1" => along(delivery, &["RPUSH text y"]).await,
        _ => along(delivery, &["INCR count"]).await,
    }))
    .await;
    for (mut delivery, settled) in taken.into_iter().zip(settled) {
        if delivery.message.payload == "1" {
            refused(settled);
            assert!(matches!(along(&mut delivery, &["INCR count"]).await, Settled::Done));
        } else {
            assert!(matches!(settled, Settled::Done), "{settled:?}");
        }
    }
    assert_eq!((server.ask::<usize>(&["GET", "count"]).await, server.in_lanes().await), (4, 0));
}
