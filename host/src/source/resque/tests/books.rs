//! Workers, counters and failed jobs.

use super::{JOB, eventually, from, id, start, trouble};
use crate::{
    config,
    message::Outcome,
    source::{
        Settled,
        tests::{Node, Server, pipeline_of},
    },
};
use bytes::Bytes;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// `text` with a nought for every digit of the time behind `name`.
fn undated(text: &str, name: &str) -> String {
    let start = text.find(name).map_or(0, |at| at + name.len() + 3);
    let nought = |(at, c): (usize, char)| if (start..start + 24).contains(&at) && c.is_ascii_digit() { '0' } else { c };
    text.char_indices().map(nought).collect()
}

fn dead(reason: &str) -> Outcome {
    Outcome::Dead { trouble: trouble(1, reason), succeeded: Vec::new() }
}

async fn failed(server: &Server, count: usize) -> Vec<String> {
    server.answers(&["LLEN", "resque:failed"], count).await;
    let failed: Vec<String> = server.ask(&["LRANGE", "resque:failed", "0", "-1"]).await;
    failed.iter().map(|record| undated(record, "failed_at")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_is_seen_for_each_job_that_may_be_in_flight_and_none_at_the_end() {
    let server = Server::start().await;
    let node = start(&server, from(&["a*", "low"], "vm.mill"), 3);
    let ids: HashSet<String> = (1..=3).map(|slot| id("vm.mill", "a*,low", slot)).collect();
    server.answers(&["SMEMBERS", "resque:workers"], ids.clone()).await;
    for id in &ids {
        let started: String = server.ask(&["GET", &format!("resque:worker:{id}:started")]).await;
        assert!(started.starts_with("20") && started.ends_with(" +0000") && started.len() == 25, "{started}");
    }
    let beats: HashMap<String, String> = server.ask(&["HGETALL", "resque:workers:heartbeat"]).await;
    assert_eq!(beats.keys().cloned().collect::<HashSet<_>>(), ids);
    let whole = |beat: &String| beat.len() == 25 && beat.contains('T') && beat.ends_with("+00:00");
    assert!(beats.values().all(whole), "{beats:?}");
    node.end().await;
    let left: Vec<String> = server.ask(&["KEYS", "*"]).await;
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_workers_are_seen_than_a_dashboard_can_show() {
    let server = Server::start().await;
    let node = start(&server, from(&["low"], "vm"), 1_500);
    server.answers(&["SCARD", "resque:workers"], 1_000).await;
    node.end().await;
    server.answers(&["EXISTS", "resque:workers", "resque:workers:heartbeat"], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_another_has_removed_comes_back() {
    let server = Server::start().await;
    let node = start(&server, from(&["low"], "vm"), 1);
    let id = id("vm", "low", 1);
    server.answers(&["SISMEMBER", "resque:workers", &id], 1).await;
    let _removed: u32 = server.ask(&["DEL", "resque:workers", &format!("resque:worker:{id}:started")]).await;
    let _removed: u32 = server.ask(&["HDEL", "resque:workers:heartbeat", &id]).await;
    server.answers(&["SISMEMBER", "resque:workers", &id], 1).await;
    server.answers(&["EXISTS", &format!("resque:worker:{id}:started")], 1).await;
    server.answers(&["HEXISTS", "resque:workers:heartbeat", &id], 1).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_shown_while_it_is_processed_and_counted_behind_it() {
    let server = Server::start().await;
    let mut node = start(&server, from(&["high"], "vm"), 2);
    server.enqueue("high", JOB).await;
    let delivery = node.next().await;
    let message = &delivery.message;
    assert_eq!((&*message.topic, &*message.source, &message.payload[..]), ("Ok", "resque:queue:high", JOB.as_bytes()));
    let worker = format!("resque:worker:{}", id("vm", "high", 1));
    server.answers(&["EXISTS", &worker], 1).await;
    let shown: String = server.ask(&["GET", &worker]).await;
    let expected = format!(r#"{{"queue":"high","run_at":"0000-00-00T00:00:00Z","payload":{JOB}}}"#);
    assert_eq!(undated(&shown, "run_at"), expected);
    delivery.settle(Outcome::Done);
    server.answers(&["EXISTS", &worker], 0).await;
    server.answers(&["GET", "resque:stat:processed"], Some(1)).await;
    server.answers(&["GET", &format!("resque:stat:processed:{}", id("vm", "high", 1))], Some(1)).await;
    let failed: usize = server.ask(&["EXISTS", "resque:stat:failed", "resque:failed"]).await;
    assert_eq!(failed, 0);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_given_up_is_recorded_as_ruby_does() {
    let server = Server::start().await;
    let mut node = start(&server, from(&["low", "high"], "vm"), 1);
    server.enqueue("low", "{\"class\": \"mod.Class\", \"args\": [1], \"enqueue_timestamp\": 1795299962.94}").await;
    node.next().await.settle(dead("no \"good\"\n"));
    let worker = id("vm", "low,high", 1);
    let expected = format!(
        r#"{{"failed_at":"0000/00/00 00:00:00 UTC","payload":{{"class":"mod.Class","args":[1],"enqueue_timestamp":1795299962.94}},"exception":"Gristmill::Rejected","error":"no \"good\"\n","backtrace":["attempt 1: p: no \"good\"\n"],"worker":"{worker}","queue":"low"}}"#
    );
    assert_eq!(failed(&server, 1).await, [expected]);
    for stat in ["processed", "failed"] {
        server.answers(&["GET", &format!("resque:stat:{stat}")], Some(1)).await;
        server.answers(&["GET", &format!("resque:stat:{stat}:{worker}")], Some(1)).await;
    }
    node.end().await;
    let dead: Vec<(String, HashMap<String, String>)> =
        server.ask(&["XRANGE", "gristmill:{resque:queue:}:resque:queue::dead", "-", "+"]).await;
    let [(_, letter)] = &dead[..] else { panic!("{dead:?}") };
    assert_eq!((&*letter["pipeline"], &*letter["source"]), ("test", "resque:queue:low"));
    assert!(letter["payload"].starts_with("{\"class\": \"mod.Class\""), "the bytes are those of the producer");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_counted_and_told_at_the_end() {
    let server = Server::start().await;
    let mut config = pipeline_of(config::From::Resque(from(&["low"], "vm")), 1);
    config.retry.attempts = 2;
    let mut node = Node::with(&server, "a", &config);
    server.enqueue("low", JOB).await;
    let again = Outcome::Retry { after: Duration::ZERO, trouble: trouble(1, "busy"), succeeded: Vec::new() };
    node.next().await.settle(again);
    let second = node.next().await;
    assert_eq!((second.message.attempt, &*second.message.topic), (2, "Ok"));
    server.answers(&["GET", "resque:stat:failed"], Some(1)).await;
    let mut last = trouble(2, "still busy");
    last.digest = Some("0123456789ab".into());
    second.settle(Outcome::Dead { trouble: last, succeeded: Vec::new() });
    let record = failed(&server, 1).await.remove(0);
    assert!(record.contains(r#""exception":"Gristmill::Exhausted","error":"still busy""#), "{record}");
    let story = r#""backtrace":["attempt 1: p: busy","attempt 2: p@0123456789ab: still busy"]"#;
    assert!(record.contains(story), "{record}");
    server.answers(&["MGET", "resque:stat:processed", "resque:stat:failed"], (Some(2), Some(2))).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_job_fails_and_holds_nothing_up() {
    let server = Server::start().await;
    let mut node = start(&server, from(&["low"], "vm"), 4);
    for item in [&b"no json \xff"[..], b"[1]", br#"{"args":[1]}"#, JOB.as_bytes()] {
        server.enqueue("low", item).await;
    }
    node.next().await.settle(Outcome::Done);
    let records = failed(&server, 3).await;
    for (payload, exception) in [
        ("{\"class\":null,\"args\":[\"no json \u{fffd}\"]}", "Malformed"),
        (r#"{"class":null,"args":["[1]"]}"#, "Malformed"),
        (r#"{"args":[1]}"#, "NoClass"),
    ] {
        let expected = format!(r#""payload":{payload},"exception":"Gristmill::{exception}","error":""#);
        assert!(records.iter().any(|record| record.contains(&expected)), "{expected} is not in {records:?}");
    }
    let whole = |record: &String| record.contains(r#""worker":"vm:"#) && record.ends_with(r#","queue":"low"}"#);
    assert!(records.iter().all(whole), "{records:?}");
    server.answers(&["MGET", "resque:stat:processed", "resque:stat:failed"], (Some(4), Some(3))).await;
    node.end().await;
    let dead: Vec<(String, HashMap<String, Vec<u8>>)> =
        server.ask(&["XRANGE", "gristmill:{resque:queue:}:resque:queue::dead", "-", "+"]).await;
    assert_eq!(dead.len(), 3);
    assert!(dead.iter().any(|(_, letter)| letter["payload"] == b"no json \xff"), "the bytes are those of the producer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone_leaves_its_jobs_and_no_workers() {
    let server = Server::start().await;
    let mut dying = start(&server, from(&["low"], "first"), 2);
    server.enqueue("low", JOB).await;
    let held = dying.next().await;
    let worker = format!("resque:worker:{}", id("first", "low", 1));
    server.answers(&["EXISTS", &worker], 1).await;
    std::mem::forget(held);
    drop(dying.die().await);
    server.answers(&["SCARD", "resque:workers"], 2).await;
    let mut heir = start(&server, from(&["*"], "second"), 1);
    let again = heir.next().await;
    assert_eq!((again.message.attempt, &again.message.payload[..]), (2, JOB.as_bytes()));
    again.settle(Outcome::Done);
    server.answers(&["SMEMBERS", "resque:workers"], HashSet::from([id("second", "*", 1)])).await;
    let left: Vec<String> = server.ask(&["KEYS", "*first*"]).await;
    assert_eq!(left, Vec::<String>::new());
    let beats: Vec<String> = server.ask(&["HKEYS", "resque:workers:heartbeat"]).await;
    assert_eq!(beats, [id("second", "*", 1)]);
    heir.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_of_the_same_name_have_workers_of_their_own() {
    let server = Server::start().await;
    let config = pipeline_of(config::From::Resque(from(&["low"], "web")), 1);
    let first = Node::with(&server, "a", &config);
    let (one, two) = (id("web", "low", 1), id("web.2", "low", 1));
    server.answers(&["SMEMBERS", "resque:workers"], HashSet::from([one.clone()])).await;
    let second = Node::with(&server, "b", &config);
    server.answers(&["SMEMBERS", "resque:workers"], HashSet::from([one, two.clone()])).await;
    first.end().await;
    server.answers(&["SMEMBERS", "resque:workers"], HashSet::from([two])).await;
    second.end().await;
    let left: Vec<String> = server.ask(&["KEYS", "*"]).await;
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_name_was_taken_while_it_was_silent_gets_another() {
    let server = Server::start().await;
    let mut node = start(&server, from(&["low"], "web"), 1);
    server.answers(&["SCARD", "resque:workers"], 1).await;
    server.enqueue("low", JOB).await;
    let held = node.next().await;
    let shown = |host: &str| format!("resque:worker:{}", id(host, "low", 1));
    server.answers(&["EXISTS", &shown("web")], 1).await;
    // As one does that found no lease under this name.
    let lease = format!("gristmill:{{resque:queue:}}:resque:queue::lease:web:{}:low", std::process::id());
    server.ask::<()>(&["SET", &lease, "another"]).await;
    server.answers(&["EXISTS", &shown("web.2")], 1).await;
    held.settle(Outcome::Done);
    node.end().await;
    let left: HashSet<String> = server.ask::<Vec<String>>(&["SMEMBERS", "resque:workers"]).await.into_iter().collect();
    assert_eq!(left, HashSet::from([id("web", "low", 1)]), "those of the other are his");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_full_jobs_go_on_and_what_they_did_is_told_later() {
    let server = Server::start().await;
    let mut node = start(&server, from(&["low"], "vm"), 2);
    server.answers(&["SCARD", "resque:workers"], 2).await;
    for _ in 0..20 {
        server.enqueue("low", JOB).await;
    }
    let _set: String = server.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for _ in 0..20 {
        node.next().await.settle(dead("no"));
    }
    server.answers(&["LLEN", "resque:failed"], 20).await;
    let _set: String = server.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    server.answers(&["MGET", "resque:stat:processed", "resque:stat:failed"], (Some(20), Some(20))).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_miss_nothing_though_redis_is_cut_off() {
    let server = Server::start().await;
    let mut node = start(&server, from(&["low"], "vm"), 8);
    for round in 0..10 {
        for _ in 0..20 {
            server.enqueue("low", JOB).await;
        }
        for _ in 0..20 {
            node.next().await.settle(if round % 2 == 0 { Outcome::Done } else { dead("no") });
        }
        let _killed: u32 = server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    }
    eventually("all are counted", || async {
        let (processed, failed): (Option<u64>, Option<u64>) =
            server.ask(&["MGET", "resque:stat:processed", "resque:stat:failed"]).await;
        processed >= Some(200) && failed >= Some(100)
    })
    .await;
    node.end().await;
    let ours: Vec<String> = server.ask(&["KEYS", "resque:stat:*:*"]).await;
    assert_eq!(ours, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_command_is_refused_is_not_counted_and_keeps_its_worker() {
    let server = Server::start().await;
    server.ask::<()>(&["SET", "text", "x"]).await;
    let mut node = start(&server, from(&["low"], "vm"), 1);
    server.enqueue("low", JOB).await;
    let mut job = node.next().await;
    let worker = format!("resque:worker:{}", id("vm", "low", 1));
    server.answers(&["EXISTS", &worker], 1).await;
    let push = |key: &str| vec![["RPUSH", key, "y"].map(|word| Bytes::copy_from_slice(word.as_bytes())).to_vec()];
    assert!(matches!(job.settle_along(push("text")).await, Settled::Refused(_)));
    // What is told is told several times a second.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.ask::<usize>(&["EXISTS", &worker, "resque:stat:processed"]).await, 1, "the worker, and no count");
    assert!(matches!(job.settle_along(push("out")).await, Settled::Done));
    server.answers(&["GET", "resque:stat:processed"], Some(1)).await;
    server.answers(&["EXISTS", &worker], 0).await;
    assert_eq!(server.ask::<usize>(&["LLEN", "out"]).await, 1);
    node.end().await;
    assert_eq!(server.ask::<usize>(&["GET", "resque:stat:processed"]).await, 1);
}
