//! What all the tasks of one queue have in common: its keys, its connection for short commands, its health.

use super::flow::Flow;
use crate::{
    config, event,
    message::{Message, Outcome},
    pulse::{Pulse, Step},
    shutdown::Shutdown,
    source::{Opening, Start, dialect::Dialect, keys::Keys, lane::Content, link::Link},
};
use redis::{RedisError, aio::MultiplexedConnection};
use std::{
    collections::HashSet,
    fmt::{self, Debug},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

pub(in crate::source) struct Shared {
    /// The name of the pipeline, for the dead letters.
    pub(in crate::source) pipeline: String,
    /// The source's name as messages carry it.
    pub(in crate::source) source: Arc<str>,
    pub(in crate::source) keys: Keys,
    /// The stream of dead letters.
    pub(in crate::source) dead: String,
    /// This process, among all that share the list.
    pub(in crate::source) node: String,
    pub(in crate::source) lease: Duration,
    pub(in crate::source) flow: Arc<Flow>,
    pub(in crate::source) dialect: Dialect,
    /// Which end of the list is taken from.
    pub(in crate::source) end: config::End,
    /// Which end of it holds the message that was pushed first.
    pub(in crate::source) oldest: config::End,
    pub(in crate::source) backlog: Option<config::Backlog>,
    pub(in crate::source) keep_dead: config::KeepDead,
    /// Whether the order of messages matters.
    pub(in crate::source) ordered: bool,
    /// How often a message may be in flight when a node ends.
    pub(in crate::source) crashes: u32,
    pub(in crate::source) shutdown: Shutdown,
    pulse: Pulse,
    pub(in crate::source) start: Start,
    ticket: u64,
    story: event::Story,
    /// What is counted of it.
    pub(in crate::source) tally: Arc<event::SourceStory>,
    pub(in crate::source) link: Link,
    /// Lanes that were taken over, and are being handed out.
    resuming: AtomicUsize,
    /// Lanes that somebody in this process cares for.
    live: std::sync::Mutex<HashSet<String>>,
}

/// One queue of a source.
pub(in crate::source) struct Which<'a> {
    /// The list.
    pub(in crate::source) list: &'a str,
    /// What its messages name as their source.
    pub(in crate::source) source: &'a str,
    pub(in crate::source) dialect: Dialect,
    /// Its place among the others, or its weight.
    pub(in crate::source) rank: u32,
    /// The end at which producers push.
    pub(in crate::source) pushed: config::End,
}

impl Shared {
    pub(in crate::source) fn new(opening: &Opening, flow: &Arc<Flow>, which: Which<'_>) -> Arc<Self> {
        let keys = which.dialect.keys(which.list);
        let config = &opening.config;
        let ticket = flow.turns.enter(which.rank);
        let tally = Arc::new(event::SourceStory::of(&opening.pipeline, which.source));
        Arc::new(Self {
            pipeline: opening.pipeline.clone(),
            source: which.source.into(),
            dead: config.dead_letters.clone().unwrap_or_else(|| which.dialect.dead_letters(&keys)),
            keys,
            node: opening.node.clone(),
            lease: opening.lease,
            flow: Arc::clone(flow),
            dialect: which.dialect,
            end: end(which.pushed, config.take),
            oldest: end(which.pushed, config::Take::Oldest),
            backlog: config.backlog,
            keep_dead: config.keep_dead.clone(),
            ordered: opening.ordered.is_some(),
            crashes: config.retry.crashes,
            link: Link::new(opening.connector.at(which.list), which.source.into()).counted(Arc::clone(&tally)),
            tally,
            shutdown: opening.shutdown.clone(),
            pulse: opening.pulse.clone(),
            start: Arc::clone(&opening.start),
            ticket,
            story: event::Story::of(&opening.pipeline, &[]),
            resuming: AtomicUsize::new(0),
            live: std::sync::Mutex::default(),
        })
    }

    /// The connection for short commands.
    pub(in crate::source) async fn link(&self) -> Result<MultiplexedConnection, RedisError> {
        self.link.redis().await
    }

    /// A step with Redis begins, such as "settling"; it ends when what is returned is dropped.
    pub(in crate::source) fn step(&self, what: &'static str) -> Step {
        self.pulse.begin(what, &self.source)
    }

    /// A command failed.
    pub(in crate::source) async fn failed(&self, error: &RedisError) {
        self.link.failed(error).await;
    }

    /// A message was taken, or settled.
    pub(in crate::source) fn healthy(&self) {
        self.link.healthy();
    }

    /// The ticket of this queue for its turn.
    pub(in crate::source) fn ticket(&self) -> u64 {
        self.ticket
    }

    /// A message went straight into the dead letters.
    pub(in crate::source) fn flawed(&self, message: &Message, outcome: &Outcome) {
        event::settled(&self.story, &self.pipeline, message, outcome);
    }

    /// Distinguishes the lanes of this node, also from those of a pipeline that was ended before.
    pub(in crate::source) fn next_lane(&self) -> u64 {
        static LANES: AtomicU64 = AtomicU64::new(0);
        LANES.fetch_add(1, Ordering::Relaxed)
    }

    /// The key of a lane of this node that there was not before.
    pub(in crate::source) fn new_lane(&self, content: Content) -> String {
        self.keys.lane(&self.node, &format!("{}{:x}", content.letter(), self.next_lane()))
    }

    /// Somebody cares for `lane` from now on; said before Redis knows of the lane, or `reap` could take it for an orphan.
    pub(in crate::source) fn begin(&self, lane: &str) {
        self.live().insert(lane.to_owned());
    }

    /// Nobody cares for `lane` any more.
    pub(in crate::source) fn end(&self, lane: &str) {
        self.live().remove(lane);
    }

    pub(in crate::source) fn is_live(&self, lane: &str) -> bool {
        self.live().contains(lane)
    }

    /// One more lane that was taken over is being handed out.
    pub(in crate::source) fn resumes(&self) {
        self.resuming.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(in crate::source) fn resumed(&self) {
        self.resuming.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn is_resuming(&self) -> bool {
        self.resuming.load(Ordering::Relaxed) > 0
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits for `pause`, or for the time to take nothing more.
    pub(in crate::source) async fn pause(&self, pause: Duration) {
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
