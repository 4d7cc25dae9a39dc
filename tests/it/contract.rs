//! What every kind of source promises that hands out again what was not settled: nothing is lost, and what comes twice is bounded.

use crate::{
    jobs::{SOON, all_arrive, number},
    kinds::{Kind, all_is_settled},
};
use gristmill_tests::{Answer, Dead, Mill, Program, Redis, eventually, eventually::pause};
use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
    time::Duration,
};

/// What a node holds at most, and so what its end may repeat.
const HELD: usize = 64;
const TWICE: &str = "retry = { attempts = 2, first = \"50ms\", longest = \"100ms\" }";

/// A mill with one pipeline, which has these further keys.
fn mill(kind: Kind, redis: Redis, keys: &str) -> Mill {
    kind.prepare(&redis);
    let (name, from) = (kind.pipeline(), kind.from());
    Mill::on(redis).plugins(&["http"]).config(&format!(
        r#"lease = "1s"

[pipeline.{name}]
from = {from}
publish = ["http"]
in_flight = {HELD}
{keys}

[plugin.http]
config = {{ url = "$SINK/{{topic}}" }}
allow_http = ["$AUTHORITY"]
"#
    ))
}

/// A mill with a sink slow enough for messages to be in flight at any time.
fn busy(kind: Kind, redis: Redis) -> Mill {
    let mill = mill(kind, redis, "");
    mill.sink.answer(Answer::Late(Duration::from_millis(20)));
    mill
}

/// Waits until `more` requests have come in.
#[track_caller]
fn progress(mill: &Mill, more: usize) {
    let before = mill.sink.count();
    eventually(SOON, &format!("{more} more requests"), || (mill.sink.count() >= before + more).then_some(()));
}

/// Whether every lane that is registered is one of a living node.
fn the_dead_are_forgotten(redis: &Redis) -> bool {
    let lanes = |key: String| redis.ask::<Vec<String>>(&["HKEYS", &key]);
    let lease = |lane: String| {
        let (queue, rest) = lane.rsplit_once(":lane:").expect("a lane is named so");
        format!("{queue}:lease:{}", rest.split_once(':').expect("a lane has a node").0)
    };
    let mut leases = redis.keys("gristmill:*:lanes").into_iter().flat_map(lanes).map(lease);
    leases.all(|lease| redis.ask::<bool>(&["EXISTS", &lease]))
}

fn all_arrive_once_and_the_end_leaves_nothing(kind: Kind) {
    let mill = mill(kind, Redis::start(), "");
    kind.push(&mill.redis, 0..500);
    let mut nodes = [mill.node(), mill.node()];
    kind.push(&mill.redis, 500..1_500);
    assert_eq!(all_arrive(&mill.sink, 0..1_500), 0, "none came twice");
    all_is_settled(&mill.redis);
    for node in &mut nodes {
        assert_eq!(node.terminate(), 0);
    }
    all_is_settled(&mill.redis);
    assert_eq!(mill.redis.keys("gristmill:*"), Vec::<String>::new());
    assert_eq!(mill.sink.count(), 1_500);
}

fn an_end_in_the_middle_repeats_nothing(kind: Kind) {
    const ALL: u64 = 4_000;
    let mill = busy(kind, Redis::start());
    kind.push(&mill.redis, 0..ALL);
    let mut first = mill.node();
    progress(&mill, 200);
    assert_eq!(first.terminate(), 0);
    assert!((mill.sink.count() as u64) < ALL, "it ended in the middle");
    let mut second = mill.node();
    assert_eq!(all_arrive(&mill.sink, 0..ALL), 0, "none came twice");
    all_is_settled(&mill.redis);
    assert_eq!(second.terminate(), 0);
    assert_eq!(mill.redis.keys("gristmill:*"), Vec::<String>::new());
}

fn killing_nodes_loses_nothing(kind: Kind, redis: Redis) {
    const KILLS: usize = 4;
    const EACH: u64 = 700;
    let mill = busy(kind, redis);
    let mut one = mill.node();
    let mut all = 0..0;
    for _ in 0..KILLS {
        // The next one is there already when this one ends, so that both takeover and restart are met.
        let other = mill.node();
        kind.push(&mill.redis, all.end..all.end + EACH);
        all.end += EACH;
        progress(&mill, 300);
        one.kill9();
        one = other;
    }
    let twice = all_arrive(&mill.sink, all);
    assert!(twice <= HELD * KILLS, "{twice} came twice");
    all_is_settled(&mill.redis);
    eventually(SOON, "the dead are forgotten", || the_dead_are_forgotten(&mill.redis).then_some(()));
    assert_eq!(one.terminate(), 0);
    assert_eq!(mill.redis.keys("gristmill:*"), Vec::<String>::new());
}

