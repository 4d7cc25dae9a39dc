//! Which queues are taken from, and when.

use super::{JOB, eventually, from, start};
use crate::{
    config,
    message::Outcome,
    source::tests::{Node, Server, pipeline_of, trouble},
};
use std::time::{Duration, Instant};

/// Is there while the queue `a` is open.
const LANES: &str = "gristmill:{resque:queue:a}:resque:queue:a:lanes";

/// A job of class `class`.
fn job(class: &str) -> String {
    format!(r#"{{"class":"{class}","args":[]}}"#)
}

async fn next_topic(node: &mut Node) -> String {
    let delivery = node.next().await;
    let topic = delivery.message.topic.to_string();
    delivery.settle(Outcome::Done);
    topic
}

/// Whether no taker is seen to wait for a job, between two rounds either.
async fn nobody_waits(server: &Server) -> bool {
    for _ in 0..10 {
        if !server.ask::<String>(&["INFO", "clients"]).await.contains("blocked_clients:0\r") {
            return false;
        }
    }
    true
}

/// Nothing comes for this long.
async fn stays_silent(node: &mut Node, time: Duration) {
    assert!(tokio::time::timeout(time, node.taken.recv()).await.is_err(), "something was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_go_in_the_order_they_are_named_and_the_others_are_left_alone() {
    let server = Server::start().await;
    for n in 0..10 {
        server.enqueue("low", job(&format!("low{n}"))).await;
        server.enqueue("high", job(&format!("high{n}"))).await;
        server.enqueue("other", job("other")).await;
    }
    let mut node = start(&server, from(&["high", "low"], "vm"), 1);
    for queue in ["high", "low"] {
        for n in 0..10 {
            assert_eq!(next_topic(&mut node).await, format!("{queue}{n}"));
        }
    }
    stays_silent(&mut node, Duration::from_millis(300)).await;
    let commands: String = server.ask(&["INFO", "commandstats"]).await;
    assert!(!commands.contains("cmdstat_smembers"), "static lists never look for queues");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_match_are_found_while_it_runs() {
    let server = Server::start().await;
    for queue in ["beta", "alpha-1", "b", ".hidden", "a"] {
        server.enqueue(queue, job(queue)).await;
    }
    let mut node = start(&server, from(&["b", "*", "!alpha*"], "vm"), 1);
    for queue in ["b", "a", "beta"] {
        assert_eq!(next_topic(&mut node).await, queue);
    }
    stays_silent(&mut node, Duration::from_millis(300)).await;
    server.enqueue("new", job("new")).await;
    assert_eq!(next_topic(&mut node).await, "new");
    let left: usize = server.ask(&["EXISTS", "resque:queue:alpha-1", "resque:queue:.hidden"]).await;
    assert_eq!(left, 2);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_queue_takes_its_place_before_those_behind_it() {
    let server = Server::start().await;
    for n in 0..50 {
        server.enqueue("m", job(&format!("m{n}"))).await;
    }
    let mut node = start(&server, from(&["*"], "vm"), 1);
    assert_eq!(next_topic(&mut node).await, "m0");
    let held = node.next().await;
    server.enqueue("a", job("a")).await;
    eventually("the new queue is open", || a_is_open(&server)).await;
    held.settle(Outcome::Done);
    assert_eq!(next_topic(&mut node).await, "a");
    node.end().await;
}

/// Whether the queue `a` is open.
async fn a_is_open(server: &Server) -> bool {
    server.ask::<usize>(&["EXISTS", LANES]).await == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_queue_is_closed_and_opened_again() {
    let server = Server::start().await;
    let mut node = start(&server, from(&["*"], "vm"), 4);
    server.enqueue("a", JOB).await;
    let slow = node.next().await;
    stays_silent(&mut node, Duration::from_secs(4)).await;
    assert!(a_is_open(&server).await, "what is being processed is not idle");
    slow.settle(Outcome::Done);
    server.answers(&["EXISTS", LANES], 0).await;
    server.enqueue("a", job("Again")).await;
    assert_eq!(next_topic(&mut node).await, "Again");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_a_closed_queue_comes_when_it_is_due() {
    let server = Server::start().await;
    let mut node = start(&server, from(&["*"], "vm"), 4);
    server.enqueue("a", JOB).await;
    let after = Duration::from_secs(8);
    let asked = Instant::now();
    let first = node.next().await;
    let _forgotten: u32 = server.ask(&["SREM", "resque:queues", "a"]).await;
    first.settle(Outcome::Retry { after, trouble: trouble(1, "busy"), succeeded: Vec::new() });
    server.answers(&["SISMEMBER", "resque:queues", "a"], 1).await;
    server.answers(&["EXISTS", LANES], 0).await;
    let again = node.next().await;
    assert_eq!(again.message.attempt, 2);
    assert!(asked.elapsed() >= after - Duration::from_millis(10), "{:?}", asked.elapsed());
    again.settle(Outcome::Done);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_while_all_workers_are_paused() {
    let server = Server::start().await;
    let mut node = start(&server, from(&["a"], "vm"), 4);
    server.enqueue("a", job("First")).await;
    let first = node.next().await;
    let _set: String = server.ask(&["SET", "resque:pause-all-workers", " TRUE\n"]).await;
    eventually("nobody takes", || nobody_waits(&server)).await;
    first.settle(Outcome::Retry { after: Duration::ZERO, trouble: trouble(1, "busy"), succeeded: Vec::new() });
    server.enqueue("a", job("Second")).await;
    stays_silent(&mut node, Duration::from_millis(1_500)).await;
    let _set: String = server.ask(&["SET", "resque:pause-all-workers", "false"]).await;
    let mut topics = [next_topic(&mut node).await, next_topic(&mut node).await];
    topics.sort();
    assert_eq!(topics, ["First", "Second"]);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_node_ends_at_once_and_takes_nothing() {
    let server = Server::start().await;
    let node = start(&server, from(&["a"], "vm"), 4);
    eventually("somebody waits", || async { !nobody_waits(&server).await }).await;
    let _set: String = server.ask(&["SET", "resque:pause-all-workers", "true"]).await;
    eventually("nobody takes", || nobody_waits(&server)).await;
    server.enqueue("a", JOB).await;
    assert!(node.shutdown.end(Duration::from_secs(60)).await, "it has nothing to wait for");
    node.source.close().await;
    server.answers(&["LLEN", "resque:queue:a"], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_namespace_will_do() {
    let server = Server::start().await;
    for (namespace, prefix) in [("", ""), ("{app}", "{app}:")] {
        let _emptied: String = server.ask(&["FLUSHALL"]).await;
        let resque = config::Resque { namespace: namespace.to_owned(), ..from(&["*"], "vm") };
        let mut node = Node::with(&server, "a", &pipeline_of(config::From::Resque(resque), 1));
        let _added: u32 = server.ask(&["SADD", &format!("{prefix}queues"), "q"]).await;
        let _pushed: u32 = server.ask(&["RPUSH", &format!("{prefix}queue:q"), JOB]).await;
        let delivery = node.next().await;
        assert_eq!(&*delivery.message.source, &format!("{prefix}queue:q"));
        delivery.settle(Outcome::Dead { trouble: trouble(1, "no"), succeeded: Vec::new() });
        server.answers(&["LLEN", &format!("{prefix}failed")], 1).await;
        server.answers(&["GET", &format!("{prefix}stat:failed")], Some(1)).await;
        server.answers(&["SCARD", &format!("{prefix}workers")], 1).await;
        let keys: Vec<String> = server.ask(&["KEYS", "*"]).await;
        assert!(keys.iter().all(|key| key.contains(namespace)), "all lie in one slot: {keys:?}");
        node.end().await;
    }
}

async fn connections(server: &Server) -> usize {
    server.ask::<String>(&["CLIENT", "LIST"]).await.lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_idle_queues_cost_no_connections() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let names: Vec<String> = (0..3_000).map(|n| format!("idle{n:04}")).collect();
    redis::cmd("SADD").arg("resque:queues").arg(names).exec_async(&mut redis).await.unwrap();
    let mut node = start(&server, from(&["*"], "vm"), 4);
    server.enqueue("idle2999", JOB).await;
    assert_eq!(next_topic(&mut node).await, "Ok");
    let open = connections(&server).await;
    assert!(open < 10, "{open} connections");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_queues_than_may_be_open_at_a_time_are_all_served() {
    let server = Server::start().await;
    for n in 0..150 {
        server.enqueue(&format!("q{n:03}"), job(&format!("J{n:03}"))).await;
    }
    let mut node = start(&server, from(&["*"], "vm"), 16);
    let mut topics = Vec::new();
    for _ in 0..150 {
        topics.push(next_topic(&mut node).await);
    }
    let open = connections(&server).await;
    assert!(open < 3 * 64 * 2, "{open} connections");
    topics.sort();
    topics.dedup();
    assert_eq!(topics.len(), 150);
    node.end().await;
}
