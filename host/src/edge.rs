//! Channels that browsers and other clients subscribe to: Server-Sent Events, WebSockets, plain streams and long polling, from one
//! listener; and what is published to them, by pipelines and by HTTP.

mod access;
mod audience;
mod backlog;
mod handed;
mod head;
mod history;
mod hub;
mod limits;
mod listen;
mod message;
mod outlet;
mod poll;
mod publish;
mod push_stream;
mod settings;
mod shard;
mod subscriber;
#[cfg(test)]
mod tests;
mod websocket;
mod wheel;

pub use outlet::Outlet;
pub use settings::{Error as SettingsError, Settings};

use crate::event;
use arc_swap::ArcSwap;
use bytes::Bytes;
use hub::{Hub, Order};
use limits::Limits;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Clients that one shard sends away in a second when the node ends, so that those they go to are not overrun.
const SENT_AWAY: usize = 5_000;
/// Between looks at whether all have left.
const LOOK: Duration = Duration::from_millis(20);

/// The edge of a node; cheap to clone.
#[derive(Clone, Debug)]
pub struct Edge(Arc<Running>);

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<io::Result<()>>>>,
    address: SocketAddr,
}

/// What all shards share.
#[derive(Debug)]
struct Shared {
    hub: Hub,
    limits: Arc<Limits>,
    settings: ArcSwap<Settings>,
    told: event::EdgeStory,
    started: Instant,
    /// Cancelled when nobody is accepted any more.
    quiet: CancellationToken,
    /// Cancelled when everybody has left, or should have.
    stopped: CancellationToken,
}

impl Shared {
    /// For how many seconds clients have been served.
    fn uptime(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}

/// Why there is no edge.
#[derive(Debug, thiserror::Error)]
#[error("the edge cannot listen at {address}: {cause}; choose another `[edge] listen`")]
pub struct Unusable {
    address: SocketAddr,
    #[source]
    cause: io::Error,
}

/// Why nothing was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct NotPublished(#[from] hub::Refused);

impl Edge {
    /// Listens at `address`; clients are served from now on.
    ///
    /// # Errors
    /// Where another program listens there, or the system refuses.
    pub fn start(address: SocketAddr, settings: Settings) -> Result<Self, Unusable> {
        let processors = || thread::available_parallelism().map_or(1, usize::from);
        let shards = settings.edge.threads.unwrap_or_else(processors);
        let unusable = |cause| Unusable { address, cause };
        let buffer = settings.edge.limits.send_buffer_bytes;
        let listeners = listen::bind(address, shards, buffer).map_err(unusable)?;
        let address = listeners.first().map_or(Ok(address), std::net::TcpListener::local_addr).map_err(unusable)?;
        let (hub, orders) = Hub::new(shards, &settings.edge);
        let shared = Arc::new(Shared {
            hub,
            limits: Arc::default(),
            settings: ArcSwap::from_pointee(settings),
            told: event::EdgeStory::default(),
            started: Instant::now(),
            quiet: CancellationToken::new(),
            stopped: CancellationToken::new(),
        });
        let threads = listeners.into_iter().zip(orders).enumerate().map(|(index, (listener, orders))| {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name(format!("edge-{index}"));
            thread.spawn(move || shard::run(index, shared, listener, orders))
        });
        let threads = threads.collect::<Result<Vec<_>, _>>().map_err(unusable)?;
        event::edge_listens(&address);
        Ok(Self(Arc::new(Running { shared, threads: Mutex::new(threads), address })))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// From now on these settings hold, but for the address and the number of threads.
    pub fn configure(&self, settings: Settings) {
        self.0.shared.hub.configure(&settings.edge);
        self.0.shared.settings.store(Arc::new(settings));
    }

    /// Publishes text to a channel, and returns its id. Waits while more is under way than clients have been sent.
    ///
    /// # Errors
    /// Where no channel can have such a name, there are too many, or the node ends.
    pub async fn publish(&self, channel: &str, event: Option<&str>, data: Bytes) -> Result<String, NotPublished> {
        Ok(self.0.shared.hub.publish(channel, event, data).await?)
    }

    /// The longest message, in bytes.
    pub fn longest(&self) -> usize {
        self.0.shared.settings.load().edge.limits.message_bytes
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.0.shared.limits.open()
    }

    /// Accepts nobody any more; those who are here stay.
    pub fn quiet(&self) {
        self.0.shared.quiet.cancel();
    }

    /// Sends everybody away, some after the others, and ends, within `grace` and a second.
    pub async fn end(&self, grace: Duration) {
        self.quiet();
        let shared = &self.0.shared;
        let until = Instant::now() + grace;
        let clients = self.connections();
        let threads = self.0.threads.lock().map(|threads| threads.len()).unwrap_or(1).max(1);
        let within = Duration::from_secs_f64(clients as f64 / (SENT_AWAY * threads) as f64).min(grace / 2);
        shared.hub.order(|| Order::Drain(within));
        while self.connections() > 0 && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
        event::edge_ended(clients, self.connections());
        shared.stopped.cancel();
        shared.hub.order(|| Order::Stop);
        let threads = std::mem::take(&mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || {
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok()?.err())
                .for_each(|error| event::edge_broke(&error));
        });
        drop(joined.await);
    }
}
