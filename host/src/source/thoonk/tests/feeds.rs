//! Feeds that are there, that are not, and that are created.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_whose_kind_is_said_is_created_and_told_of() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut listener = Listener::new(&server, &["newfeed", "conffeed"]).await;
    let node = start(&server, "a", job());
    for channel in ["newfeed", "conffeed"] {
        let (heard, body) = listener.next().await;
        let (name, instance) = std::str::from_utf8(&body).unwrap().split_once('\0').unwrap();
        assert_eq!((&*heard, name, instance.len()), (channel, FEED, 32));
        assert!(instance.bytes().all(|digit| digit.is_ascii_hexdigit()));
    }
    assert_eq!(peer.run::<BTreeSet<String>>(&["SMEMBERS", "feeds"]).await, BTreeSet::from([FEED.to_owned()]));
    assert_eq!(peer.run::<BTreeMap<String, String>>(&["HGETALL", &key("config")]).await, items(&[("type", "job")]));
    node.end().await;
    let mut node = start(&server, "b", job());
    peer.put("1f", "x").await;
    node.next().await.settle(Outcome::Done);
    assert!(listener.is_silent(), "it is created once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_feed_is_waited_for_and_is_what_redis_says() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut node = start(&server, "a", feed(None));
    peer.put("1f", "x").await;
    hears_nothing_for(&mut node, Duration::from_millis(1_200)).await;
    assert_eq!(peer.run::<u32>(&["EXISTS", "feeds", &key("config")]).await, 0);
    let _new: u32 = peer.run(&["HSET", &key("config"), "type", "job"]).await;
    let delivery = node.next().await;
    assert_eq!(peer.state().await.claimed, ["1f"]);
    delivery.settle(Outcome::Done);
    peer.becomes(State { finishes: 1, ..State::default() }).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_of_another_kind_is_not_touched() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let _new: u32 = peer.run(&["HSET", &key("config"), "type", "queue"]).await;
    peer.put_into_queue("1f", "x").await;
    let mut node = start(&server, "a", job());
    hears_nothing_for(&mut node, Duration::from_millis(500)).await;
    assert_eq!(peer.state().await.ids, ["1f"]);
    let _new: u32 = peer.run(&["HSET", &key("config"), "type", "job"]).await;
    node.next().await.settle(Outcome::Done);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_still_waits_for_its_feed_ends_at_once() {
    let server = Server::start().await;
    let node = start(&server, "a", feed(None));
    let ended = tokio::time::timeout(Duration::from_millis(900), node.shutdown.end(Duration::from_secs(5))).await;
    assert_eq!(ended, Ok(true));
    node.source.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plain_feed_publishes_is_heard() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    let mut node = start(&server, "a", feed(Some(ThoonkKind::Feed)));
    let subscribed = || async {
        let mut peer = Peer::new(&server).await;
        peer.run::<(String, u32)>(&["PUBSUB", "NUMSUB", &key("retract")]).await.1 == 1
    };
    eventually("subscribed", subscribed).await;
    for (event, said) in [("publish", "1f\0body"), ("retract", "1f")] {
        let _heard: u32 = peer.run(&["PUBLISH", &key(event), said]).await;
        let delivery = node.next().await;
        let message = &delivery.message;
        assert_eq!((&*message.source, &*message.topic), (FEED, FEED));
        assert_eq!((message.header("thoonk-id"), message.header("thoonk-event")), (Some("1f"), Some(event)));
        assert_eq!(message.payload, said.split_once('\0').map_or("", |(_, body)| body));
        delivery.settle(Outcome::Done);
    }
    node.end().await;
}
