//! Feeds on a real server, beside producers and workers that do what Thoonk does.

mod feeds;
mod jobs;
mod queues;
mod sweeps;

use crate::{
    config::{self, ThoonkKind},
    message::Outcome,
    shutdown::Shutdown,
    source::{
        dead::{Changes, DeadLetters, Filter, Place},
        tests::{Node, Server, eventually, pipeline_of, trouble},
    },
};
use redis::aio::MultiplexedConnection;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc::{Receiver, channel};

const FEED: &str = "work";

fn feed(kind: Option<ThoonkKind>) -> config::Thoonk {
    config::Thoonk { feed: FEED.to_owned(), kind, claim: Duration::from_secs(600), cancels: 3, result: false }
}

fn job() -> config::Thoonk {
    feed(Some(ThoonkKind::Job))
}

fn start(server: &Server, name: &str, feed: config::Thoonk) -> Node {
    start_with(server, name, feed, 16)
}

fn start_with(server: &Server, name: &str, feed: config::Thoonk, in_flight: usize) -> Node {
    Node::with(server, name, &pipeline_of(config::From::Thoonk(feed), in_flight))
}

async fn hears_nothing_for(node: &mut Node, pause: Duration) {
    assert!(node.has_nothing_for(pause).await, "unexpected");
}

/// All that Thoonk keeps of a feed, but for times.
#[derive(Debug, Default, PartialEq)]
struct State {
    ids: Vec<String>,
    items: BTreeMap<String, String>,
    claimed: Vec<String>,
    cancelled: BTreeMap<String, u32>,
    published: Vec<String>,
    stalled: BTreeSet<String>,
    finishes: u32,
}

/// One who does what Thoonk's own classes do.
struct Peer {
    redis: MultiplexedConnection,
}

impl Peer {
    async fn new(server: &Server) -> Self {
        Self { redis: server.redis().await }
    }

    async fn run<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        let (command, arguments) = words.split_first().unwrap();
        redis::cmd(command).arg(arguments).query_async(&mut self.redis).await.unwrap()
    }

    async fn put(&mut self, id: &str, body: &str) {
        let mut put = redis::pipe();
        put.atomic().cmd("LPUSH").arg(key("ids")).arg(id).cmd("INCR").arg(key("publishes"));
        put.cmd("HSET").arg(key("items")).arg(id).arg(body);
        put.cmd("ZADD").arg(key("published")).arg(now_ms()).arg(id);
        put.exec_async(&mut self.redis).await.unwrap();
        let _heard: i64 = self.run(&["PUBLISH", &key("publishes"), &format!("{id}\0{body}")]).await;
    }

    async fn put_into_queue(&mut self, id: &str, body: &str) {
        let mut put = redis::pipe();
        put.atomic().cmd("LPUSH").arg(key("ids")).arg(id).cmd("HSET").arg(key("items")).arg(id).arg(body);
        put.cmd("INCR").arg(key("publishes")).exec_async(&mut self.redis).await.unwrap();
    }

    /// Takes the next job and claims it, as of so long ago.
    async fn get(&mut self, ago: Duration) -> String {
        let (_, id): (String, String) = self.run(&["BRPOP", &key("ids"), "5"]).await;
        let at = now_ms() - ago.as_millis() as u64;
        let _new: u32 = self.run(&["ZADD", &key("claimed"), &at.to_string(), &id]).await;
        id
    }

    async fn cancel(&mut self, id: &str) {
        assert!(self.rank(id).await.is_some());
        let mut cancel = redis::pipe();
        cancel.atomic().cmd("HINCRBY").arg(key("cancelled")).arg(id).arg(1).cmd("LPUSH").arg(key("ids")).arg(id);
        cancel.cmd("ZREM").arg(key("claimed")).arg(id).exec_async(&mut self.redis).await.unwrap();
    }

    async fn retract(&mut self, id: &str) {
        let mut retract = redis::pipe();
        retract.atomic().cmd("HDEL").arg(key("items")).arg(id).cmd("HDEL").arg(key("cancelled")).arg(id);
        retract.cmd("ZREM").arg(key("published")).arg(id).cmd("SREM").arg(key("stalled")).arg(id);
        retract.cmd("ZREM").arg(key("claimed")).arg(id).cmd("LREM").arg(key("ids")).arg(1).arg(id);
        retract.exec_async(&mut self.redis).await.unwrap();
    }

    async fn rank(&mut self, id: &str) -> Option<u64> {
        self.run(&["ZRANK", &key("claimed"), id]).await
    }

    /// When a job was claimed, in milliseconds from now.
    async fn claimed_in(&mut self, id: &str) -> i64 {
        let score: f64 = self.run(&["ZSCORE", &key("claimed"), id]).await;
        score as i64 - now_ms() as i64
    }

    async fn held(&mut self) -> BTreeSet<String> {
        self.run(&["SMEMBERS", "gristmill:{feed.ids:work}:feed.ids:work:held"]).await
    }

    async fn state(&mut self) -> State {
        State {
            ids: self.run(&["LRANGE", &key("ids"), "0", "-1"]).await,
            items: self.run(&["HGETALL", &key("items")]).await,
            claimed: self.run(&["ZRANGE", &key("claimed"), "0", "-1"]).await,
            cancelled: self.run(&["HGETALL", &key("cancelled")]).await,
            published: self.run(&["ZRANGE", &key("published"), "0", "-1"]).await,
            stalled: self.run(&["SMEMBERS", &key("stalled")]).await,
            finishes: self.run::<Option<u32>>(&["GET", &key("finishes")]).await.unwrap_or(0),
        }
    }

    /// Waits until the feed is in this state.
    async fn becomes(&mut self, expected: State) {
        for _ in 0..500 {
            if self.state().await == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.state().await, expected);
    }
}