fn a_node_frozen_past_its_lease_harms_nothing(kind: Kind) {
    let mill = busy(kind, Redis::start());
    let (frozen, _other) = (mill.node(), mill.node());
    kind.push(&mill.redis, 0..2_000);
    progress(&mill, 300);
    frozen.sigstop();
    // Three leases: what it holds is taken over in this time.
    pause(Duration::from_secs(3));
    frozen.sigcont();
    kind.push(&mill.redis, 2_000..3_000);
    let twice = all_arrive(&mill.sink, 0..3_000);
    assert!(twice <= HELD, "{twice} came twice");
    all_is_settled(&mill.redis);
}

fn what_fails_once_succeeds_under_the_same_key(kind: Kind) {
    let mill = mill(kind, Redis::start(), TWICE);
    let failed = Mutex::new(HashSet::new());
    mill.sink.answer_by(move |received| {
        let fails = failed.lock().unwrap().insert(number(received));
        Answer::Status(if fails { 503 } else { 200 })
    });
    let _node = mill.node();
    kind.push(&mill.redis, 0..200);
    eventually(SOON, "two attempts of each", || (mill.sink.count() == 400).then_some(()));
    all_is_settled(&mill.redis);
    assert_eq!(mill.sink.count(), 400);
    let mut keys: HashMap<u64, HashSet<String>> = HashMap::new();
    for received in mill.sink.received() {
        keys.entry(number(&received)).or_default().insert(received.header("idempotency-key").unwrap().to_owned());
    }
    assert_eq!(keys.len(), 200);
    assert!(keys.values().all(|keys| keys.len() == 1), "one key for all attempts");
}

fn what_keeps_failing_is_a_dead_letter_until_it_is_replayed(kind: Kind) {
    let mill = mill(kind, Redis::start(), TWICE);
    mill.sink.answer(Answer::Status(503));
    let mut node = mill.node();
    kind.push(&mill.redis, 0..30);
    let dead = Dead::of(&mill, kind.pipeline());
    let letters = eventually(SOON, "all are dead letters", || Some(dead.list()).filter(|letters| letters.len() == 30));
    assert!(letters.iter().all(|letter| letter["attempts"] == 2), "{letters:?}");
    assert_eq!(mill.sink.count(), 60);
    all_is_settled(&mill.redis);
    mill.sink.answer(Answer::Status(200));
    mill.sink.forget();
    dead.replay_all();
    assert_eq!(all_arrive(&mill.sink, 0..30), 0, "none came twice");
    all_is_settled(&mill.redis);
    assert!(dead.list().is_empty());
    assert_eq!(node.terminate(), 0);
    assert_eq!(mill.redis.keys("gristmill:*"), Vec::<String>::new());
}

macro_rules! contract {
    ($($name:ident = $kind:expr;)*) => {$(
        mod $name {
            use crate::kinds::Kind;
            use gristmill_tests::Redis;

            #[test]
            fn all_arrive_once_and_the_end_leaves_nothing() {
                super::all_arrive_once_and_the_end_leaves_nothing($kind);
            }

            #[test]
            fn an_end_in_the_middle_repeats_nothing() {
                super::an_end_in_the_middle_repeats_nothing($kind);
            }

            #[test]
            fn killing_nodes_loses_nothing() {
                super::killing_nodes_loses_nothing($kind, Redis::start());
            }

            #[test]
            fn a_node_frozen_past_its_lease_harms_nothing() {
                super::a_node_frozen_past_its_lease_harms_nothing($kind);
            }

            #[test]
            fn what_fails_once_succeeds_under_the_same_key() {
                super::what_fails_once_succeeds_under_the_same_key($kind);
            }

            #[test]
            fn what_keeps_failing_is_a_dead_letter_until_it_is_replayed() {
                super::what_keeps_failing_is_a_dead_letter_until_it_is_replayed($kind);
            }
        }
    )*};
}

contract! {
    list = Kind::List;
    lists = Kind::Lists;
    stream = Kind::Stream;
    resque = Kind::Resque;
    thoonk_queue = Kind::ThoonkQueue;
    thoonk_job = Kind::ThoonkJob;
}

/// Kills nodes on another kind of server, if it has been fetched.
fn on_another_server(kind: Kind, program: Program) {
    if program.found().is_some() {
        killing_nodes_loses_nothing(kind, Redis::setup().program(program).start());
    }
}

#[test]
fn killing_nodes_on_redis_6_2_loses_nothing_of_a_list() {
    on_another_server(Kind::List, Program::Redis62);
}

#[test]
fn killing_nodes_on_redis_6_2_loses_nothing_of_a_stream() {
    on_another_server(Kind::Stream, Program::Redis62);
}

#[test]
fn killing_nodes_on_valkey_loses_nothing_of_a_list() {
    on_another_server(Kind::List, Program::Valkey);
}

#[test]
fn killing_nodes_on_valkey_loses_nothing_of_a_stream() {
    on_another_server(Kind::Stream, Program::Valkey);
}
