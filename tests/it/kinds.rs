//! Every kind of source that hands out again what was not settled: how it is configured, filled, and seen to be empty.

use crate::jobs::SOON;
use gristmill_tests::{Redis, eventually};
use redis::{Connection, Pipeline, RedisResult};
use std::{
    collections::HashMap,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// How many messages a producer sends in one round trip.
const TOGETHER: usize = 500;

/// A kind of source. No two share a key, so that they can stand side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    List,
    Lists,
    Stream,
    Resque,
    ThoonkQueue,
    ThoonkJob,
}

/// A numbered message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) number: u64,
    /// What it says besides.
    pub(crate) text: &'static str,
}

impl Kind {
    /// The name of its pipeline.
    pub(crate) fn pipeline(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Lists => "lists",
            Self::Stream => "stream",
            Self::Resque => "resque",
            Self::ThoonkQueue => "thoonk-queue",
            Self::ThoonkJob => "thoonk-job",
        }
    }

    /// What stands behind `from =`.
    pub(crate) fn from(self) -> &'static str {
        match self {
            Self::List => "{ list = \"jobs\" }",
            Self::Lists => "{ list = [\"urgent\", \"usual\", \"late\"] }",
            Self::Stream => "{ stream = \"events\", group = \"workers\" }",
            Self::Resque => "{ resque = [\"high\", \"*\"] }",
            Self::ThoonkQueue => "{ thoonk = \"queued\", kind = \"queue\" }",
            Self::ThoonkJob => "{ thoonk = \"work\" }",
        }
    }

    /// Makes what producers make before they send.
    pub(crate) fn prepare(self, redis: &Redis) {
        let feed = match self {
            Self::ThoonkQueue => ("queued", "queue"),
            Self::ThoonkJob => ("work", "job"),
            _ => return,
        };
        redis.ask::<()>(&["SADD", "feeds", feed.0]);
        redis.ask::<()>(&["HSET", &format!("feed.config:{}", feed.0), "type", feed.1]);
    }

    /// Sends `jobs` in one round trip, each as its producers do.
    pub(crate) fn put(self, connection: &mut Connection, jobs: &[Job]) -> RedisResult<()> {
        let mut pipe = redis::pipe();
        for job in jobs {
            self.add(&mut pipe, *job);
        }
        pipe.exec(connection)
    }

    /// Sends messages with these numbers.
    pub(crate) fn push(self, redis: &Redis, numbers: Range<u64>) {
        let mut connection = redis.connect();
        let jobs: Vec<Job> = numbers.map(|number| Job { number, text: "plain" }).collect();
        for some in jobs.chunks(TOGETHER) {
            self.put(&mut connection, some).unwrap();
        }
    }

    fn add(self, pipe: &mut Pipeline, job: Job) {
        let body = format!("{{\"id\":{},\"text\":\"{}\"}}", job.number, job.text);
        match self {
            Self::List => pipe.cmd("RPUSH").arg("jobs").arg(body),
            Self::Lists => {
                let list = ["late", "urgent", "usual"][job.number as usize % 3];
                pipe.cmd("RPUSH").arg(list).arg(body)
            }
            Self::Stream => pipe.cmd("XADD").arg("events").arg("*").arg("payload").arg(body),
            Self::Resque => {
                let queue = ["low", "high"][job.number as usize % 2];
                let body = format!("{{\"class\":\"Deliver\",\"args\":[{},\"{}\"]}}", job.number, job.text);
                pipe.cmd("SADD").arg("resque:queues").arg(queue);
                pipe.cmd("RPUSH").arg(format!("resque:queue:{queue}")).arg(body)
            }
            Self::ThoonkQueue => {
                let id = unique();
                pipe.cmd("MULTI").cmd("LPUSH").arg("feed.ids:queued").arg(&id);
                pipe.cmd("HSET").arg("feed.items:queued").arg(&id).arg(body);
                pipe.cmd("INCR").arg("feed.publishes:queued").cmd("EXEC")
            }
            Self::ThoonkJob => {
                let id = unique();
                pipe.cmd("MULTI").cmd("LPUSH").arg("feed.ids:work").arg(&id).cmd("INCR").arg("feed.publishes:work");
                pipe.cmd("HSET").arg("feed.items:work").arg(&id).arg(&body);
                pipe.cmd("ZADD").arg("feed.published:work").arg(now_ms()).arg(&id).cmd("EXEC");
                pipe.cmd("PUBLISH").arg("feed.publishes:work").arg(format!("{id}\0{body}"))
            }
        };
    }
}

/// Everything in Redis that waits, is in flight or is scheduled, in words; dead letters are not among it.
pub(crate) fn left(redis: &Redis) -> Vec<String> {
    redis.keys("*").iter().filter_map(|key| left_in(redis, key)).collect()
}

/// Waits until nothing waits, is in flight or is scheduled.
#[track_caller]
pub(crate) fn all_is_settled(redis: &Redis) {
    let start = Instant::now();
    eventually(SOON * 2, "nothing is left in Redis", || {
        // A lane that is taken over while we look changes its name, and may be missed once.
        let looks = [left(redis), left(redis), left(redis)];
        let left = looks.concat();
        // The text of a wait that ended in vain does not say what is left.
        assert!(left.is_empty() || start.elapsed() < SOON, "left after {SOON:?}: {left:#?}");
        left.is_empty().then_some(())
    });
}

/// What `key` holds that is not settled.
fn left_in(redis: &Redis, key: &str) -> Option<String> {
    let kind: String = redis.ask(&["TYPE", key]);
    let count: usize = match kind.as_str() {
        // What is dead for Resque is in `failed`.
        "list" if key == "resque:failed" => 0,
        "list" => redis.ask(&["LLEN", key]),
        "zset" => redis.ask(&["ZCARD", key]),
        "set" if key.ends_with(":held") => redis.ask(&["SCARD", key]),
        "hash" if key.ends_with(":slow") || key.ends_with(":tried") || key.starts_with("feed.cancelled:") => {
            redis.ask(&["HLEN", key])
        }
        "hash" if key.starts_with("feed.items:") => {
            let stalled: usize = redis.ask(&["SCARD", &key.replacen("items", "stalled", 1)]);
            redis.ask::<usize>(&["HLEN", key]).saturating_sub(stalled)
        }
        "stream" if key == "events" => return unread(redis),
        _ => 0,
    };
    (count > 0).then(|| format!("{count} in the {kind} {key}"))
}

/// What the group `workers` has not read, or not settled.
fn unread(redis: &Redis) -> Option<String> {
    let groups: Vec<HashMap<String, redis::Value>> = redis.ask(&["XINFO", "GROUPS", "events"]);
    let Some(group) = groups.into_iter().next() else { return Some("events that no group reads".to_owned()) };
    let text = |name: &str| redis::from_redis_value::<String>(group[name].clone()).unwrap();
    let newest: Vec<(String, Vec<String>)> = redis.ask(&["XREVRANGE", "events", "+", "-", "COUNT", "1"]);
    let read = newest.first().is_none_or(|(id, _)| *id == text("last-delivered-id"));
    let pending = text("pending");
    (!read || pending != "0").then(|| format!("{pending} pending events, all read: {read}"))
}

/// As a UUID without its dashes.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{:016x}{:016x}", now_ms(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}
