//! Pusher's protocol from both ends: soketi as the server, and `pusher-js` as the listener.

use crate::{eventually::eventually, peers, process::Process, redis::free_port};
use serde_json::Value;
use std::{path::Path, process::Command, time::Duration};
use tempfile::TempDir;

/// What both start up within on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// Its application.
pub const APP: &str = "3";
/// The key of that.
pub const KEY: &str = "app-key";
/// The secret of that.
pub const SECRET: &str = "app-secret";

/// A soketi at a port of its own; killed when dropped.
#[derive(Debug)]
pub struct Soketi {
    port: u16,
    dir: TempDir,
    process: Option<Process>,
}

/// A `pusher-js` that listens; killed when dropped.
#[derive(Debug)]
pub struct Listener {
    process: Process,
    _dir: TempDir,
}

/// What a listener was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// The channel.
    pub channel: String,
    /// The name of the event.
    pub event: String,
    /// What the client made of the data: parsed if it was JSON, else the text.
    pub data: Value,
}

impl Soketi {
    /// A server with one application; nothing where it has not been fetched.
    ///
    /// # Panics
    /// When it has not been fetched where `GRISTMILL_ALL_SERVERS` is set, or does not come up.
    #[track_caller]
    pub fn start() -> Option<Self> {
        peers::pusher()?;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut soketi = Self { port: free_port(), dir, process: None };
        soketi.restart();
        Some(soketi)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.authority())
    }

    /// `127.0.0.1:PORT`, as a grant names it.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it as a power cut would.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it at the same port, and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn restart(&mut self) {
        let (mut command, program) = peers::pusher().expect("it has been fetched");
        command.arg(program).arg("start");
        command.env("SOKETI_HOST", "127.0.0.1").env("SOKETI_PORT", self.port.to_string());
        command.env("SOKETI_METRICS_SERVER_PORT", free_port().to_string());
        command.env("SOKETI_DEFAULT_APP_ID", APP).env("SOKETI_DEFAULT_APP_KEY", KEY);
        command.env("SOKETI_DEFAULT_APP_SECRET", SECRET);
        let process = self.process.insert(Process::start("soketi", &mut command, &self.dir.path().join("soketi.log")));
        eventually(SOON, "soketi listens", || {
            assert!(process.ended().is_none(), "soketi ended:\n{}", process.log());
            process.log().contains("up and running").then_some(())
        });
    }

    /// A client that hears everything on these channels, and says so when it has joined them all.
    ///
    /// # Panics
    /// When it does not get so far.
    #[track_caller]
    pub fn listen(&self, channels: &[&str]) -> Listener {
        let (command, _) = peers::pusher().expect("it has been fetched");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut listener = Listener { process: listener(command, self.port, channels, dir.path()), _dir: dir };
        eventually(SOON, "the listener has joined", || {
            assert!(listener.process.ended().is_none(), "the listener ended:\n{}", listener.process.log());
            (listener.joined() >= channels.len()).then_some(())
        });
        listener
    }
}

impl Listener {
    /// How often it has joined a channel: again, when it had to connect again.
    pub fn joined(&self) -> usize {
        self.process.log().lines().filter(|line| line.starts_with("joined ")).count()
    }

    /// The name of its connection.
    ///
    /// # Panics
    /// When it has none yet.
    pub fn socket_id(&self) -> String {
        let log = self.process.log();
        log.lines().find_map(|line| line.strip_prefix("connected ")).expect("it has connected").to_owned()
    }

    /// All that it has heard so far.
    pub fn heard(&self) -> Vec<Heard> {
        let log = self.process.log();
        let texts = log.lines().filter_map(|line| line.strip_prefix("heard "));
        texts.filter_map(|text| serde_json::from_str::<(String, String, Value)>(text).ok()).map(Heard::from).collect()
    }

    /// Waits until it has heard `count`, and returns all.
    ///
    /// # Panics
    /// When it does not within a minute.
    #[track_caller]
    pub fn hears(&self, count: usize) -> Vec<Heard> {
        eventually(SOON, &format!("the listener hears {count}"), || {
            let heard = self.heard();
            (heard.len() >= count).then_some(heard)
        })
    }
}

impl From<(String, String, Value)> for Heard {
    fn from((channel, event, data): (String, String, Value)) -> Self {
        Self { channel, event, data }
    }
}

fn listener(mut command: Command, port: u16, channels: &[&str], dir: &Path) -> Process {
    command.args(["-e", LISTENER, &port.to_string(), KEY]).args(channels);
    // Channels that need a right to join get it here, as an application's own server would give it.
    command.env("SECRET", SECRET);
    Process::start("listener", &mut command, &dir.join("listener.log"))
}

const LISTENER: &str = "
const { createHmac } = require('crypto');
const Pusher = require('pusher-js');
const [port, key, ...channels] = process.argv.slice(1);
const authorizer = channel => ({ authorize: (id, done) => {
  const extra = channel.name.startsWith('presence-') ? JSON.stringify({ user_id: id }) : undefined;
  const text = [id, channel.name].concat(extra === undefined ? [] : [extra]).join(':');
  const auth = key + ':' + createHmac('sha256', process.env.SECRET).update(text).digest('hex');
  done(null, extra === undefined ? { auth } : { auth, channel_data: extra });
} });
const pusher = new Pusher(key, {
  wsHost: '127.0.0.1', wsPort: Number(port), forceTLS: false, cluster: 'none', enabledTransports: ['ws'], authorizer,
});
pusher.connection.bind('connected', () => console.log('connected ' + pusher.connection.socket_id));
pusher.connection.bind('error', error => console.log('error ' + JSON.stringify(error)));
for (const name of channels) {
  const channel = pusher.subscribe(name);
  channel.bind('pusher:subscription_succeeded', () => console.log('joined ' + name));
  channel.bind_global((event, data) => {
    if (!event.startsWith('pusher:')) console.log('heard ' + JSON.stringify([name, event, data === undefined ? null : data]));
  });
}";
