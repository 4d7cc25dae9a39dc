//! Beside the programs whose place we take: their producers feed us, their workers share the work, and each job is done once.

use crate::{
    jobs::{SOON, all_arrive, arrived},
    kinds::all_is_settled,
};
use gristmill_tests::{
    Answer, Mill, Redis, eventually, peers,
    process::{Process, finish},
};
use std::{collections::BTreeMap, process::Command, time::Duration};

/// How many jobs there are.
const JOBS: u64 = 300;

/// A mill that is so slow that others get their share.
fn mill(from: &str) -> Mill {
    let mill = Mill::on(Redis::on_tcp()).plugins(&["http"]).config(&format!(
        r#"lease = "2s"

[pipeline.work]
from = {from}
publish = ["http"]
in_flight = 4

[plugin.http]
config = {{ url = "$SINK/hook" }}
allow_http = ["$AUTHORITY"]
"#
    ));
    mill.sink.answer(Answer::Late(Duration::from_millis(10)));
    mill
}

/// Starts `script` and waits until it says that it is ready.
#[track_caller]
fn start(mill: &Mill, name: &str, mut command: Command, script: &str) -> Process {
    command.args([script, &mill.redis.port().to_string()]);
    let mut process = Process::start(name, &mut command, &mill.dir().join(format!("{name}.log")));
    eventually(SOON, &format!("{name} is ready"), || {
        assert!(process.ended().is_none_or(|status| status.success()), "{name} fails:\n{}", process.log());
        process.log().contains("ready").then_some(())
    });
    process
}

/// Runs `script` to its end and returns what it prints.
#[track_caller]
fn run(mill: &Mill, mut command: Command, script: &str) -> String {
    let finished = finish(command.args([script, &mill.redis.port().to_string()]), SOON);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    finished.stdout
}

/// Waits for the end of `peer`, and returns the numbers in the lines that begin with `word`.
#[track_caller]
fn numbers(peer: &mut Process, word: &str) -> Vec<u64> {
    assert!(peer.wait(SOON).success(), "{}", peer.log());
    peer.log().lines().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
}

/// Wants each job to be done once by one of `all`, and each of them to have had a share.
#[track_caller]
fn done_once(all: &[Vec<u64>]) {
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    for number in all.iter().flatten() {
        *times.entry(*number).or_default() += 1;
    }
    let others: Vec<_> = (0..JOBS).filter(|number| times.get(number) != Some(&1)).collect();
    assert!(others.is_empty(), "not done once: {others:?}");
    assert_eq!(times.len() as u64, JOBS);
    let shares: Vec<usize> = all.iter().map(Vec::len).collect();
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}

/// What our own node did.
fn ours(mill: &Mill) -> Vec<u64> {
    arrived(&mill.sink).into_iter().flat_map(|(number, times)| vec![number; times]).collect()
}

/// A Python script that uses Thoonk.
fn thoonk() -> Option<Command> {
    let mut python = peers::python("thoonk")?;
    python.arg("-c");
    Some(python)
}

/// What every script for Thoonk begins with.
fn with_thoonk(script: &str) -> String {
    let head = "
import sys, time, json, thoonk
from thoonk.feeds.queue import Empty
t = thoonk.Thoonk(host='127.0.0.1', port=int(sys.argv[1]))";
    format!("{head}\n{script}")
}

const PUT: &str = "
for n in range(300):
    feed.put(json.dumps({'id': n}))";

#[test]
fn thoonk_and_a_node_share_jobs_and_every_result_is_heard() {
    let Some(python) = thoonk() else { return };
    let mill = mill("{ thoonk = \"work\", kind = \"job\", result = true }");
    let mut node = mill.node();
    let listen = "
heard = t.redis.pubsub()
heard.subscribe('job.finish:work')
count = 0
for message in heard.listen():
    if message['type'] == 'subscribe':
        print('ready')
    if message['type'] == 'message':
        id, result = message['data'].split('\\0', 1)
        print('heard', json.loads(result)['id'])
        count += 1
        if count == 300:
            break";
    let mut listener = start(&mill, "listener", python, &with_thoonk(listen));
    let work = "
feed = t.job('work')
print('ready')
while True:
    try:
        id, body, cancelled = feed.get(timeout=3)
    except Empty:
        break
    print('did', json.loads(body)['id'])
    time.sleep(0.005)
    feed.finish(id, body)";
    let mut worker = start(&mill, "worker", thoonk().unwrap(), &with_thoonk(work));
    run(&mill, thoonk().unwrap(), &with_thoonk(&format!("feed = t.job('work'){PUT}")));
    let theirs = numbers(&mut worker, "did");
    all_is_settled(&mill.redis);
    done_once(&[theirs, ours(&mill)]);
    done_once(&[numbers(&mut listener, "heard")]);
    assert_eq!(mill.redis.ask::<u64>(&["GET", "feed.finishes:work"]), JOBS);
    assert_eq!(node.terminate(), 0);
}

#[test]
fn thoonk_and_a_node_share_a_queue() {
    let Some(python) = thoonk() else { return };
    let mill = mill("{ thoonk = \"work\", kind = \"queue\" }");
    let _node = mill.node();
    let work = "
feed = t.queue('work')
print('ready')
while True:
    try:
        body = feed.get(timeout=3)
    except Empty:
        break
    print('did', json.loads(body)['id'])
    time.sleep(0.005)";
    let mut worker = start(&mill, "worker", python, &with_thoonk(work));
    run(&mill, thoonk().unwrap(), &with_thoonk(&format!("feed = t.queue('work'){PUT}")));
    let theirs = numbers(&mut worker, "did");
    all_is_settled(&mill.redis);
    done_once(&[theirs, ours(&mill)]);
}

