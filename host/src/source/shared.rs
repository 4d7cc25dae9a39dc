//! What all the tasks of one queue have in common: its keys, its connection for short commands, its health.

use super::{connection::Connector, dialect::Dialect, flow::Flow, health::Health, keys::Keys};
use crate::{
    config, event,
    message::{Message, Outcome},
    shutdown::Shutdown,
};
use redis::{RedisError, aio::MultiplexedConnection};
use std::{
    collections::HashSet,
    fmt::{self, Debug},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

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
    pub(super) flow: Arc<Flow>,
    pub(super) dialect: Dialect,
    /// Which end of the list is taken from.
    pub(super) end: config::End,
    /// Which end of it holds the message that was pushed first.
    pub(super) oldest: config::End,
    pub(super) backlog: Option<config::Backlog>,
    pub(super) keep_dead: config::KeepDead,
    /// Whether the order of messages matters.
    pub(super) ordered: bool,
    /// How often a message may be in flight when a node ends.
    pub(super) crashes: u32,
    pub(super) connector: Connector,
    pub(super) shutdown: Shutdown,
    pub(super) start: Start,
    ticket: u64,
    failures: event::Failures,
    link: Mutex<Option<MultiplexedConnection>>,
    health: Health,
    /// Lanes that were taken over, and are being handed out.
    resuming: AtomicUsize,
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
    /// Where the order matters: whom to tell what else waits.
    pub ordered: Option<Ordered>,
}

/// What somebody who keeps an order must know beside what is taken.
#[derive(Clone)]
pub struct Ordered {
    /// Nothing that was known counts any more.
    pub lost: Arc<dyn Fn() + Send + Sync>,
    /// These wait for another attempt, in the order in which they will come; before anything is taken.
    pub waiting: Arc<dyn Fn(Vec<Waiting>) + Send + Sync>,
}

/// A message that will come again.
#[derive(Debug)]
pub struct Waiting {
    /// As it will be, but for its attempt.
    pub message: Message,
    /// By the clock of Redis.
    pub due_in: Duration,
}

/// One queue of a source.
pub(super) struct Which<'a> {
    /// The list.
    pub(super) list: &'a str,
    /// What its messages name as their source.
    pub(super) source: &'a str,
    pub(super) dialect: Dialect,
    /// Its place among the others, or its weight.
    pub(super) rank: u32,
    /// The end at which producers push.
    pub(super) pushed: config::End,
}

impl Shared {
    pub(super) fn new(opening: &Opening<'_>, flow: &Arc<Flow>, which: Which<'_>) -> Arc<Self> {
        let keys = which.dialect.keys(which.list);
        let config = opening.config;
        let ticket = flow.turns.enter(which.rank);
        Arc::new(Self {
            pipeline: opening.pipeline.to_owned(),
            source: which.source.into(),
            dead: config.dead_letters.clone().unwrap_or_else(|| which.dialect.dead_letters(&keys)),
            keys,
            node: opening.node.to_owned(),
            lease: opening.lease,
            flow: Arc::clone(flow),
            dialect: which.dialect,
            end: end(which.pushed, config.take),
            oldest: end(which.pushed, config::Take::Oldest),
            backlog: config.backlog,
            keep_dead: config.keep_dead.clone(),
            ordered: opening.ordered.is_some(),
            crashes: config.retry.crashes,
            connector: opening.connector.at(which.list),
            shutdown: opening.shutdown.clone(),
            start: Arc::clone(&opening.start),
            ticket,
            failures: event::Failures::default(),
            link: Mutex::new(None),
            health: Health::default(),
            resuming: AtomicUsize::new(0),
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

    /// A command failed: says so if that is news, and forgets a connection that is of no more use.
    pub(super) async fn failed(&self, error: &RedisError) {
        let advice = self.connector.advice(error, &self.source);
        if self.health.failed(&advice, Instant::now()) {
            event::redis_trouble(&self.source, self.connector.url(), error, &advice);
        }
        if self.connector.is_lost(error) {
            *self.link.lock().await = None;
        }
    }

    /// A message was taken, or settled: proof of health.
    pub(super) fn healthy(&self) {
        if self.health.is_troubled() && self.health.recovered(Instant::now()) {
            event::redis_back(&self.source);
        }
    }

    /// The ticket of this queue for its turn.
    pub(super) fn ticket(&self) -> u64 {
        self.ticket
    }

    /// A message went straight into the dead letters.
    pub(super) fn flawed(&self, message: &Message, outcome: &Outcome) {
        event::settled(&self.failures, &self.pipeline, message, outcome);
    }

    /// Distinguishes the lanes of this node, also from those of a pipeline that was ended before.
    pub(super) fn next_lane(&self) -> u64 {
        static LANES: AtomicU64 = AtomicU64::new(0);
        LANES.fetch_add(1, Ordering::Relaxed)
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

    /// One more lane that was taken over is being handed out.
    pub(super) fn resumes(&self) {
        self.resuming.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(super) fn resumed(&self) {
        self.resuming.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn is_resuming(&self) -> bool {
        self.resuming.load(Ordering::Relaxed) > 0
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

impl Drop for Shared {
    fn drop(&mut self) {
        self.flow.turns.leave(self.ticket);
    }
}

/// The end of a list that holds the message to `take` first.
fn end(pushed: config::End, take: config::Take) -> config::End {
    match (pushed, take) {
        (config::End::Right, config::Take::Oldest) | (config::End::Left, config::Take::Newest) => config::End::Left,
        (config::End::Left, config::Take::Oldest) | (config::End::Right, config::Take::Newest) => config::End::Right,
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
