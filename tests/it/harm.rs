//! What tests of harm share: mills whose work can be disturbed, and what has to hold when it is over.

use crate::jobs::{SOON, all_arrive, direct, jobs, nothing_is_left, pipeline};
use gristmill_tests::{Answer, Mill, Node, Redis, eventually, redis::Proxied};
use std::{cell::Cell, fs, time::Duration};

/// What a node holds at most, and so what its end may repeat.
pub(crate) const HELD: usize = 128;
const KEYS: &str = "in_flight = 128";

/// A mill with a sink slow enough for messages to be in flight at any time.
pub(crate) fn busy(redis: Redis) -> Mill {
    let mill = direct(redis, KEYS);
    mill.sink.answer(Answer::Late(Duration::from_millis(20)));
    mill
}

/// The same behind a proxy that can do harm to its connections.
pub(crate) fn proxied() -> Mill<Proxied> {
    at(Redis::start().proxied(), Proxied::url)
}

/// The same at the address that `url` tells of `redis`.
pub(crate) fn at<R>(redis: R, url: impl Fn(&R) -> String) -> Mill<R> {
    let mill = Mill::at(url(&redis), redis).plugins(&["http"]).config(&pipeline(KEYS, ""));
    mill.sink.answer(Answer::Late(Duration::from_millis(20)));
    mill
}

/// Numbered jobs that go on being pushed while harm is done.
#[derive(Default)]
pub(crate) struct Producer {
    pushed: Cell<u64>,
}

impl Producer {
    /// Pushes `more` jobs.
    pub(crate) fn push(&self, redis: &Redis, more: u64) {
        let first = self.pushed.get();
        redis.push("jobs", jobs(first..first + more));
        self.pushed.set(first + more);
    }

    pub(crate) fn pushed(&self) -> u64 {
        self.pushed.get()
    }

    /// Waits until as many requests have come in as jobs were pushed.
    #[track_caller]
    pub(crate) fn caught_up<R>(&self, mill: &Mill<R>) {
        let pushed = self.pushed() as usize;
        eventually(SOON, &format!("{pushed} requests"), || (mill.sink.count() >= pushed).then_some(()));
    }

    /// Waits until every job has arrived and Redis holds none; at most `twice` came more than once.
    #[track_caller]
    pub(crate) fn lost_nothing<R>(&self, mill: &Mill<R>, redis: &Redis, twice: usize) {
        let came_twice = all_arrive(&mill.sink, 0..self.pushed());
        assert!(came_twice <= twice, "{came_twice} came twice");
        nothing_is_left(redis);
    }
}

/// Waits until `more` requests have come in.
#[track_caller]
pub(crate) fn progress<R>(mill: &Mill<R>, more: usize) {
    let before = mill.sink.count();
    eventually(SOON, &format!("{more} more requests"), || (mill.sink.count() >= before + more).then_some(()));
}

/// How often the node has told of trouble with Redis.
pub(crate) fn troubles(node: &Node) -> usize {
    node.log().matches("Redis does not do what we ask").count()
}

/// How many files and connections the node has open.
pub(crate) fn descriptors(node: &Node) -> usize {
    fs::read_dir(format!("/proc/{}/fd", node.id())).unwrap().count()
}

/// The memory of the node that is in use, in MiB.
pub(crate) fn resident_mib(node: &Node) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", node.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process tells its memory");
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// How much of something a test makes: what the variable `name` says, else `usual`.
pub(crate) fn size(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|size| size.parse().ok()).unwrap_or(usual)
}

/// A server that keeps what took it a tenth of a second or more, as looking at hundreds of thousands of anything does.
pub(crate) fn told_of_slow_commands() -> Redis {
    Redis::with_args(&["--slowlog-log-slower-than", "100000"])
}

/// Wants no command to have held the server up, as one does that looks at all there is.
#[track_caller]
pub(crate) fn nothing_was_slow(redis: &Redis) {
    let slow: Vec<Vec<redis::Value>> = redis.ask(&["SLOWLOG", "GET", "-1"]);
    let shown: Vec<String> = slow.iter().map(|entry| format!("{entry:?}")).collect();
    assert!(shown.is_empty(), "{shown:#?}");
}
