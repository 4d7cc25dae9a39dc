//! Channels against a real server: what is heard, missed, dropped, tried again and lost.

mod faults;
mod later;
mod room;

use crate::{
    config::{self, Backlog, ChannelKind, Channels},
    message::Outcome,
    source::{
        Connector, Delivery, Opening, Source,
        tests::{self, Log, Server, eventually, opening, pipeline, trouble},
    },
};
use redis::aio::MultiplexedConnection;
use std::time::{Duration, Instant};

/// A source whose deliveries a test settles by hand.
struct Node {
    inner: tests::Node,
    redis: MultiplexedConnection,
    kind: ChannelKind,
    names: usize,
}

/// What is listened to, and how much of it at once.
struct Wanted<'a> {
    kind: ChannelKind,
    names: &'a [&'a str],
    in_flight: usize,
    backlog: Option<Backlog>,
}

const ONE: Wanted<'static> = Wanted { kind: ChannelKind::Exact, names: &["news"], in_flight: 100, backlog: None };

impl Node {
    async fn start(server: &Server, wanted: Wanted<'_>) -> Self {
        Self::start_through(server.connector(), server.redis().await, wanted).await
    }

    /// `redis` is for what the test itself asks.
    async fn start_through(connector: Connector, redis: MultiplexedConnection, wanted: Wanted<'_>) -> Self {
        let inner = tests::Node::opened(opened(connector, &wanted));
        let node = Self { inner, redis, kind: wanted.kind, names: wanted.names.len() };
        node.is_subscribed().await;
        node
    }

    async fn is_subscribed(&self) {
        eventually("subscribed", || async { self.subscriptions().await.unwrap_or(0) == self.names }).await;
    }

    async fn subscriptions(&self) -> Result<usize, redis::RedisError> {
        let mut redis = self.redis.clone();
        let mut ask = redis::cmd("PUBSUB");
        match self.kind {
            ChannelKind::Pattern => ask.arg("NUMPAT").query_async(&mut redis).await,
            ChannelKind::Exact => {
                ask.arg("CHANNELS").query_async(&mut redis).await.map(|names: Vec<String>| names.len())
            }
            ChannelKind::Sharded => {
                ask.arg("SHARDCHANNELS").query_async(&mut redis).await.map(|names: Vec<String>| names.len())
            }
        }
    }

    async fn publish(&self, channel: impl redis::ToRedisArgs, payload: impl redis::ToRedisArgs) {
        let command = if self.kind == ChannelKind::Sharded { "SPUBLISH" } else { "PUBLISH" };
        let mut redis = self.redis.clone();
        let receivers: usize = redis::cmd(command).arg(channel).arg(payload).query_async(&mut redis).await.unwrap();
        assert_eq!(receivers, 1);
    }

    async fn publish_all(&self, payloads: impl IntoIterator<Item = String>) {
        for payload in payloads {
            self.publish("news", payload).await;
        }
    }

    async fn next(&mut self) -> Delivery {
        self.inner.next().await
    }

    async fn next_payload(&mut self) -> String {
        let delivery = self.next().await;
        let payload = String::from_utf8(delivery.message.payload.to_vec()).unwrap();
        delivery.settle(Outcome::Done);
        payload
    }

    async fn has_nothing(&mut self) -> bool {
        self.inner.has_nothing_for(Duration::from_millis(200)).await
    }

    /// Waits until so many messages have come in, dropped or not.
    async fn has_heard(&self, messages: u64) {
        let Source::Channel(channel) = &self.inner.source else { panic!("a channel was opened") };
        eventually("all heard", || async { channel.intake.heard_in_all() == messages }).await;
    }

    async fn end(self, grace: Duration) -> bool {
        let tests::Node { source, shutdown, taken } = self.inner;
        drop(taken);
        let finished = shutdown.end(grace).await;
        source.close().await;
        finished
    }
}

