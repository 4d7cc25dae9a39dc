//! What most tests start from: a Redis, a sink, a plugin directory and a config that joins them.

use crate::{
    Node, Redis, Sink, built,
    process::{Finished, finish},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tempfile::TempDir;

const VERB: Duration = Duration::from_secs(60);

/// A whole setup for nodes to run in.
#[derive(Debug)]
pub struct Mill {
    /// Where the queues are.
    pub redis: Redis,
    /// Where messages are delivered.
    pub sink: Sink,
    dir: TempDir,
    nodes: AtomicUsize,
}

impl Mill {
    /// With a Redis in memory.
    pub fn new() -> Self {
        Self::on(Redis::start())
    }

    /// With this Redis.
    pub fn on(redis: Redis) -> Self {
        let dir = tempfile::Builder::new().prefix("gristmill-test-").tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("plugins")).expect("a fresh directory is empty");
        Self { redis, sink: Sink::start(), dir, nodes: AtomicUsize::new(0) }
    }

    /// Puts these first-party plugins into the plugin directory.
    #[must_use]
    pub fn plugins(self, names: &[&str]) -> Self {
        for name in names {
            replace_file(&self.plugin_file(name), &fs::read(built::plugin(name)).unwrap());
        }
        self
    }

    /// Puts these guests into the plugin directory.
    #[must_use]
    pub fn guests(self, names: &[&str]) -> Self {
        for name in names {
            replace_file(&self.plugin_file(name), &guest_bytes(name));
        }
        self
    }

    /// Writes the config: where Redis and the plugins are, then `rest`, in which `$SINK` and `$AUTHORITY` stand for the sink's.
    ///
    /// Top-level keys in `rest` come before its first table.
    #[must_use]
    pub fn config(self, rest: &str) -> Self {
        self.write_config(rest);
        self
    }

    /// As `config`, for a mill that is in use.
    pub fn write_config(&self, rest: &str) {
        let rest = rest.replace("$SINK", &self.sink.url()).replace("$AUTHORITY", &self.sink.authority());
        let head = format!("redis = \"{}\"\nplugins_dir = \"plugins\"\ndata_dir = \"data\"\n", self.redis.url());
        self.write_raw_config(&format!("{head}{rest}"));
    }

    /// Writes `text` as the whole config, through a rename.
    pub fn write_raw_config(&self, text: &str) {
        replace_file(&self.config_file(), text.as_bytes());
    }

    /// The directory that everything of this mill lies in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The path of the config.
    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("gristmill.toml")
    }

    /// The path of the plugin `name`, whether it is there or not.
    pub fn plugin_file(&self, name: &str) -> PathBuf {
        self.dir.path().join("plugins").join(format!("{name}.wasm"))
    }

    /// Starts a node and waits until it takes messages.
    #[track_caller]
    pub fn node(&self) -> Node {
        self.node_unready().ready()
    }

    /// Starts a node and waits for nothing.
    pub fn node_unready(&self) -> Node {
        let number = self.nodes.fetch_add(1, Ordering::Relaxed) + 1;
        let log = self.dir.path().join(format!("node-{number}.log"));
        Node::start(&format!("node {number}"), self.gristmill(&["run"]).arg("--config").arg(self.config_file()), &log)
    }

    /// Runs the verb with this mill's config to its end.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Finished {
        finish(self.gristmill(words).arg("--config").arg(self.config_file()), VERB)
    }

    /// Runs these words and nothing else to their end.
    #[track_caller]
    pub fn run_bare(&self, words: &[&str]) -> Finished {
        finish(&mut self.gristmill(words), VERB)
    }

    fn gristmill(&self, words: &[&str]) -> Command {
        let mut command = Command::new(built::gristmill());
        command.args(words).current_dir(self.dir.path());
        command
    }
}

impl Default for Mill {
    fn default() -> Self {
        Self::new()
    }
}

/// The bytes of the guest `name`.
pub fn guest_bytes(name: &str) -> Vec<u8> {
    fs::read(built::guest(name)).unwrap()
}

/// Puts `bytes` at `path` as careful programs do: written beside it, then renamed over it.
pub fn replace_file(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    fs::write(&beside, bytes).unwrap();
    fs::rename(&beside, path).unwrap();
}
