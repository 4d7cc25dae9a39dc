//! Everything goes wrong at random while messages come through four kinds of source: nothing is lost, and every repetition
//! has its cause.
//!
//! `GRISTMILL_CHAOS_SECONDS` says for how long, `GRISTMILL_CHAOS_SEED` which faults.

mod faults;
mod held;
mod place;
mod producers;
mod random;
mod weather;

use crate::{
    jobs::{SOON, arrived, number_in},
    kinds::{Kind, all_is_settled, left},
};
use faults::Faults;
use gristmill_tests::{Redis, eventually, eventually::pause};
use producers::{Producers, Pushed, is_poison};
use random::Random;
use std::{
    collections::{BTreeMap, HashMap},
    env,
    str::FromStr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const KINDS: [Kind; 4] = [Kind::List, Kind::Stream, Kind::Resque, Kind::ThoonkJob];
const NODES: usize = 3;
/// In each pipeline of each node.
const IN_FLIGHT: usize = 16;
const LEASE: Duration = Duration::from_secs(2);
const SECONDS: u64 = 30;
/// How long all may take to be settled when the faults have ended.
const DRAIN: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(20);

/// The pipelines of every node. Nothing that happens here uses up the attempts, or has a message taken for one that ends nodes.
fn config(sink: &str, authority: &str) -> String {
    let pipeline = |kind: &Kind| {
        format!(
            r#"
[pipeline.{}]
from = {}
filters = ["misbehave", "stamp"]
publish = ["http"]
in_flight = {IN_FLIGHT}
retry = {{ attempts = 200, crashes = 200, first = "50ms", longest = "500ms" }}
"#,
            kind.pipeline(),
            kind.from()
        )
    };
    let pipelines: String = KINDS.iter().map(pipeline).collect();
    format!(
        r#"lease = "{}ms"
{pipelines}
[plugin.misbehave]
config = {{ mode = "reject", when = "{}" }}
timeout = "5s"

[plugin.stamp]
timeout = "5s"

[plugin.http]
config = {{ url = "{sink}/{{topic}}" }}
allow_http = ["{authority}"]
timeout = "5s"
"#,
        LEASE.as_millis(),
        producers::POISON,
    )
}

fn setting<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

/// What came of each number beyond what was bound to come: a repetition for each push and each refusal may be.
fn unexplained(arrived: &HashMap<u64, usize>, pushed: &Pushed, refused: impl Fn(u64) -> usize) -> BTreeMap<u64, usize> {
    let surplus = |(number, times): (&u64, &usize)| {
        let explained = pushed.get(number).copied().unwrap_or_default() + refused(*number);
        Some((*number, times.saturating_sub(explained))).filter(|(_, surplus)| *surplus > 0)
    };
    arrived.iter().filter_map(surplus).collect()
}

/// The numbers of all dead letters, and how many each has.
fn dead(redis: &Redis) -> BTreeMap<u64, usize> {
    let mut dead = BTreeMap::new();
    for stream in redis.keys("gristmill:*:dead") {
        let letters: Vec<(String, HashMap<String, Vec<u8>>)> = redis.ask(&["XRANGE", &stream, "-", "+"]);
        for (_, letter) in letters {
            let job = serde_json::from_slice(&letter["payload"]).expect("what was sent is JSON");
            *dead.entry(number_in(&job)).or_default() += 1;
        }
    }
    dead
}

/// Waits until every message that is no poison has arrived; else names those that have not.
#[track_caller]
fn drained(faults: &Faults, pushed: &Pushed) -> HashMap<u64, usize> {
    let wanted: Vec<u64> = pushed.keys().copied().filter(|number| !is_poison(*number)).collect();
    let start = Instant::now();
    eventually(DRAIN * 2, "all have arrived", || {
        // Cheap first: looking at every body is dear.
        let seen = if faults.sink.count() < wanted.len() { HashMap::new() } else { arrived(&faults.sink) };
        let missing: Vec<&u64> = wanted.iter().filter(|number| !seen.contains_key(number)).collect();
        if missing.is_empty() {
            return Some(seen);
        }
        assert!(
            start.elapsed() < DRAIN,
            "lost with seed {}: {missing:?}\nleft in Redis: {:#?}\n{}",
            faults.seed,
            left(&faults.redis),
            faults.story()
        );
        pause(TICK * 10);
        None
    })
}

/// Waits until nothing is left; else says what.
#[track_caller]
fn wants_nothing(limit: Duration, left: impl Fn() -> Vec<String>, of_whom: &str) {
    let start = Instant::now();
    eventually(limit * 2, "nothing is left", || {
        let left = left();
        assert!(left.is_empty() || start.elapsed() < limit, "left {of_whom}\n{left:#?}");
        left.is_empty().then_some(())
    });
}

#[test]
fn whatever_goes_wrong_nothing_is_lost_and_every_repetition_has_its_cause() {
    let by_the_clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let seed = setting("GRISTMILL_CHAOS_SEED").unwrap_or_else(by_the_clock);
    let period = Duration::from_secs(setting("GRISTMILL_CHAOS_SECONDS").unwrap_or(SECONDS));
    eprintln!("GRISTMILL_CHAOS_SEED={seed} GRISTMILL_CHAOS_SECONDS={}", period.as_secs());

    let redis = Redis::durable();
    KINDS.iter().for_each(|kind| kind.prepare(&redis));
    let producers = Producers::start(&KINDS, &redis.url());
    let mut faults = Faults::over(redis, seed);
    faults.rage(period);
    faults.end();
    let pushed = producers.finish();

    let seen = drained(&faults, &pushed);
    all_is_settled(&faults.redis);
    let unexplained = unexplained(&seen, &pushed, |number| faults.weather.refused(number));
    let twice: usize = unexplained.values().sum();
    eprintln!(
        "{} sent, {} arrived, {twice} of them unexplained, {} allowed",
        pushed.len(),
        faults.sink.count(),
        faults.allowed
    );
    let (seed, story) = (faults.seed, faults.story());
    eprintln!("{story}");
    assert!(twice <= faults.allowed, "{twice} too many with seed {seed}: {unexplained:?}\n{story}");
    let strangers: Vec<&u64> =
        seen.keys().filter(|number| is_poison(**number) || !pushed.contains_key(number)).collect();
    assert!(strangers.is_empty(), "delivered with seed {seed}: {strangers:?}\n{story}");

    let dead = dead(&faults.redis);
    let poison: BTreeMap<u64, usize> = pushed.into_iter().filter(|(number, _)| is_poison(*number)).collect();
    let right = dead.keys().eq(poison.keys()) && dead.iter().all(|(number, times)| *times <= poison[number]);
    assert!(right, "dead with seed {seed}: {dead:?}, poison: {poison:?}\n{story}");
    wants_nothing(SOON, || faults.registered_by_the_dead(), &format!("of the dead with seed {seed}\n{story}"));
    faults.terminate();
    wants_nothing(SOON, || faults.left_beside_the_dead(), &format!("of anybody with seed {seed}\n{story}"));
}