#[test]
fn a_job_that_a_worker_of_thoonk_cancels_is_done_here() {
    let Some(python) = thoonk() else { return };
    let mill = mill("{ thoonk = \"work\" }");
    let cancel = format!(
        "feed = t.job('work'){PUT}
for n in range(20):
    feed.cancel(feed.get(timeout=3)[0])"
    );
    run(&mill, python, &with_thoonk(&cancel));
    assert_eq!(mill.redis.ask::<u64>(&["HLEN", "feed.cancelled:work"]), 20);
    let _node = mill.node();
    assert_eq!(all_arrive(&mill.sink, 0..JOBS), 0);
    all_is_settled(&mill.redis);
    assert_eq!(mill.redis.ask::<u64>(&["GET", "feed.finishes:work"]), JOBS);
}

#[test]
fn a_job_that_thoonk_retracts_is_gone_whether_it_waits_or_is_in_flight() {
    let Some(python) = thoonk() else { return };
    let mill = mill("{ thoonk = \"work\" }");
    mill.sink.answer(Answer::Late(Duration::from_secs(3)));
    let _node = mill.node();
    run(&mill, python, &with_thoonk("feed = t.job('work')\nfor n in range(8): feed.put(json.dumps({'id': n}))"));
    eventually(SOON, "four are in flight", || (mill.sink.count() == 4).then_some(()));
    let retract = "
feed = t.job('work')
for id, body in t.redis.hgetall('feed.items:work').items():
    if json.loads(body)['id'] in (0, 7):
        feed.retract(id)";
    run(&mill, thoonk().unwrap(), &with_thoonk(retract));
    all_is_settled(&mill.redis);
    let mut numbers: Vec<u64> = arrived(&mill.sink).into_keys().collect();
    numbers.sort_unstable();
    assert_eq!((numbers, mill.sink.count()), ((0..7).collect(), 7), "the last one is never sent");
    assert_eq!(mill.redis.ask::<u64>(&["GET", "feed.finishes:work"]), 6, "the first one is not finished");
}

/// A class for pyres, which node-resque and we are given under the same name.
const PYRES: &str = "
import sys, time
from pyres import ResQ
from pyres.worker import Worker
server = '127.0.0.1:' + sys.argv[1]
class Deliver:
    queue = 'math'
    @staticmethod
    def perform(n):
        print('did', n)
        time.sleep(0.005)";

const NODE_RESQUE: &str = "
const { Queue, Worker } = require('node-resque');
const connection = { pkg: 'ioredis', host: '127.0.0.1', port: Number(process.argv[1]) };
const perform = async n => { console.log('did ' + n); await new Promise(done => setTimeout(done, 5)); };
const jobs = { '__main__.Deliver': { perform } };";

fn pyres() -> Option<Command> {
    let mut python = peers::python("pyres")?;
    python.arg("-c");
    Some(python)
}

fn node_resque() -> Option<Command> {
    let mut node = peers::node()?;
    node.arg("-e");
    Some(node)
}

/// Works until there was nothing to do for three seconds.
fn pyres_works(mill: &Mill, python: Command) -> Process {
    let work = "
worker = Worker(['math'], server)
worker.startup()
print('ready')
job = worker.reserve(3)
while job:
    worker.process(job)
    job = worker.reserve(3)
worker.unregister_worker()";
    start(mill, "pyres", python, &format!("{PYRES}{work}"))
}

/// Works until there was nothing to do for three seconds.
fn node_resque_works(mill: &Mill, node: Command) -> Process {
    let work = "
(async () => {
  const worker = new Worker({ connection, queues: ['math'], timeout: 50 }, jobs);
  let last = Date.now();
  worker.on('success', () => { last = Date.now(); });
  worker.on('failure', (queue, job, error) => { console.error(error); process.exit(1); });
  await worker.connect();
  await worker.start();
  console.log('ready');
  while (Date.now() - last < 3000) await new Promise(done => setTimeout(done, 50));
  await worker.end();
  process.exit(0);
})();";
    start(mill, "node-resque", node, &format!("{NODE_RESQUE}{work}"))
}

#[test]
fn pyres_node_resque_and_a_node_share_a_queue_that_both_fill() {
    let (Some(python), Some(javascript)) = (pyres(), node_resque()) else { return };
    let mill = mill("{ resque = \"math\" }");
    let mut node = mill.node();
    let mut workers = [pyres_works(&mill, python), node_resque_works(&mill, javascript)];
    let enqueue = "\nresq = ResQ(server)\nfor n in range(150): resq.enqueue(Deliver, n)";
    run(&mill, pyres().unwrap(), &format!("{PYRES}{enqueue}"));
    let enqueue = "
(async () => {
  const queue = new Queue({ connection }, jobs);
  await queue.connect();
  for (let n = 150; n < 300; n++) await queue.enqueue('math', '__main__.Deliver', [n]);
  process.exit(0);
})();";
    run(&mill, node_resque().unwrap(), &format!("{NODE_RESQUE}{enqueue}"));
    let [theirs, others] = workers.each_mut().map(|worker| numbers(worker, "did"));
    all_is_settled(&mill.redis);
    done_once(&[theirs, others, ours(&mill)]);
    assert_eq!(node.terminate(), 0);
    assert_eq!(mill.redis.ask::<u64>(&["GET", "resque:stat:processed"]), JOBS);
    assert_eq!(mill.redis.ask::<u64>(&["SCARD", "resque:workers"]), 0, "all have taken their leave");
    assert_eq!(mill.redis.len("resque:failed"), 0);
}
