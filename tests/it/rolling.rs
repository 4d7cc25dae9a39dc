//! One node after the other takes over while messages flow: each message arrives once, and none waits for it long.

use crate::{
    jobs::{SOON, number},
    kinds::{Job, Kind, all_is_settled},
};
use gristmill_tests::{Answer, Mill, Node, Received, Redis, eventually, eventually::pause};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const KINDS: [Kind; 3] = [Kind::List, Kind::Stream, Kind::Resque];
/// What the numbers of one kind are ahead of those of the one before.
const APART: u64 = 1_000_000;
const TOGETHER: u64 = 4;
const PACE: Duration = Duration::from_millis(20);
const TIMES: usize = 4;
/// Between two changes.
const BETWEEN: Duration = Duration::from_millis(500);
/// What a change of nodes may cost a message on a busy machine; a lease that had to end would cost more.
const LONGEST: Duration = Duration::from_secs(10);

/// Those who send numbered messages of every kind all the time, and when each was sent.
struct Producers {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<HashMap<u64, Instant>>>,
}

impl Producers {
    fn start(kinds: &[Kind], redis: &Redis) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |(index, kind): (u64, &Kind)| {
            let (kind, mut connection, stop) = (*kind, redis.connect(), Arc::clone(&stop));
            thread::spawn(move || {
                let (mut sent, mut next) = (HashMap::new(), index * APART);
                while !stop.load(Ordering::Acquire) {
                    let jobs: Vec<Job> = (next..next + TOGETHER).map(|number| Job { number, text: "plain" }).collect();
                    next += TOGETHER;
                    sent.extend(jobs.iter().map(|job| (job.number, Instant::now())));
                    kind.put(&mut connection, &jobs).unwrap();
                    pause(PACE);
                }
                sent
            })
        };
        let threads = (0..).zip(kinds).map(start).collect();
        Self { stop, threads }
    }

    fn finish(self) -> HashMap<u64, Instant> {
        self.stop.store(true, Ordering::Release);
        self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    }
}

/// A mill with a pipeline for each of these kinds, and a sink slow enough for messages to be in flight at any time.
fn mill(kinds: &[Kind]) -> Mill {
    let pipeline = |kind: &Kind| {
        let (name, from) = (kind.pipeline(), kind.from());
        format!("[pipeline.{name}]\nfrom = {from}\npublish = [\"http\"]\nin_flight = 64\n")
    };
    let pipelines: String = kinds.iter().map(pipeline).collect();
    let plugin =
        "[plugin.http]\nconfig = { url = \"$SINK/{topic}\" }\nallow_http = [\"$AUTHORITY\"]\ntimeout = \"5s\"\n";
    let mill = Mill::new().plugins(&["http"]).config(&format!("{pipelines}{plugin}"));
    mill.sink.answer(Answer::Late(Duration::from_millis(30)));
    mill
}

/// How a node is replaced.
#[derive(Clone, Copy)]
enum Change {
    /// The old one is told to end when the new one takes, as `systemctl start` and `stop` do, and Kubernetes.
    After,
    /// The old one is told to end while the new one starts.
    Meanwhile,
}

/// Starts a node and ends `old`, which gives everything back that it does not finish.
#[track_caller]
fn replace(mill: &Mill, mut old: Node, change: Change) -> Node {
    let new = match change {
        Change::After => {
            let new = mill.node();
            old.sigterm();
            new
        }
        Change::Meanwhile => {
            let new = mill.node_unready();
            old.sigterm();
            new.ready()
        }
    };
    assert_eq!(old.exit_code(SOON), 0, "{}", old.log());
    assert!(old.log().contains("nothing was in flight"), "{}", old.log());
    new
}

/// Sends while nodes are replaced; returns what was sent when, and what arrived.
#[track_caller]
fn roll(mill: &Mill, kinds: &[Kind], changes: &[Change]) -> (HashMap<u64, Instant>, Vec<Received>) {
    let mut node = mill.node();
    let producers = Producers::start(kinds, &mill.redis);
    for change in changes {
        let before = mill.sink.count();
        pause(BETWEEN);
        eventually(SOON, "messages flow", || (mill.sink.count() > before).then_some(()));
        node = replace(mill, node, *change);
    }
    pause(BETWEEN);
    let sent = producers.finish();
    eventually(SOON, "all have arrived", || (mill.sink.count() >= sent.len()).then_some(()));
    all_is_settled(&mill.redis);
    assert_eq!(node.terminate(), 0);
    (sent, mill.sink.received())
}

/// Wants each message once; returns the longest that one has waited.
#[track_caller]
fn once_each(sent: &HashMap<u64, Instant>, received: &[Received]) -> Duration {
    let mut arrived: HashMap<u64, usize> = HashMap::new();
    received.iter().for_each(|one| *arrived.entry(number(one)).or_default() += 1);
    let lost: Vec<&u64> = sent.keys().filter(|number| !arrived.contains_key(number)).collect();
    let twice: Vec<_> = arrived.iter().filter(|(_, times)| **times > 1).collect();
    assert!(lost.is_empty() && twice.is_empty(), "of {}: lost {lost:?}, twice {twice:?}", sent.len());
    let waited = received.iter().map(|one| one.at.saturating_duration_since(sent[&number(one)]));
    let longest = waited.max().expect("something was sent");
    eprintln!("{} messages, each once; the longest has waited {longest:?}", sent.len());
    longest
}

#[test]
fn while_one_node_follows_another_each_message_arrives_once_and_soon() {
    let mill = mill(&KINDS);
    let (sent, received) = roll(&mill, &KINDS, &[Change::After; TIMES]);
    let longest = once_each(&sent, &received);
    assert!(longest < LONGEST, "a message has waited {longest:?}");
}

#[test]
fn a_node_that_is_told_to_end_while_the_next_one_starts_loses_nothing_either() {
    let mill = mill(&KINDS);
    let (sent, received) = roll(&mill, &KINDS, &[Change::Meanwhile; TIMES]);
    // As long as the new node starts nobody takes.
    once_each(&sent, &received);
}
