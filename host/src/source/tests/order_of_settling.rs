//! What finishes out of order: settled at once, and nothing of it comes again.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_message_does_not_hold_back_those_behind_it() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 8);
    server.push((0..500).map(|n| n.to_string())).await;
    let slow = node.next().await;
    for _ in 1..500 {
        node.next().await.settle(Outcome::Done);
        assert!(server.in_lanes().await <= 8, "a crash repeats what may be in flight, not more");
    }
    eventually("only the slow one is left", || async { server.in_lanes().await == 1 }).await;
    slow.settle(Outcome::Done);
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_message_survives_its_node() {
    let server = Server::start().await;
    let mut dying = Node::start(&server, "a", 4);
    server.push((0..50).map(|n| n.to_string())).await;
    let slow = dying.next().await;
    for _ in 1..50 {
        dying.next().await.settle(Outcome::Done);
    }
    eventually("only the slow one is left", || async { server.in_lanes().await == 1 }).await;
    let (id, payload) = (slow.message.id.clone(), slow.message.payload.clone());
    std::mem::forget(slow);
    drop(dying.die().await);
    let mut heir = Node::start(&server, "b", 4);
    let again = heir.next().await;
    assert_eq!((&again.message.id, &again.message.payload, again.message.attempt), (&id, &payload, 2));
    again.settle(Outcome::Done);
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_settled_behind_a_slow_message_does_not_come_again() {
    let server = Server::start().await;
    let mut dying = Node::start(&server, "a", 8);
    server.push((0..8).map(|n| n.to_string())).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let delivery = dying.next().await;
        match &delivery.message.payload[..] {
            b"0" | b"5" => slow.push(delivery),
            _ => delivery.settle(Outcome::Done),
        }
    }
    eventually("two are left", || async { server.in_lanes().await == 2 }).await;
    slow.into_iter().for_each(std::mem::forget);
    drop(dying.die().await);
    let mut heir = Node::start(&server, "b", 8);
    let mut again: Vec<_> = vec![heir.next().await, heir.next().await];
    again.sort_by_key(|delivery| delivery.message.payload.clone());
    assert_eq!(again.iter().map(|delivery| &delivery.message.payload[..]).collect::<Vec<_>>(), [b"0", b"5"]);
    again.into_iter().for_each(|delivery| delivery.settle(Outcome::Done));
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
    assert!(heir.taken.try_recv().is_err(), "nothing else comes");
    heir.end().await;
    assert_eq!(server.lanes().await, HashMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_is_scheduled_though_one_before_it_is_slow() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 8);
    server.push(["slow".to_owned(), "failing".to_owned()]).await;
    let (one, other) = (node.next().await, node.next().await);
    let (slow, failing) = if one.message.payload == "slow" { (one, other) } else { (other, one) };
    failing.settle(Outcome::Retry { after: Duration::ZERO, trouble: trouble(1, "busy"), succeeded: Vec::new() });
    let again = node.next().await;
    assert_eq!((&again.message.payload[..], again.message.attempt), (&b"failing"[..], 2));
    again.settle(Outcome::Done);
    slow.settle(Outcome::Done);
    eventually("empty lanes", || async { server.in_lanes().await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_back_untried_comes_again_as_if_nothing_had_been() {
    let server = Server::start().await;
    let mut node = Node::start(&server, "a", 8);
    server.push(["x".to_owned()]).await;
    node.next().await.settle(Outcome::Again { after: Duration::from_millis(50), succeeded: Vec::new() });
    let again = node.next().await;
    assert_eq!((again.message.attempt, again.troubles().len()), (1, 0));
    again.settle(Outcome::Done);
}
