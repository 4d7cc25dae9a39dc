//! A `redis-server` of its own for each test: on a unix socket in a temporary directory, gone with the test.

use crate::{eventually::eventually, process::Process};
use redis::{Commands, Connection, FromRedisValue, ToRedisArgs};
use rustix::process::Signal;
use std::{net::TcpListener, path::PathBuf, process::Command, time::Duration};
use tempfile::TempDir;

const START: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Redis {
    dir: TempDir,
    port: Option<u16>,
    durable: bool,
    extra: Vec<String>,
    starts: u32,
    server: Option<Process>,
}

impl Redis {
    /// A server that keeps everything in memory.
    pub fn start() -> Self {
        Self::with(None, false, &[])
    }

    /// A server whose answered writes outlive `kill9` and `stop`: an append-only file, synced at every write.
    pub fn durable() -> Self {
        Self::with(None, true, &[])
    }

    /// A server that listens on a loopback TCP port too.
    pub fn on_tcp() -> Self {
        Self::with(Some(free_port()), false, &[])
    }

    /// A server with further arguments, such as `["--maxmemory", "4mb"]`.
    pub fn with_args(arguments: &[&str]) -> Self {
        Self::with(None, false, arguments)
    }

    fn with(port: Option<u16>, durable: bool, extra: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("gristmill-redis-").tempdir().expect("a temporary directory");
        let extra = extra.iter().map(|&argument| argument.to_owned()).collect();
        let mut redis = Self { dir, port, durable, extra, starts: 0, server: None };
        redis.restart();
        redis
    }

    /// What goes behind `redis =` in a config: `unix:///…`.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The same server over TCP.
    ///
    /// # Panics
    /// When it was not started with `on_tcp`.
    pub fn tcp_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port.expect("started with `on_tcp`"))
    }

    /// A connection of the caller's own.
    ///
    /// # Panics
    /// When the server is down.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        self.try_connect().unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.url()))
    }

    /// The process id of the server.
    ///
    /// # Panics
    /// When it is down.
    pub fn id(&self) -> u32 {
        self.server.as_ref().expect("the server is up").id()
    }

    /// Ends the server as a power cut would, if it is up.
    pub fn kill9(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill9();
        }
    }

    /// Ends the server in peace, if it is up.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(Signal::TERM);
            server.wait(START);
        }
    }

    /// Starts the server again on the same socket, port and data.
    ///
    /// # Panics
    /// When it does not come up, or is up already.
    pub fn restart(&mut self) {
        assert!(self.server.is_none(), "the server is up already");
        self.starts += 1;
        let log = self.dir.path().join(format!("redis-{}.log", self.starts));
        self.server = Some(Process::start("redis-server", &mut self.command(), &log));
        eventually(START, "redis-server answers", || {
            let server = self.server.as_mut()?;
            assert!(server.ended().is_none(), "redis-server ended at once:\n{}", server.tail());
            let mut connection = self.try_connect().ok()?;
            redis::cmd("PING").query::<String>(&mut connection).ok()
        });
    }

    /// Freezes the server, so that it accepts connections and says nothing.
    pub fn sigstop(&self) {
        self.server.as_ref().expect("the server is up").signal(Signal::STOP);
    }

    /// Ends the freeze.
    pub fn sigcont(&self) {
        self.server.as_ref().expect("the server is up").signal(Signal::CONT);
    }

    /// `RPUSH`es every payload onto `list`, a thousand in one round trip.
    pub fn push<T: ToRedisArgs>(&self, list: &str, payloads: impl IntoIterator<Item = T>) {
        let mut connection = self.connect();
        let payloads: Vec<T> = payloads.into_iter().collect();
        for some in payloads.chunks(1000) {
            redis::cmd("RPUSH").arg(list).arg(some).exec(&mut connection).unwrap();
        }
    }

    /// The length of `list`, 0 when it does not exist.
    pub fn len(&self, list: &str) -> usize {
        self.connect().llen(list).unwrap()
    }

    /// All keys that match `pattern`, sorted.
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let mut keys: Vec<String> = self.connect().keys(pattern).unwrap();
        keys.sort();
        keys
    }

    /// One command, written as its words.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let (name, arguments) = words.split_first().expect("a command has a name");
        redis::cmd(name).arg(arguments).query(&mut self.connect()).unwrap()
    }

    fn try_connect(&self) -> redis::RedisResult<Connection> {
        redis::Client::open(self.url())?.get_connection()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    fn command(&self) -> Command {
        let mut command = Command::new("redis-server");
        command.arg("--port").arg(self.port.unwrap_or(0).to_string()).args(["--bind", "127.0.0.1"]);
        command.arg("--unixsocket").arg(self.socket()).arg("--dir").arg(self.dir.path());
        command.args(["--save", "", "--daemonize", "no"]);
        if self.durable {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        command.args(&self.extra);
        command
    }
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_durable_server_keeps_its_lists_over_a_kill() {
        let mut redis = Redis::durable();
        redis.push("jobs", (0..2500).map(|n| n.to_string()));
        redis.kill9();
        assert!(redis.try_connect().is_err());
        redis.restart();
        assert_eq!(redis.len("jobs"), 2500);
        assert_eq!(redis.ask::<String>(&["LINDEX", "jobs", "-1"]), "2499");
    }

    #[test]
    fn a_server_in_memory_forgets_over_a_stop() {
        let mut redis = Redis::start();
        redis.push("jobs", ["one"]);
        assert_eq!(redis.keys("*"), ["jobs"]);
        redis.stop();
        redis.restart();
        assert_eq!(redis.len("jobs"), 0);
    }

    #[test]
    fn a_server_on_tcp_is_the_same_one() {
        let redis = Redis::on_tcp();
        redis.push("jobs", ["one"]);
        let mut tcp = redis::Client::open(redis.tcp_url()).unwrap().get_connection().unwrap();
        assert_eq!(tcp.lpop::<_, String>("jobs", None).unwrap(), "one");
    }

    #[test]
    fn two_servers_share_nothing() {
        let (one, other) = (Redis::start(), Redis::start());
        one.push("jobs", ["one"]);
        assert_eq!(other.len("jobs"), 0);
    }
}
