//! Other programs that use the same queues: the Python and Node libraries whose place Gristmill takes.

use crate::{built, built::fetched};
use std::{path::PathBuf, process::Command};

/// The Python that has the package `name`: `pyres`, or `thoonk` as converted for Python 3.
///
/// Nothing when it has not been fetched: a test that needs it then passes over, saying so.
///
/// # Panics
/// When it has not been fetched where `GRISTMILL_ALL_SERVERS` is set.
pub fn python(name: &str) -> Option<Command> {
    let program = fetched(&peers().join(name).join("bin/python"))?;
    let mut command = Command::new(program);
    // What a script prints is there at once, and a test may end it at any time.
    command.env("PYTHONUNBUFFERED", "1");
    Some(command)
}

/// A Node that finds `node-resque` and `ioredis`; nothing as for `python`.
///
/// # Panics
/// When they have not been fetched where `GRISTMILL_ALL_SERVERS` is set.
pub fn node() -> Option<Command> {
    let modules = fetched(&peers().join("node/node_modules"))?;
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules);
    Some(command)
}

/// A Node that finds `pusher-js`, and the program that is soketi, a server it can talk to; nothing as for `python`.
///
/// # Panics
/// When they have not been fetched where `GRISTMILL_ALL_SERVERS` is set.
pub fn pusher() -> Option<(Command, PathBuf)> {
    let modules = fetched(&peers().join("pusher/node_modules"))?;
    let mut command = Command::new("node");
    command.env("NODE_PATH", &modules);
    Some((command, modules.join("@soketi/soketi/bin/server.js")))
}

/// Whether there is a Node package that is the EventSource of browsers, for a script that finds it itself.
///
/// # Panics
/// When it has not been fetched where `GRISTMILL_ALL_SERVERS` is set.
pub fn has_eventsource() -> bool {
    fetched(&peers().join("eventsource/node_modules")).is_some()
}

fn peers() -> PathBuf {
    built::target_dir().join("peers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Redis, process::finish};
    use std::time::Duration;

    const SOON: Duration = Duration::from_secs(60);

    /// Runs a script with the port of a server of its own, and returns what it prints.
    fn run(command: &mut Command, script: &str) -> (Redis, String) {
        let redis = Redis::on_tcp();
        let finished = finish(command.args([script, &redis.port().to_string()]), SOON);
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        (redis, finished.stdout)
    }

    #[test]
    fn thoonk_takes_and_finishes_a_job() {
        let Some(mut python) = python("thoonk") else { return };
        let script = "
import sys, thoonk
t = thoonk.Thoonk(host='127.0.0.1', port=int(sys.argv[1]))
j = t.job('jobs1')
i = j.put('{\"n\":1}')
id, body, cancelled = j.get(timeout=2)
assert (id, body, cancelled) == (i, '{\"n\":1}', 0), (id, body, cancelled)
j.finish(id, 'done')
assert j.get_ids() == []
print(t.redis.get('feed.finishes:jobs1'))";
        let (redis, printed) = run(python.arg("-c"), script);
        assert_eq!(printed, "1\n");
        assert_eq!(redis.ask::<String>(&["GET", "feed.finishes:jobs1"]), "1");
    }

    #[test]
    fn pyres_enqueues_and_works_a_job() {
        let Some(mut python) = python("pyres") else { return };
        let script = "
import sys, types
from pyres import ResQ
from pyres.worker import Worker
class Add:
    queue = 'math'
    @staticmethod
    def perform(a, b):
        sys.stdout.write('%d\\n' % (a + b))
resq = ResQ('127.0.0.1:' + sys.argv[1])
resq.enqueue(Add, 1, 2)
job = Worker(['math'], 'localhost:' + sys.argv[1]).reserve()
job.perform()";
        let (redis, printed) = run(python.arg("-c"), script);
        assert_eq!(printed, "3\n");
        assert_eq!(redis.len("resque:queue:math"), 0);
        assert!(redis.ask::<bool>(&["SISMEMBER", "resque:queues", "math"]));
    }

    #[test]
    fn node_resque_enqueues_and_works_a_job() {
        let Some(mut node) = node() else { return };
        let script = "
const { Queue, Worker } = require('node-resque');
const connection = { pkg: 'ioredis', host: '127.0.0.1', port: Number(process.argv[1]) };
const jobs = { add: { perform: async (a, b) => a + b } };
(async () => {
  const queue = new Queue({ connection }, jobs);
  await queue.connect();
  await queue.enqueue('math', 'add', [1, 2]);
  const worker = new Worker({ connection, queues: ['math'], timeout: 50 }, jobs);
  const done = new Promise((good, bad) => {
    worker.on('success', (q, job, result) => good(result));
    worker.on('failure', (q, job, error) => bad(error));
  });
  await worker.connect();
  await worker.start();
  console.log(await done);
  await worker.end();
  await queue.end();
  process.exit(0);
})();";
        let (redis, printed) = run(node.arg("-e"), script);
        assert_eq!(printed, "3\n");
        assert_eq!(redis.ask::<String>(&["GET", "resque:stat:processed"]), "1");
    }
}
