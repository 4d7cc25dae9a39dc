//! What others claim and forget, or take and lose.

use super::*;

fn swept() -> config::Thoonk {
    config::Thoonk { claim: Duration::from_secs(1), cancels: 2, ..job() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_claim_of_others_is_cancelled_and_then_stalled() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    // Made known first, or there is nothing to take from.
    start(&server, "a", swept()).end().await;
    peer.put("1f", "body").await;
    for cancels in 1..=2 {
        peer.get(Duration::from_secs(60)).await;
        let mut node = start(&server, "a", swept());
        let delivery = node.next().await;
        let header = cancels.to_string();
        assert_eq!(delivery.message.header("thoonk-cancelled"), Some(&*header));
        assert_eq!(delivery.message.attempt, cancels + 1);
        std::mem::forget(delivery);
        drop(node.die().await);
        make_available(&mut peer, "1f").await;
    }
    peer.get(Duration::from_secs(60)).await;
    let node = start(&server, "a", swept());
    let stalled = BTreeSet::from(["1f".to_owned()]);
    peer.becomes(State { items: items(&[("1f", "body")]), stalled, ..State::default() }).await;
    node.end().await;
}

/// As if none of our nodes had ever taken the job.
async fn make_available(peer: &mut Peer, id: &str) {
    for ours in peer.run::<Vec<String>>(&["KEYS", "gristmill:*"]).await {
        let _gone: u32 = peer.run(&["DEL", &ours]).await;
    }
    let _gone: u32 = peer.run(&["ZREM", &key("claimed"), id]).await;
    let _length: u32 = peer.run(&["LPUSH", &key("ids"), id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_young_claim_of_others_is_left_alone() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let config = config::Thoonk { claim: Duration::from_secs(100), ..job() };
    start(&server, "a", config.clone()).end().await;
    peer.put("old", "x").await;
    peer.get(Duration::from_secs(101)).await;
    peer.put("young", "y").await;
    peer.get(Duration::from_secs(70)).await;
    let mut node = start(&server, "a", config);
    let cancelled = node.next().await;
    assert_eq!(&*cancelled.message.id, "old");
    cancelled.settle(Outcome::Done);
    let young = || vec!["young".to_owned()];
    let items = items(&[("young", "y")]);
    peer.becomes(State { items, claimed: young(), published: young(), finishes: 1, ..State::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_ours_is_renewed_however_long_it_takes() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut node = start(&server, "a", swept());
    let mut other = start(&server, "b", swept());
    peer.put("slow", "x").await;
    peer.put("later", "y").await;
    let mut both = Vec::new();
    while both.len() < 2 {
        tokio::select! {
            delivery = node.taken.recv() => both.extend(delivery),
            delivery = other.taken.recv() => both.extend(delivery),
        }
    }
    both.sort_by(|one, two| two.message.id.cmp(&one.message.id));
    both.pop().unwrap().settle(retry(Duration::from_millis(3_500)));
    // As a worker that does not sweep would see it after a long time.
    let _same: u32 = peer.run(&["ZADD", &key("claimed"), "1000", "slow"]).await;
    hears_nothing_for(&mut node, Duration::from_millis(2_500)).await;
    assert!(peer.claimed_in("slow").await > -2_500);
    assert_eq!(peer.state().await.claimed.len(), 2);
    both.pop().unwrap().settle(Outcome::Done);
    let later = tokio::select! {
        delivery = node.taken.recv() => delivery,
        delivery = other.taken.recv() => delivery,
    };
    assert_eq!(&*later.as_ref().unwrap().message.id, "later");
    later.unwrap().settle(Outcome::Done);
    peer.becomes(State { finishes: 2, ..State::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_a_worker_took_and_lost_is_put_back() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    start(&server, "a", swept()).end().await;
    peer.put("lost", "x").await;
    let _taken: Option<String> = peer.run(&["RPOP", &key("ids")]).await;
    let mut node = start(&server, "a", swept());
    let found = node.next().await;
    assert_eq!((&*found.message.id, found.message.attempt, &found.message.payload[..]), ("lost", 1, &b"x"[..]));
    found.settle(Outcome::Done);
    peer.becomes(State { finishes: 1, ..State::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_claimed_in_the_end_is_not_put_back_nor_are_ours() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let config = config::Thoonk { claim: Duration::from_secs(10), ..job() };
    let mut node = start(&server, "a", config);
    for id in ["held", "dead", "delayed"] {
        peer.put(id, id).await;
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        let delivery = node.next().await;
        match &*delivery.message.id {
            "dead" => delivery.settle(dead("no good")),
            "delayed" => delivery.settle(retry(Duration::from_secs(600))),
            _ => held.push(delivery),
        }
    }
    // More items than places, so that it looks; and a worker that is slow to claim.
    let _new: u32 = peer.run(&["HSET", &key("items"), "slow", "x"]).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let _new: u32 = peer.run(&["ZADD", &key("claimed"), &now_ms().to_string(), "slow"]).await;
    hears_nothing_for(&mut node, Duration::from_millis(3_500)).await;
    let state = peer.state().await;
    assert_eq!((state.ids.len(), state.claimed.len(), state.stalled.len()), (0, 3, 1), "{state:?}");
}