fn opened(connector: Connector, wanted: &Wanted<'_>) -> Opening {
    let names = wanted.names.iter().map(|name| (*name).to_owned()).collect();
    let config = config::Pipeline {
        from: config::From::Channels(Channels { kind: wanted.kind, names }),
        backlog: wanted.backlog,
        ..pipeline(wanted.in_flight)
    };
    opening(connector, "a", &config)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_order_and_tell_their_channel() {
    let server = Server::start().await;
    let mut node = Node::start(&server, Wanted { names: &["a", "b"], ..ONE }).await;
    for n in 0..100 {
        node.publish(if n % 3 == 0 { "a" } else { "b" }, n.to_string()).await;
    }
    let mut ids = std::collections::HashSet::new();
    for n in 0..100 {
        let delivery = node.next().await;
        let message = &delivery.message;
        let channel = if n % 3 == 0 { "a" } else { "b" };
        assert_eq!((&*message.source, &*message.topic, message.attempt), (channel, channel, 1));
        assert_eq!(message.payload, n.to_string());
        assert!(ids.insert(message.id.clone()) && message.received_ms > 0);
        delivery.settle(Outcome::Done);
    }
    assert!(node.end(Duration::from_secs(5)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_is_the_source_and_the_channel_the_topic() {
    let server = Server::start().await;
    let wanted = Wanted { kind: ChannelKind::Pattern, names: &["news.*", "w?"], ..ONE };
    let mut node = Node::start(&server, wanted).await;
    node.publish("news.sport", "1").await;
    node.publish("we", "2").await;
    for (source, topic, payload) in [("news.*", "news.sport", "1"), ("w?", "we", "2")] {
        let delivery = node.next().await;
        let message = &delivery.message;
        assert_eq!((&*message.source, &*message.topic, &message.payload[..]), (source, topic, payload.as_bytes()));
        delivery.settle(Outcome::Done);
    }
    assert!(node.has_nothing().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sharded_channels_are_heard() {
    let server = Server::start().await;
    let wanted = Wanted { kind: ChannelKind::Sharded, names: &["{a}1", "{b}2"], ..ONE };
    let mut node = Node::start(&server, wanted).await;
    for channel in ["{a}1", "{b}2"] {
        node.publish(channel, "x").await;
        let delivery = node.next().await;
        assert_eq!((&*delivery.message.source, &*delivery.message.topic), (channel, channel));
        delivery.settle(Outcome::Done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes_come_through_and_names_that_are_no_text_are_shown_as_well_as_they_can_be() {
    let server = Server::start().await;
    let mut node = Node::start(&server, Wanted { kind: ChannelKind::Pattern, names: &["b*"], ..ONE }).await;
    for payload in [&b"\0\xff\r\n$-1\r\n"[..], b""] {
        node.publish(&b"b\xff\r\n"[..], payload).await;
        let delivery = node.next().await;
        assert_eq!((&*delivery.message.topic, &delivery.message.payload[..]), ("b\u{fffd}\r\n", payload));
        delivery.settle(Outcome::Done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_two_megabytes_comes_whole() {
    let server = Server::start().await;
    let mut node = Node::start(&server, ONE).await;
    let large: Vec<u8> = (0..2 << 20).map(|n: u32| (n / 7) as u8).collect();
    node.publish("news", &large).await;
    node.publish("news", "small").await;
    let delivery = node.next().await;
    assert!(delivery.message.payload == large);
    delivery.settle(Outcome::Done);
    assert_eq!(node.next_payload().await, "small");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_comes_when_it_is_due_with_its_story() {
    let server = Server::start().await;
    let mut node = Node::start(&server, Wanted { in_flight: 1, ..ONE }).await;
    node.publish_all(["first".to_owned(), "second".to_owned()]).await;
    let first = node.next().await;
    let (id, asked) = (first.message.id.clone(), Instant::now());
    let succeeded = vec!["other".to_owned()];
    first.settle(Outcome::Retry { after: Duration::from_millis(400), trouble: trouble(1, "busy"), succeeded });
    assert_eq!(node.next_payload().await, "second", "what waits for another attempt keeps nobody from being tried");
    let again = node.next().await;
    assert!(asked.elapsed() >= Duration::from_millis(390), "{:?}", asked.elapsed());
    assert_eq!((&again.message.id, again.message.attempt, &again.message.payload[..]), (&id, 2, &b"first"[..]));
    assert_eq!((again.troubles(), again.succeeded()), (&[trouble(1, "busy")][..], &["other".to_owned()][..]));
    drop(again);
    let third = node.next().await;
    assert_eq!((third.message.attempt, &*third.troubles()[1].reason), (3, "processing was interrupted"));
    third.settle(Outcome::Done);
    assert!(node.has_nothing().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_come_in_the_order_in_which_they_are_due() {
    let server = Server::start().await;
    let mut node = Node::start(&server, ONE).await;
    node.publish_all((0..3).map(|n| n.to_string())).await;
    for after in [Duration::MAX, Duration::from_millis(600), Duration::from_millis(200)] {
        let trouble = trouble(1, "busy");
        node.next().await.settle(Outcome::Retry { after, trouble, succeeded: Vec::new() });
    }
    assert_eq!((node.next_payload().await, node.next_payload().await), ("2".to_owned(), "1".to_owned()));
    assert!(node.has_nothing().await);
}

#[tokio::test]
async fn a_message_that_is_given_up_is_told_as_lost_with_the_reason() {
    let (log, _guard) = Log::capture();
    let server = Server::start().await;
    let mut node = Node::start(&server, Wanted { in_flight: 1, ..ONE }).await;
    node.publish_all((0..3).map(|n| n.to_string())).await;
    for _ in 0..3 {
        node.next().await.settle(Outcome::Dead { trouble: trouble(1, "no good"), succeeded: Vec::new() });
    }
    let lines = log.lines("lost: a channel keeps nothing");
    assert_eq!(lines.len(), 1, "not one line for each: {lines:?}");
    assert!(lines[0].contains("ERROR") && lines[0].contains("no good"), "{}", lines[0]);
    assert!(node.end(Duration::from_secs(5)).await);
    assert!(log.lines("ended before").is_empty(), "nothing was unfinished");
}