/// What is published on a channel.
struct Listener {
    messages: Receiver<(String, Vec<u8>)>,
    _link: redis::aio::PubSubSink,
}

impl Listener {
    async fn new(server: &Server, channels: &[&str]) -> Self {
        use futures_util::StreamExt;
        let client = redis::Client::open(server.url()).unwrap();
        let (mut sink, mut stream) = client.get_async_pubsub().await.unwrap().split();
        for channel in channels {
            sink.subscribe(channel).await.unwrap();
        }
        let (hand, messages) = channel(1_000);
        Shutdown::default().track(async move {
            while let Some(message) = stream.next().await {
                let heard = (message.get_channel_name().to_owned(), message.get_payload_bytes().to_vec());
                if hand.try_send(heard).is_err() {
                    return;
                }
            }
        });
        Self { messages, _link: sink }
    }

    async fn next(&mut self) -> (String, Vec<u8>) {
        tokio::time::timeout(Duration::from_secs(20), self.messages.recv()).await.expect("a notice in time").unwrap()
    }

    fn is_silent(&mut self) -> bool {
        self.messages.try_recv().is_err()
    }
}

fn key(what: &str) -> String {
    format!("feed.{what}:{FEED}")
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn items(items: &[(&str, &str)]) -> BTreeMap<String, String> {
    items.iter().map(|(id, body)| ((*id).to_owned(), (*body).to_owned())).collect()
}

async fn letters(server: &Server) -> DeadLetters {
    let config = pipeline_of(config::From::Thoonk(job()), 8);
    DeadLetters::open(&server.connector(), vec![Place::of("test", &config).unwrap()]).await.unwrap()
}

fn dead(reason: &str) -> Outcome {
    Outcome::Dead { trouble: trouble(1, reason), succeeded: Vec::new() }
}

fn retry(after: Duration) -> Outcome {
    Outcome::Retry { after, trouble: trouble(1, "busy"), succeeded: Vec::new() }
}
