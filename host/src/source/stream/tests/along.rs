//! Commands that are carried out in the step that settles an entry.

use super::*;
use crate::source::{Delivery, Settled};
use bytes::Bytes;

async fn along(delivery: &mut Delivery, line: &str) -> Settled {
    delivery.settle_along(vec![line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_settled_with_its_command_or_stays_pending() {
    for done in [Done::Keep, Done::Delete] {
        let server = Server::start().await;
        ask::<()>(&server, "SET text x").await;
        let config = pipeline_of(config::From::Stream(config::Stream { done, ..stream() }), 8);
        let mut node = Node::with(&server, "a", &config);
        add(&server, ["good".to_owned(), "bad".to_owned()]).await;
        let (mut good, mut bad) = (node.next().await, node.next().await);
        if good.message.payload == "bad" {
            std::mem::swap(&mut good, &mut bad);
        }
        assert!(matches!(along(&mut bad, "RPUSH text y").await, Settled::Refused(_)));
        assert!(matches!(along(&mut good, "XADD out * id good").await, Settled::Done));
        assert_eq!((pending(&server).await, ask::<usize>(&server, "XLEN out").await), (1, 1));
        // It outlives its node; whoever has it next may try again.
        let id = bad.message.id.clone();
        std::mem::forget(bad);
        drop(node.die().await);
        let mut heir = Node::with(&server, "b", &config);
        let mut again = heir.next().await;
        assert_eq!((&again.message.id, again.message.attempt), (&id, 2));
        assert!(matches!(along(&mut again, "RPUSH text y").await, Settled::Refused(_)));
        let (after, succeeded) = (Duration::ZERO, Vec::new());
        again.settle(Outcome::Retry { after, trouble: trouble(2, "refused"), succeeded });
        let mut again = heir.next().await;
        assert!(matches!(along(&mut again, "XADD out * id bad").await, Settled::Done));
        assert_eq!((pending(&server).await, ask::<usize>(&server, "XLEN out").await), (0, 2));
        let left = if done == Done::Keep { 2 } else { 0 };
        assert_eq!(ask::<usize>(&server, "XLEN events").await, left);
        heir.end().await;
        assert_eq!(consumers(&server).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_was_taken_over_carries_nothing_out() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &pipeline(8));
    add(&server, ["x".to_owned()]).await;
    let mut held = node.next().await;
    ask::<usize>(&server, &format!("DEL {}", keys().lanes())).await;
    assert!(matches!(along(&mut held, "INCR count").await, Settled::Lost));
    assert!(!ask::<bool>(&server, "EXISTS count").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_carried_out_where_the_group_cannot_be_told() {
    let server = Server::start().await;
    let mut node = Node::with(&server, "a", &pipeline(8));
    add(&server, ["x".to_owned()]).await;
    let mut held = node.next().await;
    ask::<()>(&server, "ACL SETUSER default -xack").await;
    let settles = async { along(&mut held, "INCR count").await };
    let told = tokio::time::timeout(Duration::from_secs(1), settles).await;
    assert!(told.is_err(), "{told:?}");
    assert!(!ask::<bool>(&server, "EXISTS count").await);
    ask::<()>(&server, "ACL SETUSER default +xack").await;
    eventually("it is settled", || async { ask::<Option<usize>>(&server, "GET count").await == Some(1) }).await;
    nothing_is_pending(&server).await;
}
