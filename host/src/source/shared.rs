//! What all the tasks of one source have in common: its keys, its connection for short commands, its health.

use super::{connection::Connector, keys::Keys};
use crate::{config, event, shutdown::Shutdown};
use redis::{RedisError, aio::MultiplexedConnection};
use std::{
    collections::HashSet,
    fmt::{self, Debug},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex, Notify, Semaphore};

use super::Delivery;

/// What is done with a batch of deliveries; it must not block.
pub type Start = Arc<dyn Fn(Vec<Delivery>) + Send + Sync>;

pub(super) struct Shared {
    /// The name of the pipeline, for the dead letters.
    pub(super) pipeline: String,
    /// The source's name as messages carry it.
    pub(super) source: Arc<str>,
    pub(super) keys: Keys,
    /// The stream of dead letters.
    pub(super) dead: String,
    /// This process, among all that share the list.
    pub(super) node: String,
    pub(super) lease: Duration,
    pub(super) in_flight: usize,
    /// One for each message that may still be taken.
    pub(super) permits: Semaphore,
    pub(super) connector: Connector,
    pub(super) shutdown: Shutdown,
    pub(super) start: Start,
    /// Messages that Redis keeps for this node, and those that takers have asked for: in flight, or settled behind one that is.
    held: AtomicUsize,
    /// A taker has found no room: whatever holds settled messages back is to be put aside.
    pub(super) crowding: Notify,
    link: Mutex<Option<MultiplexedConnection>>,
    lanes: AtomicU64,
    troubled: AtomicBool,
    /// Lanes that somebody in this process cares for.
    live: std::sync::Mutex<HashSet<String>>,
}

/// What a source is opened with.
pub struct Opening<'a> {
    /// The name of the pipeline.
    pub pipeline: &'a str,
    /// Its table in the configuration.
    pub config: &'a config::Pipeline,
    /// This process: letters, digits and `-`.
    pub node: &'a str,
    /// How long it may be silent before others take over what it holds.
    pub lease: Duration,
    /// Where Redis is.
    pub connector: Connector,
    /// When to end.
    pub shutdown: Shutdown,
    /// What to do with what is taken.
    pub start: Start,
}

impl Shared {
    pub(super) fn new(opening: Opening<'_>, list: &str) -> Arc<Self> {
        let keys = Keys::new(list);
        let config = opening.config;
        Arc::new(Self {
            pipeline: opening.pipeline.to_owned(),
            source: list.into(),
            dead: config.dead_letters.clone().unwrap_or_else(|| keys.dead()),
            keys,
            node: opening.node.to_owned(),
            lease: opening.lease,
            in_flight: config.in_flight,
            permits: Semaphore::new(config.in_flight),
            connector: opening.connector,
            shutdown: opening.shutdown,
            start: opening.start,
            held: AtomicUsize::new(0),
            crowding: Notify::new(),
            link: Mutex::new(None),
            lanes: AtomicU64::new(0),
            troubled: AtomicBool::new(false),
            live: std::sync::Mutex::default(),
        })
    }

    /// The connection for short commands, opened if there is none.
    pub(super) async fn link(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut link = self.link.lock().await;
        match &*link {
            Some(connection) => Ok(connection.clone()),
            None => Ok(link.insert(self.connector.shared().await?).clone()),
        }
    }

    /// A command failed: says so once, and forgets a connection that is of no more use.
    pub(super) async fn failed(&self, error: &RedisError) {
        if !self.troubled.swap(true, Ordering::Relaxed) {
            let advice = self.connector.advice(error, &self.source);
            event::redis_trouble(&self.source, self.connector.url(), error, &advice);
        }
        if error.is_unrecoverable_error() || error.is_timeout() {
            *self.link.lock().await = None;
        }
    }

    /// A message was taken, or settled: proof of health.
    pub(super) fn healthy(&self) {
        if self.troubled.load(Ordering::Relaxed) && self.troubled.swap(false, Ordering::Relaxed) {
            event::redis_back(&self.source);
        }
    }

    /// What a crash may repeat at most: twice what may be in flight.
    fn most(&self) -> usize {
        2 * self.in_flight
    }

    /// Whether nothing more can be taken before something is settled.
    pub(super) fn is_crowded(&self) -> bool {
        self.held.load(Ordering::Relaxed) >= self.most()
    }

    /// Room for up to `wanted` messages; 0 when there is none.
    pub(super) fn reserve(&self, wanted: usize) -> usize {
        let most = self.most();
        let grow = |held: usize| Some(held + wanted.min(most.saturating_sub(held)));
        let before = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow).unwrap_or(most);
        wanted.min(most.saturating_sub(before))
    }

    /// Messages that Redis kept for this node before it knew of them.
    pub(super) fn hold(&self, messages: usize) {
        self.held.fetch_add(messages, Ordering::Relaxed);
    }

    /// Redis keeps so many messages less for this node.
    pub(super) fn release(&self, messages: usize) {
        self.held.fetch_sub(messages, Ordering::Relaxed);
    }

    /// Distinguishes the lanes of this node.
    pub(super) fn next_lane(&self) -> u64 {
        self.lanes.fetch_add(1, Ordering::Relaxed)
    }

    /// Somebody cares for `lane` from now on; said before Redis knows of the lane, or `reap` could take it for an orphan.
    pub(super) fn begin(&self, lane: &str) {
        self.live().insert(lane.to_owned());
    }

    /// Nobody cares for `lane` any more.
    pub(super) fn end(&self, lane: &str) {
        self.live().remove(lane);
    }

    pub(super) fn is_live(&self, lane: &str) -> bool {
        self.live().contains(lane)
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits for `pause`, or for the time to take nothing more.
    pub(super) async fn pause(&self, pause: Duration) {
        // Elapsing is what usually happens.
        let _ended = tokio::time::timeout(pause, self.shutdown.quiet().cancelled()).await.is_ok();
    }
}

impl Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("source", &self.source).field("node", &self.node).finish_non_exhaustive()
    }
}

/// A pause that doubles with each use, up to five seconds, and starts again on proof of health.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);

    pub(super) fn new() -> Self {
        Self(Self::FIRST)
    }

    pub(super) fn reset(&mut self) {
        self.0 = Self::FIRST;
    }

    /// The next pause, with up to a quarter of jitter so that nodes do not return in step.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(Self::LONGEST);
        pause + pause.mul_f64(0.25 * crate::random::jitter())
    }
}
