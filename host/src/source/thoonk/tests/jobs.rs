//! Jobs: claimed, finished, tried again, stalled, and ended by others meanwhile.

use super::*;
use bytes::Bytes;

/// One job that waits or is claimed and was never cancelled.
fn one(claimed: bool) -> State {
    State {
        ids: if claimed { Vec::new() } else { vec!["1f".to_owned()] },
        claimed: if claimed { vec!["1f".to_owned()] } else { Vec::new() },
        items: items(&[("1f", "body")]),
        published: vec!["1f".to_owned()],
        ..State::default()
    }
}

fn finished(finishes: u32) -> State {
    State { finishes, ..State::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_claimed_while_it_is_in_flight_and_gone_when_it_is_finished() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut listener = Listener::new(&server, &["feed.claimed:work", "job.finish:work"]).await;
    let mut node = start(&server, "a", job());
    peer.put("1f", "body").await;
    let delivery = node.next().await;
    let message = &delivery.message;
    assert_eq!((&*message.id, &message.payload[..], message.attempt), ("1f", &b"body"[..], 1));
    assert_eq!((&*message.source, &*message.topic, message.headers.len()), (FEED, FEED, 0));
    assert_eq!(listener.next().await, ("feed.claimed:work".to_owned(), b"1f".to_vec()));
    assert_eq!(peer.state().await, one(true));
    assert!((-2_000..=0).contains(&peer.claimed_in("1f").await));
    delivery.settle(Outcome::Done);
    peer.becomes(finished(1)).await;
    assert!(listener.is_silent(), "no result was given");
    assert!(peer.held().await.is_empty());
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_job_hears_its_result() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut listener = Listener::new(&server, &["job.finish:work"]).await;
    let mut node = start(&server, "a", job());
    peer.put("1f", "body").await;
    node.next().await.settle(Outcome::Finished { result: Bytes::from_static(b"a\0b") });
    assert_eq!(listener.next().await, ("job.finish:work".to_owned(), b"1f\0a\0b".to_vec()));
    peer.becomes(finished(1)).await;
    assert!(listener.is_silent());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_end_of_the_line_goes_first() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    for id in ["1", "2", "3"] {
        peer.put(id, id).await;
    }
    let _length: u32 = peer.run(&["RPUSH", &key("ids"), "urgent"]).await;
    let _new: u32 = peer.run(&["HSET", &key("items"), "urgent", "!"]).await;
    let mut node = start_with(&server, "a", job(), 1);
    for id in ["urgent", "1", "2", "3"] {
        let delivery = node.next().await;
        assert_eq!(&*delivery.message.id, id);
        delivery.settle(Outcome::Done);
    }
    peer.becomes(finished(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_another_attempt_stays_claimed_until_then() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut node = start(&server, "a", job());
    peer.put("1f", "body").await;
    node.next().await.settle(retry(Duration::from_secs(3)));
    for _ in 0..100 {
        if peer.claimed_in("1f").await > 1_000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!((1_000..=3_000).contains(&peer.claimed_in("1f").await), "claimed as of when it is due");
    assert_eq!(peer.state().await, one(true));
    assert_eq!(peer.held().await.len(), 1);
    let again = node.next().await;
    assert_eq!((&*again.message.id, again.message.attempt, &again.message.payload[..]), ("1f", 2, &b"body"[..]));
    again.settle(Outcome::Done);
    peer.becomes(finished(1)).await;
    assert!(peer.held().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_stalled_and_its_replay_finishes_it() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut node = start(&server, "a", job());
    peer.put("1f", "body").await;
    node.next().await.settle(dead("no good"));
    let stalled =
        || State { items: items(&[("1f", "body")]), stalled: BTreeSet::from(["1f".to_owned()]), ..State::default() };
    peer.becomes(stalled()).await;
    assert!(peer.held().await.is_empty());
    let mut letters = letters(&server).await;
    let letter = letters.walk(Filter::default()).await.unwrap().next().await.unwrap().unwrap();
    assert_eq!((&*letter.id, letter.item.as_deref(), &letter.payload[..]), ("1f", Some("1f"), &b"body"[..]));
    assert!(letters.replay(&letter, &Changes::default()).await.unwrap().is_some());
    let replayed = node.next().await;
    assert_eq!((&*replayed.message.id, &replayed.message.payload[..]), ("1f", &b"body"[..]));
    assert_eq!(peer.state().await, one(true));
    assert!(letters.replay(&letter, &Changes::default()).await.unwrap().is_none());
    replayed.settle(dead("still no good"));
    peer.becomes(stalled()).await;
    let letter = letters.walk(Filter::default()).await.unwrap().next().await.unwrap().unwrap();
    assert!(letters.replay(&letter, &Changes::default()).await.unwrap().is_some());
    node.next().await.settle(Outcome::Done);
    peer.becomes(finished(1)).await;
    assert_eq!(letters.count().await.unwrap(), 0);
    assert!(peer.held().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_make_of_a_job_in_flight_is_left_to_them() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut listener = Listener::new(&server, &["job.finish:work"]).await;
    let mut node = start(&server, "a", job());
    for outcome in [Outcome::Finished { result: Bytes::from_static(b"x") }, dead("no"), retry(Duration::ZERO)] {
        peer.put("1f", "body").await;
        let delivery = node.next().await;
        peer.retract("1f").await;
        delivery.settle(outcome);
        eventually("settled", || {
            let mut redis = peer.redis.clone();
            async move {
                let held = redis::cmd("SCARD").arg("gristmill:{feed.ids:work}:feed.ids:work:held").to_owned();
                held.query_async::<u32>(&mut redis).await.unwrap() == 0
            }
        })
        .await;
        assert_eq!(peer.state().await, State::default());
    }
    hears_nothing_for(&mut node, Duration::from_millis(600)).await;
    assert!(listener.is_silent(), "a retracted job has no result");
    assert_eq!(letters(&server).await.count().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_others_cancel_is_finished_once() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut listener = Listener::new(&server, &["job.finish:work"]).await;
    let mut node = start(&server, "a", job());
    peer.put("1f", "body").await;
    let first = node.next().await;
    peer.cancel("1f").await;
    let second = node.next().await;
    assert_eq!((second.message.attempt, second.message.header("thoonk-cancelled")), (2, Some("1")));
    second.settle(Outcome::Finished { result: Bytes::from_static(b"second") });
    peer.becomes(finished(1)).await;
    first.settle(Outcome::Finished { result: Bytes::from_static(b"first") });
    assert_eq!(listener.next().await.1, b"1f\0second");
    node.end().await;
    assert_eq!(peer.state().await, finished(1));
    assert!(listener.is_silent());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_dead_node_is_taken_over_and_finished_once() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut dying = start(&server, "a", job());
    peer.put("1f", "body").await;
    std::mem::forget(dying.next().await);
    drop(dying.die().await);
    assert_eq!(peer.state().await, one(true));
    let mut heir = start(&server, "b", job());
    let again = heir.next().await;
    assert_eq!((&*again.message.id, again.message.attempt, &again.message.payload[..]), ("1f", 2, &b"body"[..]));
    again.settle(Outcome::Done);
    peer.becomes(finished(1)).await;
    heir.end().await;
    assert_eq!(peer.run::<Vec<String>>(&["KEYS", "gristmill:*"]).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_without_an_item_is_a_dead_letter_and_leaves_nothing_in_the_feed() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut node = start(&server, "a", job());
    let _length: u32 = peer.run(&["LPUSH", &key("ids"), "gone"]).await;
    let mut letters = letters(&server).await;
    for _ in 0..500 {
        if letters.count().await.unwrap() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let letter = letters.walk(Filter::default()).await.unwrap().next().await.unwrap().unwrap();
    assert_eq!((letter.reason(), &letter.payload[..]), ("the feed holds no item for this id", &b"gone"[..]));
    peer.becomes(State::default()).await;
    hears_nothing_for(&mut node, Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_go_through_and_foreign_workers_get_their_share() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut node = start(&server, "a", job());
    let mut seen = BTreeSet::new();
    for n in 0..300 {
        peer.put(&format!("{n:032x}"), &n.to_string()).await;
    }
    while let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_secs(1), node.taken.recv()).await {
        assert!(seen.insert(delivery.message.id.to_string()), "{} came twice", delivery.message.id);
        delivery.settle(Outcome::Done);
    }
    assert_eq!(seen.len(), 300);
    peer.becomes(finished(300)).await;
    // Our own waiting moves nothing, so it does not come before that of others.
    let other = Peer::new(&server).await;
    let waiting = Shutdown::default().track(async move {
        let mut other = other;
        other.get(Duration::ZERO).await
    });
    for n in 0..200 {
        peer.put(&format!("x{n}"), "x").await;
        if waiting.is_finished() {
            break;
        }
        if let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_millis(50), node.taken.recv()).await {
            delivery.settle(Outcome::Done);
        }
    }
    assert!(waiting.await.unwrap().starts_with('x'), "a foreign worker gets its share");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_claimed_and_finished_when_redis_is_full() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut node = start(&server, "a", job());
    let mut held = Vec::new();
    for id in ["1", "2"] {
        peer.put(id, "body").await;
        held.push(node.next().await);
    }
    let _ok: String = peer.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    held.pop().unwrap().settle(retry(Duration::ZERO));
    held.pop().unwrap().settle(Outcome::Done);
    node.next().await.settle(Outcome::Done);
    peer.becomes(finished(2)).await;
    let _ok: String = peer.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    peer.put("3", "body").await;
    peer.put("4", "body").await;
    let _ok: String = peer.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for _ in 0..2 {
        node.next().await.settle(Outcome::Done);
    }
    peer.becomes(finished(4)).await;
    node.end().await;
}
