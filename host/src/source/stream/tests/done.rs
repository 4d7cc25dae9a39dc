//! What becomes of entries that are settled.

use super::*;

fn leaving(done: Done) -> Pipeline {
    pipeline_of(config::From::Stream(config::Stream { done, ..stream() }), 16)
}

async fn len(server: &Server) -> usize {
    ask(server, &format!("XLEN {STREAM}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn settled_entries_are_deleted_where_that_is_wanted() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &leaving(Done::Delete));
    add(&server, (0..40).map(|n| n.to_string())).await;
    let held = node.next().await;
    for _ in 1..40 {
        node.next().await.settle(Outcome::Done);
    }
    eventually("one entry left", || async { len(&server).await == 1 }).await;
    held.settle(Outcome::Retry { after: Duration::ZERO, trouble: trouble(1, "busy"), succeeded: Vec::new() });
    let again = node.next().await;
    assert_eq!((len(&server).await, again.message.attempt), (0, 2));
    again.settle(Outcome::Done);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trimming_never_takes_what_a_slower_group_needs() {
    let server = Server::start().await;
    ask::<()>(&server, &format!("XGROUP CREATE {STREAM} slow 0 MKSTREAM")).await;
    let mut node = Node::with(&server, "a", &leaving(Done::Trim));
    let ids = add(&server, (0..30).map(|n| n.to_string())).await;
    for _ in 0..30 {
        node.next().await.settle(Outcome::Done);
    }
    nothing_is_pending(&server).await;
    let read: Value = ask(&server, &format!("XREADGROUP GROUP slow s COUNT 10 STREAMS {STREAM} >")).await;
    assert_ne!(read, Value::Nil);
    // Twice the time after which a node trims.
    let trimmed = async { while len(&server).await == 30 {} };
    assert!(tokio::time::timeout(Duration::from_secs(4), trimmed).await.is_err(), "all 30 are still needed");
    for id in &ids[..5] {
        ask::<usize>(&server, &format!("XACK {STREAM} slow {id}")).await;
    }
    eventually("the first five gone", || async { len(&server).await == 25 }).await;
    for id in &ids[6..10] {
        ask::<usize>(&server, &format!("XACK {STREAM} slow {id}")).await;
    }
    ask::<usize>(&server, &format!("XACK {STREAM} slow {}", ids[5])).await;
    eventually("what was read is gone", || async { len(&server).await == 20 }).await;
    let rest: Vec<(String, Vec<(String, Value)>)> =
        ask(&server, &format!("XREADGROUP GROUP slow s COUNT 100 STREAMS {STREAM} >")).await;
    let rest: Vec<String> = rest.into_iter().flat_map(|(_, entries)| entries).map(|(id, _)| id).collect();
    assert_eq!(rest, ids[10..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trimming_leaves_nothing_once_all_is_settled() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &leaving(Done::Trim));
    add(&server, (0..10).map(|n| n.to_string())).await;
    let held = node.next().await;
    for _ in 1..10 {
        node.next().await.settle(Outcome::Done);
    }
    eventually("one pending", || async { pending(&server).await == 1 }).await;
    held.settle(Outcome::Done);
    eventually("an empty stream", || async { len(&server).await == 0 }).await;
    add(&server, ["more".to_owned()]).await;
    assert_eq!(node.next().await.message.payload, "more");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_beyond_what_a_double_can_tell_apart_are_trimmed_exactly() {
    let server = Server::start().await;
    for id in ["9007199254740993-1", "9007199254740993-18446744073709551614", "10000000000000000000-1"] {
        ask::<String>(&server, &format!("XADD {STREAM} {id} data x")).await;
    }
    ask::<()>(&server, &format!("XGROUP CREATE {STREAM} slow 9007199254740993-1")).await;
    let mut node = Node::with(&server, "a", &leaving(Done::Trim));
    for _ in 0..3 {
        node.next().await.settle(Outcome::Done);
    }
    eventually("the first gone", || async { len(&server).await < 3 }).await;
    let left: Vec<(String, Value)> = ask(&server, &format!("XRANGE {STREAM} - +")).await;
    assert_eq!(left[0].0, "9007199254740993-18446744073709551614");
    assert_eq!(left.len(), 2);
}
