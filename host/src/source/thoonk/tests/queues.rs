//! Queues: nothing is claimed, and an item stays in the feed until it is settled.

use super::*;

fn queue() -> config::Thoonk {
    feed(Some(ThoonkKind::Queue))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_leaves_the_queue_when_it_is_settled() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut node = start(&server, "a", queue());
    peer.put_into_queue("1f", "body").await;
    let delivery = node.next().await;
    assert_eq!((&*delivery.message.id, &delivery.message.payload[..]), ("1f", &b"body"[..]));
    assert_eq!(&*delivery.message.source, FEED);
    let in_flight = || State { items: items(&[("1f", "body")]), ..State::default() };
    assert_eq!(peer.state().await, in_flight());
    delivery.settle(retry(Duration::from_millis(300)));
    let again = node.next().await;
    assert_eq!((again.message.attempt, &again.message.payload[..]), (2, &b"body"[..]));
    assert_eq!(peer.state().await, in_flight());
    again.settle(Outcome::Done);
    peer.becomes(State::default()).await;
    node.end().await;
    assert_eq!(peer.run::<Vec<String>>(&["KEYS", "gristmill:*"]).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_item_leaves_the_queue_for_the_dead_letters() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut node = start(&server, "a", queue());
    peer.put_into_queue("1f", "body").await;
    node.next().await.settle(dead("no good"));
    peer.becomes(State::default()).await;
    let mut letters = letters(&server).await;
    let letter = letters.walk(Filter::default()).await.unwrap().next().await.unwrap().unwrap();
    assert_eq!((&*letter.id, &letter.payload[..]), ("1f", &b"body"[..]));
    assert!(letters.replay(&letter, &Changes::default()).await.unwrap().is_some());
    let replayed = node.next().await;
    assert_eq!(peer.state().await, State::default(), "only jobs are claimed");
    replayed.settle(Outcome::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loses_nothing_of_a_queue() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut dying = start(&server, "a", queue());
    for n in 0..40 {
        peer.put_into_queue(&format!("id{n}"), &n.to_string()).await;
    }
    for n in 0..10 {
        let delivery = dying.next().await;
        if n < 3 {
            delivery.settle(Outcome::Done);
        } else {
            std::mem::forget(delivery);
        }
    }
    eventually("three settled", || {
        let mut redis = peer.redis.clone();
        async move { redis::cmd("HLEN").arg(key("items")).query_async::<u32>(&mut redis).await.unwrap() == 37 }
    })
    .await;
    drop(dying.die().await);
    let mut heir = start(&server, "b", queue());
    let mut seen = BTreeSet::new();
    while seen.len() < 37 {
        let delivery = heir.next().await;
        assert!(delivery.message.id.ends_with(std::str::from_utf8(&delivery.message.payload).unwrap()));
        assert!(seen.insert(delivery.message.id.to_string()));
        delivery.settle(Outcome::Done);
    }
    peer.becomes(State::default()).await;
}
