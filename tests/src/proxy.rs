//! A TCP proxy that does to a connection what networks do: delays, cuts, corrupts and swallows, as the test tells it.

mod faults;
mod line;
mod serve;

use crate::{background::Background, eventually};
use faults::Faults;
pub use faults::{Ending, Fault};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// How long a switch may take to be in force.
const SWITCH: Duration = Duration::from_secs(10);

/// The proxy; gone with all of its connections when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _background: Background,
}

/// The server behind a proxy.
#[derive(Clone, Debug)]
pub enum Target {
    /// At this address.
    Tcp(SocketAddr),
    /// At this unix socket.
    Unix(PathBuf),
}

#[derive(Debug)]
struct Shared {
    target: Target,
    faults: watch::Sender<Faults>,
    open: Mutex<Open>,
    listening: AtomicBool,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

/// The connections, numbered from 0 in the order in which they came.
#[derive(Debug, Default)]
struct Open {
    next: u64,
    numbers: BTreeSet<u64>,
}

impl Proxy {
    /// A proxy at a free loopback port before the server at `target`, which need not be up.
    pub fn to(target: impl Into<Target>) -> Self {
        let shared = Arc::new(Shared {
            target: target.into(),
            faults: watch::Sender::new(Faults::default()),
            open: Mutex::default(),
            listening: AtomicBool::new(true),
            to_server: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
        });
        let runtime = Background::runtime();
        let entrance = serve::Entrance::open(&runtime);
        let address = entrance.address();
        let name = format!("proxy {}", address.port());
        let background = Background::start(&name, runtime, serve::accept(entrance, Arc::clone(&shared)));
        Self { address, shared, _background: background }
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `fault` holds, beside those of other kinds.
    pub fn set(&self, fault: Fault) {
        self.shared.faults.send_modify(|faults| faults.set(fault));
        self.await_entrance();
    }

    /// From now on everything passes again; what was held back arrives late.
    pub fn clear(&self) {
        self.shared.faults.send_modify(Faults::clear);
        self.await_entrance();
    }

    /// Ends every connection, for the client with RST; when this returns they are gone.
    ///
    /// # Panics
    /// When one of them is not gone after ten seconds.
    #[track_caller]
    pub fn kill_all(&self) {
        let before = self.shared.open().next;
        self.shared.faults.send_modify(Faults::kill);
        eventually(SWITCH, "all connections through the proxy are gone", || {
            self.shared.open().numbers.range(..before).next().is_none().then_some(())
        });
    }

    /// How many connections it has accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.open().next
    }

    /// How many connections are open now.
    pub fn open(&self) -> usize {
        self.shared.open().numbers.len()
    }

    /// How many bytes it has given to the server so far.
    pub fn bytes_to_server(&self) -> u64 {
        self.shared.to_server.load(Ordering::Relaxed)
    }

    /// How many bytes it has given to clients so far.
    pub fn bytes_to_client(&self) -> u64 {
        self.shared.to_client.load(Ordering::Relaxed)
    }

    /// Waits until the proxy refuses, or no longer does, as its faults have it.
    #[track_caller]
    fn await_entrance(&self) {
        let wanted = !self.shared.faults.borrow().refuses();
        eventually(SWITCH, "the proxy opens or closes its port", || {
            (self.shared.listening.load(Ordering::Acquire) == wanted).then_some(())
        });
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<&Path> for Target {
    fn from(socket: &Path) -> Self {
        Self::Unix(socket.to_owned())
    }
}

#[cfg(test)]
mod tests;
