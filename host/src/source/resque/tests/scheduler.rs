//! Jobs that wait for another attempt in the hands of resque-scheduler.

use super::{JOB, from, start, trouble};
use crate::{config, message::Outcome, source::tests::Server};
use std::time::Duration;

/// `printf '0.01-{"k"=>"v/é<>"}' | sha1sum`
const COUNTER: &str = "resque:resque-retry:Ok:cd52bea088b1e03022b7af1380ce639a6d46a469";

fn scheduled() -> config::Resque {
    config::Resque { scheduler: true, ..from(&["low"], "vm") }
}

fn again(attempt: u32, after: Duration) -> Outcome {
    Outcome::Retry { after, trouble: trouble(attempt, "busy"), succeeded: Vec::new() }
}

/// Does what resque-scheduler does with everything that waits.
async fn run_scheduler(server: &Server) {
    let due: Vec<String> = server.ask(&["ZRANGE", "resque:delayed_queue_schedule", "0", "-1"]).await;
    for second in due {
        let delayed = format!("resque:delayed:{second}");
        let items: Vec<String> = server.ask(&["LRANGE", &delayed, "0", "-1"]).await;
        for item in items {
            let _removed: u32 =
                server.ask(&["SREM", &format!("resque:timestamps:{item}"), &format!("delayed:{second}")]).await;
            let job = item.replace(r#","queue":"low"}"#, "}");
            server.enqueue("low", job).await;
        }
        let _removed: u32 = server.ask(&["DEL", &delayed]).await;
        let _removed: u32 = server.ask(&["ZREM", "resque:delayed_queue_schedule", &second]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_where_resque_scheduler_finds_it_and_stays_counted() {
    let server = Server::start().await;
    let mut node = start(&server, scheduled(), 2);
    server.enqueue("low", r#"{"class": "Ok", "args": [0.01, {"k": "v\/\u00e9<>"}], "extra": 1}"#).await;
    node.next().await.settle(again(1, Duration::from_millis(59_500)));
    server.answers(&["GET", COUNTER], Some(0)).await;
    let due: Vec<(String, u64)> =
        server.ask(&["ZRANGE", "resque:delayed_queue_schedule", "0", "-1", "WITHSCORES"]).await;
    let [(second, score)] = &due[..] else { panic!("{due:?}") };
    assert_eq!(second, &score.to_string());
    let (now, _): (u64, u64) = server.ask(&["TIME"]).await;
    assert!((now + 58..=now + 60).contains(score), "{score} and {now}");
    let delayed: Vec<String> = server.ask(&["LRANGE", &format!("resque:delayed:{second}"), "0", "-1"]).await;
    let item = r#"{"class":"Ok","args":[0.01,{"k":"v/é<>"}],"queue":"low"}"#;
    assert_eq!(delayed, [item]);
    let places: Vec<String> = server.ask(&["SMEMBERS", &format!("resque:timestamps:{item}")]).await;
    assert_eq!(places, [format!("delayed:{second}")]);
    let story = COUNTER.replace("resque:resque", "resque:failure-resque");
    let kept: u32 = server.ask(&["TTL", &story]).await;
    assert!((118..=120).contains(&kept), "{kept}");

    run_scheduler(&server).await;
    let second = node.next().await;
    assert_eq!((second.message.attempt, &second.message.payload[..]), (2, JOB.as_bytes()));
    second.settle(Outcome::Done);
    server.answers(&["EXISTS", COUNTER, &story], 0).await;
    server.answers(&["MGET", "resque:stat:processed", "resque:stat:failed"], (Some(2), Some(1))).await;
    node.end().await;
    let left: Vec<String> = server.ask(&["KEYS", "*"]).await;
    let mut left: Vec<&str> = left.iter().map(String::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["resque:queues", "resque:stat:failed", "resque:stat:processed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_has_had_its_attempts_is_counted_no_more() {
    let server = Server::start().await;
    let mut node = start(&server, scheduled(), 2);
    server.enqueue("low", JOB).await;
    node.next().await.settle(again(1, Duration::ZERO));
    let second = node.next().await;
    assert_eq!(second.message.attempt, 2, "without a pause it does not go through the scheduler");
    second.settle(Outcome::Dead { trouble: trouble(2, "no"), succeeded: Vec::new() });
    server.answers(&["LLEN", "resque:failed"], 1).await;
    let left: usize = server.ask(&["EXISTS", COUNTER, "resque:delayed_queue_schedule"]).await;
    assert_eq!(left, 0);
    node.end().await;
}
