//! Entries that other programs in the same group have left.

use super::*;

fn claiming(idle: Option<u64>) -> Pipeline {
    let claim = idle.map(Duration::from_millis);
    pipeline_of(config::From::Stream(config::Stream { claim, ..stream() }), 16)
}

/// Lets a program named `worker` read `count` entries and leave them.
async fn read_and_leave(server: &Server, count: usize) {
    let read: Value = ask(server, &format!("XREADGROUP GROUP {GROUP} worker COUNT {count} STREAMS {STREAM} >")).await;
    assert_ne!(read, Value::Nil);
}

async fn left(server: &Server, count: usize) -> Vec<String> {
    ask::<()>(server, &format!("XGROUP CREATE {STREAM} {GROUP} 0 MKSTREAM")).await;
    let ids = add(server, (0..count).map(|n| n.to_string())).await;
    read_and_leave(server, count).await;
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_leave_idle_is_claimed_and_counted() {
    let server = Server::start().await;
    let ids = left(&server, 40).await;
    let mut node = Node::with(&server, "a", &claiming(Some(500)));
    comes_nothing(&mut node).await;
    let mut seen = HashSet::new();
    for _ in 0..40 {
        let delivery = node.next().await;
        assert_eq!(delivery.message.attempt, 2, "the other's attempt counts");
        seen.insert(delivery.message.id.to_string());
        delivery.settle(Outcome::Done);
    }
    assert_eq!(seen, ids.into_iter().collect());
    nothing_is_pending(&server).await;
    node.end().await;
    assert_eq!(consumers(&server).await, ["worker"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_is_theirs_unless_claiming_is_wanted() {
    let server = Server::start().await;
    let ids = left(&server, 3).await;
    // An hour idle.
    ask::<Value>(&server, &format!("XCLAIM {STREAM} {GROUP} worker 0 {} IDLE 3600000", ids[0])).await;
    let mut node = Node::with(&server, "a", &claiming(None));
    add(&server, ["mine".to_owned()]).await;
    let mine = node.next().await;
    assert_eq!(mine.message.payload, "mine");
    mine.settle(Outcome::Done);
    // Longer than it takes to be found an orphan.
    let next = tokio::time::timeout(Duration::from_millis(2_500), node.taken.recv()).await;
    assert!(next.is_err(), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_idle_for_long_enough_is_claimed() {
    let server = Server::start().await;
    let ids = left(&server, 3).await;
    ask::<Value>(&server, &format!("XCLAIM {STREAM} {GROUP} worker 0 {} IDLE 700000 JUSTID", ids[1])).await;
    let mut node = Node::with(&server, "a", &claiming(Some(600_000)));
    let delivery = node.next().await;
    assert_eq!(*delivery.message.id, *ids[1]);
    comes_nothing(&mut node).await;
    delivery.settle(Outcome::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_message_of_ours_is_not_claimed() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &claiming(Some(100)));
    let mut other = Node::with(&server, "b", &claiming(Some(100)));
    add(&server, ["slow".to_owned()]).await;
    let slow = tokio::select! {
        delivery = node.next() => delivery,
        delivery = other.next() => delivery,
    };
    comes_nothing(&mut node).await;
    comes_nothing(&mut other).await;
    slow.settle(Outcome::Done);
    nothing_is_pending(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_others_died_of_too_often_is_given_up() {
    let server = Server::start().await;
    let ids = left(&server, 2).await;
    // `retry.attempts` is 8: the claim is the 9th delivery of one, the 8th of the other.
    for (id, deliveries) in ids.iter().zip([8, 7]) {
        let claim = format!("XCLAIM {STREAM} {GROUP} worker 0 {id} IDLE 5000 RETRYCOUNT {deliveries} JUSTID");
        ask::<Value>(&server, &claim).await;
    }
    let mut node = Node::with(&server, "a", &claiming(Some(1_000)));
    let delivery = node.next().await;
    assert_eq!((&*delivery.message.id, delivery.message.attempt), (&*ids[1], 8));
    delivery.settle(Outcome::Done);
    nothing_is_pending(&server).await;
    let letter = only_letter(&dead(&server).await).await;
    assert_eq!((&*letter.id, &letter.payload[..], letter.attempts), (&*ids[0], &b"0"[..], 9));
    assert_eq!(letter.reason(), "delivered 9 times to consumers that never settled it");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_to_others_still_count_after_a_takeover() {
    let server = Server::start().await;
    left(&server, 1).await;
    let mut dying = Node::with(&server, "a", &claiming(Some(200)));
    let claimed = dying.next().await;
    assert_eq!(claimed.message.attempt, 2);
    std::mem::forget(claimed);
    drop(dying.die().await);
    let mut heir = Node::with(&server, "b", &claiming(None));
    let again = heir.next().await;
    assert_eq!(again.message.attempt, 3);
    again.settle(Outcome::Done);
    nothing_is_pending(&server).await;
}
