//! A master, a replica and three sentinels that watch them and give the master up after two seconds of silence.

mod watcher;

use crate::{Program, Redis, eventually};
use std::time::Duration;
use watcher::Watcher;

const SOON: Duration = Duration::from_secs(60);
const WATCHERS: usize = 3;

/// The servers and the sentinels; all killed when dropped.
#[derive(Debug)]
pub struct Sentinels {
    servers: Vec<Redis>,
    watchers: Vec<Watcher>,
}

impl Sentinels {
    /// Two servers of the default program, which keep what they have answered over a kill.
    pub fn start() -> Self {
        Self::of_program(Program::default())
    }

    /// Servers and sentinels of this program.
    pub fn of_program(program: Program) -> Self {
        let master = server(program, &[]);
        let port = master.port();
        let replica = server(program, &["--replicaof", "127.0.0.1", &port.to_string()]);
        eventually(SOON, "the replica follows", || follows(&replica, port).then_some(()));
        let watchers = (0..WATCHERS).map(|_| Watcher::start(program, port)).collect();
        let sentinels = Self { servers: vec![master, replica], watchers };
        sentinels.wait_whole();
        sentinels
    }

    /// `redis+sentinel://127.0.0.1:PORT,…/mymaster`, naming every sentinel.
    pub fn url(&self) -> String {
        let addresses: Vec<String> =
            self.watchers.iter().map(|watcher| format!("127.0.0.1:{}", watcher.port())).collect();
        format!("redis+sentinel://{}/{}", addresses.join(","), watcher::MASTER)
    }

    /// The server that the sentinels name as master, whether it is up or not.
    #[track_caller]
    pub fn master(&self) -> &Redis {
        &self.servers[self.master_number()]
    }

    /// The other server.
    #[track_caller]
    pub fn replica(&self) -> &Redis {
        &self.servers[1 - self.master_number()]
    }

    /// Makes the replica master, and waits until every sentinel and that server have taken it in.
    ///
    /// The old master takes writes for some ten seconds more, which it then throws away: `wait_whole` waits for that.
    #[track_caller]
    pub fn failover(&self) {
        let before = self.master().port();
        // Refused while the last failover is not over, and until the sentinels know the replica well.
        eventually(SOON, "the sentinels begin a failover", || {
            self.watchers[0].try_ask::<String>(&["SENTINEL", "FAILOVER", watcher::MASTER]).ok()
        });
        self.wait_other(before);
    }

    /// Ends the master as a power cut would; see `wait_other`.
    #[track_caller]
    pub fn kill_master(&mut self) {
        let number = self.master_number();
        self.servers[number].kill9();
    }

    /// Freezes the master and returns it, to be thawed when another has long taken its place.
    #[track_caller]
    pub fn freeze_master(&self) -> &Redis {
        let master = self.master();
        master.sigstop();
        master
    }

    /// Ends every freeze.
    pub fn thaw(&self) {
        for server in self.servers.iter().filter(|server| server.is_up()) {
            server.sigcont();
        }
    }

    /// Starts every server again that was killed; the sentinels then make it a replica, which takes them some ten seconds.
    pub fn restart_killed(&mut self) {
        for server in self.servers.iter_mut().filter(|server| !server.is_up()) {
            server.restart();
        }
    }

    /// Waits until every sentinel names another master than the one at the port `before`, and that one says it is master.
    ///
    /// # Panics
    /// When they do not within a minute.
    #[track_caller]
    pub fn wait_other(&self, before: u16) {
        eventually(SOON, "the sentinels agree on another master", || {
            let master = self.agreed().filter(|&port| port != before)?;
            let server = self.servers.iter().find(|server| server.port() == master)?;
            replication(server).contains("role:master").then_some(())
        });
    }

    /// Waits until the sentinels know each other and a healthy replica that follows the master.
    ///
    /// # Panics
    /// When they do not within a minute.
    #[track_caller]
    pub fn wait_whole(&self) {
        eventually(SOON, "sentinels, master and replica are joined", || {
            let master = self.agreed()?;
            let replica = self.servers.iter().find(|server| server.port() != master)?;
            let known = self.watchers.iter().all(|watcher| watcher.knows(WATCHERS - 1, replica.port()));
            (known && follows(replica, master)).then_some(())
        });
    }

    #[track_caller]
    fn master_number(&self) -> usize {
        let port = eventually(SOON, "the sentinels agree on a master", || self.agreed());
        self.servers.iter().position(|server| server.port() == port).expect("the master is one of ours")
    }

    /// The port of the master, if all sentinels name the same.
    fn agreed(&self) -> Option<u16> {
        let mut ports = self.watchers.iter().map(Watcher::master);
        let first = ports.next()??;
        ports.all(|port| port == Some(first)).then_some(first)
    }
}

fn server(program: Program, more: &[&str]) -> Redis {
    let quick = ["--repl-diskless-sync-delay", "0", "--repl-timeout", "5", "--repl-ping-replica-period", "1"];
    Redis::setup().program(program).tcp().durable().args(&quick).args(more).start()
}

fn replication(server: &Redis) -> String {
    server.ask(&["INFO", "replication"])
}

/// Whether this is a replica to which the master at `port` sends what is written.
fn follows(server: &Redis, port: u16) -> bool {
    let told = replication(server);
    told.contains(&format!("master_port:{port}\r\n")) && told.contains("master_link_status:up")
}

#[cfg(test)]
mod tests;
