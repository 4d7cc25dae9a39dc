//! A `redis-server` of its own for each test: on a unix socket in a temporary directory, gone with the test.

mod certificates;
mod port;
mod program;
mod proxied;
mod setup;

use crate::{eventually::eventually, process::Process};
pub use certificates::Certificates;
pub use port::free_port;
pub use program::Program;
pub use proxied::Proxied;
use redis::{Client, Commands, Connection, ConnectionAddr, FromRedisValue, IntoConnectionInfo, ToRedisArgs};
use rustix::process::Signal;
pub use setup::Setup;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

const START: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Redis {
    dir: TempDir,
    setup: Setup,
    certificates: Option<Certificates>,
    starts: u32,
    server: Option<Process>,
}

impl Redis {
    /// A server that keeps everything in memory.
    pub fn start() -> Self {
        Self::setup().start()
    }

    /// A server whose answered writes outlive `kill9` and `stop`: an append-only file, synced at every write.
    pub fn durable() -> Self {
        Self::setup().durable().start()
    }

    /// A server that listens on a loopback TCP port too.
    pub fn on_tcp() -> Self {
        Self::setup().tcp().start()
    }

    /// A server with further arguments, such as `["--maxmemory", "4mb"]`.
    pub fn with_args(arguments: &[&str]) -> Self {
        Self::setup().args(arguments).start()
    }

    /// A server that is told more before it starts.
    pub fn setup() -> Setup {
        Setup::default()
    }

    /// This server behind a proxy that can do it harm.
    pub fn proxied(self) -> Proxied {
        Proxied::new(self)
    }

    fn run(setup: Setup) -> Self {
        let dir = tempfile::Builder::new().prefix("gristmill-redis-").tempdir().expect("a temporary directory");
        let certificates = setup.tls.map(|_| setup.certify(&dir.path().join("tls")));
        let mut redis = Self { dir, setup, certificates, starts: 0, server: None };
        redis.restart();
        redis
    }

    /// What goes behind `redis =` in a config: `unix:///…`, with the password.
    pub fn url(&self) -> String {
        let password = self.setup.password.as_deref().map(|password| format!("?pass={}", encoded(password)));
        format!("unix://{}{}", self.socket().display(), password.unwrap_or_default())
    }

    /// The same server over TCP, with the password.
    ///
    /// # Panics
    /// When it does not listen there.
    pub fn tcp_url(&self) -> String {
        let password = self.setup.password.as_deref().map(|password| format!(":{}@", encoded(password)));
        format!("redis://{}127.0.0.1:{}", password.unwrap_or_default(), self.port())
    }

    /// The same server over TCP for this user.
    ///
    /// # Panics
    /// When it does not listen there.
    pub fn tcp_url_of(&self, user: &str, password: &str) -> String {
        format!("redis://{}:{}@127.0.0.1:{}", encoded(user), encoded(password), self.port())
    }

    /// The same server over TLS, with the password.
    ///
    /// # Panics
    /// When it does not speak TLS.
    pub fn tls_url(&self) -> String {
        let password = self.setup.password.as_deref().map(|password| format!(":{}@", encoded(password)));
        format!("rediss://{}127.0.0.1:{}", password.unwrap_or_default(), self.tls_port())
    }

    /// The port for plain TCP.
    ///
    /// # Panics
    /// When it does not listen there.
    pub fn port(&self) -> u16 {
        self.setup.tcp.expect("set up with `tcp`")
    }

    /// The port for TLS.
    ///
    /// # Panics
    /// When it does not speak TLS.
    pub fn tls_port(&self) -> u16 {
        self.setup.tls.expect("set up with `tls`").0
    }

    /// Whom its clients trust, and what they show.
    ///
    /// # Panics
    /// When it does not speak TLS.
    pub fn certificates(&self) -> &Certificates {
        self.certificates.as_ref().expect("set up with `tls`")
    }

    /// Whether it is up, as far as we have ended it ourselves.
    pub fn is_up(&self) -> bool {
        self.server.is_some()
    }

    /// Everything that it has logged since it was started last.
    ///
    /// # Panics
    /// When it is down.
    pub fn log(&self) -> String {
        self.server.as_ref().expect("the server is up").log()
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
        let mut command = self.setup.command(self.dir.path(), &self.socket(), self.certificates.as_ref());
        self.server = Some(Process::start("redis-server", &mut command, &log));
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

    /// The unix socket at which it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// Where it keeps what it keeps.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn try_connect(&self) -> redis::RedisResult<Connection> {
        let mut settings = redis::RedisConnectionInfo::default();
        if let Some(password) = &self.setup.password {
            settings = settings.set_password(password);
        }
        let address = ConnectionAddr::Unix(self.socket()).into_connection_info()?;
        Client::open(address.set_redis_settings(settings))?.get_connection()
    }
}

/// `text` as it stands in an address, with everything but letters and digits as `%` and two hexadecimal digits.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests;
