//! Wall clocks that jump or disagree: leases, pauses and ages go by the clock of Redis.

use crate::jobs::{PATIENT, SOON, all_arrive, arrived, direct, jobs, nothing_is_left, number, pipeline};
use gristmill_tests::{Answer, Clock, Dead, Mill, Received, Redis, eventually};
use std::{
    collections::HashSet,
    sync::Mutex,
    time::{Duration, Instant},
};

const AN_HOUR: i64 = 3_600;
const RETRIES: &str = "in_flight = 128\nretry = { attempts = 5, first = \"1s\", longest = \"1s\" }";

/// This mill, with its nodes and verbs from now on by `clock`.
fn by(clock: &Clock, mill: Mill) -> Mill {
    clock.environment().iter().fold(mill, |mill, (name, value)| mill.env(name, value))
}

/// A mill whose jobs are tried again after a second.
fn retrying() -> Mill {
    Mill::new().plugins(&["http"]).config(&pipeline(RETRIES, PATIENT))
}

/// Sends every fifth job away the first time it comes.
fn fail_each_fifth(mill: &Mill) {
    let seen = Mutex::new(HashSet::new());
    mill.sink.answer_by(move |received| {
        let number = number(received);
        let first = number.is_multiple_of(5) && seen.lock().unwrap().insert(number);
        if first { Answer::Status(503) } else { Answer::Late(Duration::from_millis(5)) }
    });
}

/// How long the second attempts of jobs came after the first, the shortest and the longest.
fn pauses(received: &[Received]) -> (Duration, Duration) {
    let mut first = std::collections::HashMap::new();
    let pause = |one: &Received| first.insert(number(one), one.at).map(|before| one.at - before);
    let pauses: Vec<Duration> = received.iter().filter_map(pause).collect();
    (*pauses.iter().min().unwrap(), *pauses.iter().max().unwrap())
}

/// Wants every job in `0..all` to have come once, but each fifth twice, a second or little more later.
#[track_caller]
fn all_in_their_time(mill: &Mill, all: u64) {
    let again = all_arrive(&mill.sink, 0..all) as u64;
    eventually(SOON, "all second attempts", || (mill.sink.count() as u64 >= all + all / 5).then_some(()));
    nothing_is_left(&mill.redis);
    assert_eq!(mill.sink.count() as u64, all + all / 5, "{again} at first");
    let (shortest, longest) = pauses(&mill.sink.received());
    assert!(shortest >= Duration::from_millis(450), "a second attempt after {shortest:?}");
    assert!(longest < Duration::from_secs(15), "a second attempt after {longest:?}");
}

#[test]
fn a_clock_that_jumps_by_hours_moves_no_lease_and_no_attempt() {
    let Some(clock) = Clock::right() else { return };
    let mill = retrying();
    fail_each_fifth(&mill);
    let steady = mill.node();
    let mill = by(&clock, mill);
    let jumping = mill.node();
    let mut pushed = 0;
    for shift in [AN_HOUR, -AN_HOUR, 24 * AN_HOUR, 0] {
        mill.redis.push("jobs", jobs(pushed..pushed + 500));
        eventually(SOON, "some are under way", || (mill.sink.count() as u64 > pushed + 50).then_some(()));
        clock.shift(shift);
        pushed += 500;
        let began = Instant::now();
        all_arrive(&mill.sink, 0..pushed);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?} after a jump to {shift} s", began.elapsed());
    }
    all_in_their_time(&mill, pushed);
    for node in [steady, jumping] {
        assert!(!node.log().contains("took over"), "{}", node.log());
    }
}

#[test]
fn nodes_hours_apart_share_leases_and_pauses() {
    let (Some(ahead), Some(behind)) = (Clock::right(), Clock::right()) else { return };
    ahead.shift(AN_HOUR);
    behind.shift(-AN_HOUR);
    let mill = by(&ahead, retrying());
    fail_each_fifth(&mill);
    let mut fast = mill.node();
    let mill = by(&behind, mill);
    let slow = mill.node();
    mill.redis.push("jobs", jobs(0..2_000));
    all_in_their_time(&mill, 2_000);
    for node in [&fast, &slow] {
        assert!(!node.log().contains("took over"), "{}", node.log());
    }
    mill.sink.answer(Answer::Late(Duration::from_millis(50)));
    mill.redis.push("jobs", jobs(10_000..12_000));
    eventually(SOON, "some are under way", || (mill.sink.count() > 2_600).then_some(()));
    fast.kill9();
    slow.says(&["took over the messages in flight"]);
    eventually(SOON, "those of the dead node", || {
        let seen = arrived(&mill.sink);
        (10_000..12_000).all(|job| seen.contains_key(&job)).then_some(())
    });
    nothing_is_left(&mill.redis);
}

#[test]
fn dead_letters_are_as_old_as_redis_says() {
    let Some(clock) = Clock::right() else { return };
    clock.shift(AN_HOUR);
    let mill = by(&clock, direct(Redis::start(), "keep_dead = { most = 100, longest = \"30m\" }"));
    mill.sink.answer(Answer::Status(400));
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..3));
    let dead = Dead::of(&mill, "jobs");
    eventually(SOON, "all are buried", || (dead.list().len() == 3).then_some(()));
    // What is too old is forgotten at the start.
    assert_eq!(node.terminate(), 0);
    let node = mill.node();
    mill.redis.push("jobs", jobs(3..4));
    eventually(SOON, "one more is buried", || (dead.list().len() == 4).then_some(()));
    assert!(!node.log().contains("forgot"), "{}", node.log());
    let older = |than: &str| mill.run(&["dead", "list", "--json", "--older", than]).stdout.trim().len() > 2;
    assert!(!older("10m"), "none is ten minutes old");
    clock.shift(-AN_HOUR);
    eventually(SOON, "they are a second old", || older("1s").then_some(()));
}
