//! One sentinel as a process, and what it says of the master it watches.

use crate::{Program, eventually, process::Process, redis::free_port};
use redis::{Client, FromRedisValue, RedisResult};
use std::{collections::HashMap, fs, process::Command, time::Duration};
use tempfile::TempDir;

/// What the sentinels call the master they watch.
pub(super) const MASTER: &str = "mymaster";
const START: Duration = Duration::from_secs(30);
/// How long the master may be silent. A sentinel sends its first ping after a second, or after this if it is less, and
/// would give every new master up before that.
const DOWN_AFTER_MS: u32 = 2000;
/// How long an answer may take: a frozen machine must not look like a sentinel without an opinion.
const ANSWER: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Watcher {
    port: u16,
    _process: Process,
    _dir: TempDir,
}

impl Watcher {
    pub(super) fn start(program: Program, master: u16) -> Self {
        let dir = tempfile::Builder::new().prefix("gristmill-sentinel-").tempdir().expect("a temporary directory");
        let port = free_port();
        let config = dir.path().join("sentinel.conf");
        fs::write(&config, settings(port, master, &dir)).unwrap();
        let mut command = Command::new(program.found().expect("this server has been fetched"));
        command.arg(&config).arg("--sentinel");
        let process = Process::start("sentinel", &mut command, &dir.path().join("log"));
        let watcher = Self { port, _process: process, _dir: dir };
        eventually(START, "a sentinel answers", || watcher.try_ask::<String>(&["PING"]).ok());
        watcher
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The port of the master.
    pub(super) fn master(&self) -> Option<u16> {
        let (_, port): (String, u16) = self.try_ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).ok()?;
        Some(port)
    }

    /// Whether it knows so many other sentinels, and holds the master and the replica at the port `replica` for healthy.
    pub(super) fn knows(&self, others: usize, replica: u16) -> bool {
        let master: HashMap<String, String> = self.try_ask(&["SENTINEL", "MASTER", MASTER]).unwrap_or_default();
        let replicas: Vec<HashMap<String, String>> =
            self.try_ask(&["SENTINEL", "REPLICAS", MASTER]).unwrap_or_default();
        let healthy = |known: &HashMap<String, String>, role| known.get("flags").is_some_and(|flags| flags == role);
        let wanted = replicas.iter().find(|known| known.get("port") == Some(&replica.to_string()));
        master.get("num-other-sentinels") == Some(&others.to_string())
            && healthy(&master, "master")
            && wanted.is_some_and(|replica| healthy(replica, "slave"))
    }

    pub(super) fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let client = Client::open(("127.0.0.1", self.port))?;
        let mut connection = client.get_connection_with_timeout(ANSWER)?;
        connection.set_read_timeout(Some(ANSWER))?;
        redis::cmd(words[0]).arg(&words[1..]).query(&mut connection)
    }
}

fn settings(port: u16, master: u16, dir: &TempDir) -> String {
    format!(
        "port {port}\nbind 127.0.0.1\ndir {dir}\nsentinel monitor {MASTER} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\nsentinel failover-timeout {MASTER} 3000\n\
         sentinel parallel-syncs {MASTER} 1\n",
        dir = dir.path().display()
    )
}
