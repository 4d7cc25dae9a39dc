//! What most tests start from: a Redis, a sink, a plugin directory and a config that joins them.

use crate::{
    Node, Redis, Sink, built,
    process::{Finished, fed, finish},
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

/// A whole setup for nodes to run in: on a Redis, or on what else a test puts in its place.
#[derive(Debug)]
pub struct Mill<R = Redis> {
    /// Where the queues are.
    pub redis: R,
    /// Where messages are delivered.
    pub sink: Sink,
    url: String,
    dir: TempDir,
    nodes: AtomicUsize,
    environment: Vec<(String, String)>,
    before: Vec<String>,
}

impl Mill {
    /// With a Redis in memory.
    pub fn new() -> Self {
        Self::on(Redis::start())
    }

    /// With this Redis.
    pub fn on(redis: Redis) -> Self {
        Self::at(redis.url(), redis)
    }
}

impl<R> Mill<R> {
    /// With this address behind `redis =`, and `redis`, such as a `Cluster` or nothing, for the test's own use.
    pub fn at(url: String, redis: R) -> Self {
        let dir = tempfile::Builder::new().prefix("gristmill-test-").tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("plugins")).expect("a fresh directory is empty");
        Self {
            redis,
            sink: Sink::start(),
            url,
            dir,
            nodes: AtomicUsize::new(0),
            environment: Vec::new(),
            before: Vec::new(),
        }
    }

    /// Runs every node and verb from now on with this variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs every node and verb from now on with so many file descriptors at most.
    #[must_use]
    pub fn descriptors(self, most: u64) -> Self {
        self.under(&["sh", "-c", "ulimit -n \"$1\" && shift && exec \"$@\"", "sh", &most.to_string()])
    }

    /// Runs every node and verb from now on through these words, such as `["taskset", "-c", "0"]`: a program that becomes the
    /// one behind its arguments, under the same process id.
    #[must_use]
    pub fn under(mut self, words: &[&str]) -> Self {
        self.before.extend(words.iter().map(|&word| word.to_owned()));
        self
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
        let head = format!("redis = \"{}\"\nplugins_dir = \"plugins\"\ndata_dir = \"data\"\n", self.url);
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

    /// Runs these words and nothing else to their end, with `input` as standard input.
    #[track_caller]
    pub fn feed(&self, words: &[&str], input: &str) -> Finished {
        fed(&mut self.gristmill(words), input.as_bytes(), VERB)
    }

    fn gristmill(&self, words: &[&str]) -> Command {
        let mut command = behind(&self.before, &built::gristmill());
        command.args(words).current_dir(self.dir.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Default for Mill {
    fn default() -> Self {
        Self::new()
    }
}

/// What runs `program` through the words `before` it.
fn behind(before: &[String], program: &Path) -> Command {
    let Some((first, more)) = before.split_first() else {
        return Command::new(program);
    };
    let mut command = Command::new(first);
    command.args(more).arg(program);
    command
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_keeps_its_limit_of_descriptors_its_arguments_and_its_id() {
        let mill = Mill::at(String::new(), ()).descriptors(64).under(&["env", "A=an environment"]);
        let mut command = behind(&mill.before, Path::new("sh"));
        command.args(["-c", "ulimit -n; echo \"$0 $A\"; echo $PPID", "an argument"]);
        let finished = finish(&mut command, VERB);
        let lines: Vec<&str> = finished.stdout.lines().collect();
        assert_eq!((finished.code, lines[0]), (0, "64"), "{}", finished.stderr);
        assert_eq!(lines[1], "an argument an environment");
        assert_eq!(lines[2], std::process::id().to_string(), "it is our own child");
    }

    #[test]
    fn a_config_names_the_address_that_the_mill_is_at() {
        let mill = Mill::at("redis+cluster://127.0.0.1:1".to_owned(), ()).config("data_dir = \"$AUTHORITY\"\n");
        let text = fs::read_to_string(mill.config_file()).unwrap();
        assert!(text.starts_with("redis = \"redis+cluster://127.0.0.1:1\"\n"), "{text}");
        assert!(text.contains(&mill.sink.authority()), "{text}");
    }
}
