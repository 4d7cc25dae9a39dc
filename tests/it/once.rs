//! What has been delivered is not delivered again, as far as Redis was told of it before the node ended.

use crate::jobs::{SOON, all_arrive, direct, jobs, nothing_is_left, number, pipeline};
use gristmill_tests::{Answer, Mill, Received, Redis, eventually, eventually::pause};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

const JOURNAL: &str = "gristmill:{jobs}:jobs:journal";

/// A second publisher beside `http`, whose requests go to `/other`.
const OTHER: &str = "\n[plugin.other]\nfile = \"http.wasm\"\nconfig = { url = \"$SINK/other\", method = \"POST\" }\n\
                     allow_http = [\"$AUTHORITY\"]\nhttp_timeout = \"120s\"\n";

/// A mill with both publishers.
fn two_publishers(keys: &str) -> Mill {
    let config = pipeline(keys, OTHER).replace("publish = [\"http\"]", "publish = [\"http\", \"other\"]");
    Mill::new().plugins(&["http"]).config(&config)
}

/// How often each job has come in under `path`.
fn came(mill: &Mill, path: &str) -> HashMap<u64, usize> {
    let received = mill.sink.received();
    let mut came = HashMap::new();
    for one in received.iter().filter(|one| one.path.starts_with(path)) {
        *came.entry(number(one)).or_default() += 1;
    }
    came
}

fn noted(redis: &Redis) -> usize {
    redis.ask(&["HLEN", JOURNAL])
}

fn key(received: &Received) -> String {
    received.header("idempotency-key").expect("a key").to_owned()
}

#[test]
fn a_message_that_is_taken_over_is_sent_again_under_the_same_idempotency_key() {
    let mill = direct(Redis::start(), "in_flight = 20");
    mill.sink.answer(Answer::Hang);
    let mut first = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    eventually(SOON, "all have been sent", || (mill.sink.count() == 20).then_some(()));
    first.kill9();
    mill.sink.answer(Answer::Status(200));
    let _second = mill.node();
    nothing_is_left(&mill.redis);
    assert_eq!(all_arrive(&mill.sink, 0..20), 20, "each comes twice, as nobody had answered");
    let keys: BTreeSet<_> = mill.sink.received().iter().map(|one| (number(one), key(one))).collect();
    assert_eq!(keys.len(), 20, "one key for each message: {keys:?}");
}

#[test]
fn a_publisher_that_has_succeeded_is_not_run_again_by_who_takes_the_message_over() {
    for keys in ["in_flight = 40", "in_flight = 40\norder_by = \"json:/id\""] {
        let mill = two_publishers(keys);
        mill.sink.answer_by(|one| if one.path == "/other" { Answer::Hang } else { Answer::Status(200) });
        let mut first = mill.node();
        mill.redis.push("jobs", jobs(0..40));
        eventually(SOON, "all that has succeeded is in the journal", || (noted(&mill.redis) == 40).then_some(()));
        first.kill9();
        mill.sink.answer(Answer::Status(200));
        let _second = mill.node();
        nothing_is_left(&mill.redis);
        let (done, open) = (came(&mill, "/hooks"), came(&mill, "/other"));
        assert!(done.len() == 40 && done.values().all(|times| *times == 1), "{done:?}");
        assert!(open.len() == 40 && open.values().all(|times| *times == 2), "{open:?}");
        assert_eq!(noted(&mill.redis), 0, "the journal forgets what is settled");
    }
}

#[test]
fn what_comes_twice_after_a_kill_is_what_redis_was_not_told_of() {
    const ALL: usize = 1_500;
    let mill = two_publishers("in_flight = 128");
    mill.sink.answer_by(|one| Answer::Late(Duration::from_millis(if one.path == "/other" { 40 } else { 2 })));
    mill.redis.push("jobs", jobs(0..ALL as u64));
    let (mut untold, mut told) = (0, 0);
    for more in [300, 600, 900] {
        let mut node = mill.node();
        eventually(SOON, "it is under way", || (mill.sink.count() >= 2 * more).then_some(()));
        node.kill9();
        eventually(SOON, "what was under way has arrived", || {
            let before = mill.sink.count();
            pause(Duration::from_millis(100));
            (mill.sink.count() == before).then_some(())
        });
        let noted: Vec<String> = mill.redis.ask(&["HVALS", JOURNAL]);
        let noted = noted.iter().filter(|publishers| publishers.contains("http")).count();
        told += noted;
        untold += came(&mill, "/hooks").len() - (ALL - open(&mill.redis)) - noted;
    }
    let _last = mill.node();
    all_arrive(&mill.sink, 0..ALL as u64);
    nothing_is_left(&mill.redis);
    let done = came(&mill, "/hooks");
    let twice = done.values().sum::<usize>() - done.len();
    assert_eq!(done.len(), ALL);
    assert!(twice <= untold, "{twice} were sent again, and Redis was not told of {untold}");
    assert!(told > 0, "the journal has spared some");
    assert_eq!(noted(&mill.redis), 0);
}

/// How many jobs are not settled.
fn open(redis: &Redis) -> usize {
    let lanes: HashMap<String, String> = redis.ask(&["HGETALL", "gristmill:{jobs}:jobs:lanes"]);
    let in_lane = |(lane, register): (&String, &String)| {
        let settled = register.rsplit(' ').next().unwrap();
        let settled: u32 = settled.chars().filter_map(|digit| digit.to_digit(16)).map(u32::count_ones).sum();
        redis.len(lane) + redis.ask::<usize>(&["HLEN", &format!("{lane}:slow")]) - settled as usize
    };
    let later: usize = redis.ask(&["ZCARD", "gristmill:{jobs}:jobs:delayed"]);
    redis.len("jobs") + later + redis.len("gristmill:{jobs}:jobs:retry") + lanes.iter().map(in_lane).sum::<usize>()
}
