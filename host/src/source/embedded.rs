//! A private Redis or Valkey server that lives and ends with the node.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::{
    fs::File,
    io,
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A server that did not come up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such program.
    #[error(
        "`redis = \"embedded\"` needs `redis-server` or `valkey-server` on the PATH; on Debian or Ubuntu: apt-get install redis-server"
    )]
    Missing,
    /// Its directory cannot be used.
    #[error("cannot use `{dir}` for the embedded server's data")]
    Directory {
        /// Where.
        dir: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Another node has its server there.
    #[error("`{0}` is in use by another node; give each node with `redis = \"embedded\"` a `data_dir` of its own")]
    InUse(PathBuf),
    /// The path of its socket is too long for the operating system.
    #[error("the path `{0}` is too long for a unix socket (107 bytes at most); choose a shorter `data_dir`")]
    TooLong(PathBuf),
    /// It could not be started.
    #[error("cannot start `{program}`")]
    Start {
        /// Which.
        program: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It ended, or did not answer in time.
    #[error("the embedded server did not come up; its log is `{log}`")]
    Silent {
        /// Where it says why.
        log: PathBuf,
    },
}

/// The running server; it is stopped when this is dropped.
#[derive(Debug)]
pub struct Embedded {
    /// Absent for a server that a killed node left behind.
    child: Option<Child>,
    pid: Option<Pid>,
    socket: PathBuf,
    /// On loopback, for the programs that push.
    pub port: u16,
    /// Held as long as this node uses the directory.
    _lock: File,
}

/// For loading the data of the last run.
const PATIENCE: Duration = Duration::from_secs(60);
/// For writing what is in memory; everything acknowledged is in the append-only file already.
const FAREWELL: Duration = Duration::from_secs(10);

impl Embedded {
    /// Starts a server with its data in `dir`, listening at a socket there and at `port` on loopback, 0 for any.
    pub async fn start(dir: &Path, port: u16) -> Result<Self, Error> {
        let directory = |cause| Error::Directory { dir: dir.to_owned(), cause };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(directory)?;
        let dir = dir.canonicalize().map_err(directory)?;
        let socket = dir.join("redis.sock");
        if socket.as_os_str().len() > 107 {
            return Err(Error::TooLong(socket));
        }
        let lock = File::create(dir.join("lock")).map_err(directory)?;
        lock.try_lock().map_err(|_| Error::InUse(dir.clone()))?;
        if let Some((pid, port)) = left_behind(&socket_url(&socket)).await {
            return Ok(Self { child: None, pid, socket, port, _lock: lock });
        }
        let port = if port == 0 { free_port().map_err(directory)? } else { port };
        let log = dir.join("server.log");
        let child = spawn(&arguments(&dir, &socket, port, &log))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let mut embedded = Self { child: Some(child), pid, socket, port, _lock: lock };
        if embedded.answers().await { Ok(embedded) } else { Err(Error::Silent { log }) }
    }

    /// Where the node reaches it.
    pub fn url(&self) -> String {
        socket_url(&self.socket)
    }

    async fn answers(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < PATIENCE && !self.has_ended() {
            if pings(&self.url()).await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    fn has_ended(&mut self) -> bool {
        match (&mut self.child, self.pid) {
            (Some(child), _) => !matches!(child.try_wait(), Ok(None)),
            (None, Some(pid)) => test_kill_process(pid).is_err(),
            (None, None) => true,
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let asked = Instant::now();
        let mut signalled = self.pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        while signalled && !self.has_ended() {
            std::thread::park_timeout(Duration::from_millis(5));
            if asked.elapsed() > FAREWELL {
                signalled = false;
            }
        }
        if !self.has_ended()
            && let Some(Err(error)) = self.pid.map(|pid| kill_process(pid, Signal::KILL))
        {
            tracing::warn!(%error, "the embedded server could not be stopped");
        }
    }
}

/// Where the server with its data in `dir` is reached, whether it has been started there before or not.
pub fn url(dir: &Path) -> String {
    let whole = dir.canonicalize().or_else(|_| std::path::absolute(dir));
    socket_url(&whole.unwrap_or_else(|_| dir.to_owned()).join("redis.sock"))
}

fn socket_url(socket: &Path) -> String {
    format!("unix://{}", socket.display())
}

/// The server that a killed node left running: its process and its port.
async fn left_behind(url: &str) -> Option<(Option<Pid>, u16)> {
    let mut connection = redis::Client::open(url).ok()?.get_multiplexed_async_connection().await.ok()?;
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await.ok()?;
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let pid = field("process_id:")?.parse().ok().and_then(Pid::from_raw);
    Some((pid, field("tcp_port:")?.parse().ok()?))
}

async fn pings(url: &str) -> bool {
    let Ok(client) = redis::Client::open(url) else { return false };
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return false };
    redis::cmd("PING").exec_async(&mut connection).await.is_ok()
}

fn arguments(dir: &Path, socket: &Path, port: u16, log: &Path) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    let pairs: [(&str, String); 11] = [
        ("--dir", path(dir)),
        ("--unixsocket", path(socket)),
        ("--unixsocketperm", "700".into()),
        ("--bind", "127.0.0.1".into()),
        ("--port", port.to_string()),
        ("--logfile", path(log)),
        ("--appendonly", "yes".into()),
        ("--appendfsync", "everysec".into()),
        ("--save", String::new()),
        ("--maxmemory-policy", "noeviction".into()),
        ("--daemonize", "no".into()),
    ];
    pairs.into_iter().flat_map(|(key, value)| [key.to_owned(), value]).collect()
}

/// The program that `start` would run.
pub fn program() -> Result<&'static str, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |program: &&str| std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    PROGRAMS.into_iter().find(there).ok_or(Error::Missing)
}

const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// Its own process group, so that a Ctrl-C meant for the node does not end the server before the node has drained.
fn spawn(arguments: &[String]) -> Result<Child, Error> {
    let program = program()?;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|cause| Error::Start { program, cause })
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_directory_that_does_not_exist_yet_has_a_whole_address() {
        let url = url(Path::new("not-there-yet/redis"));
        assert!(url.starts_with("unix:///") && url.ends_with("/not-there-yet/redis/redis.sock"), "{url}");
    }
}
