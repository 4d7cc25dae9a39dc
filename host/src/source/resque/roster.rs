//! Which queues are taken from: those named, or those that match and hold something.
//!
//! Thousands of queues may exist, and each that is open costs connections, so one that has been empty for a while is closed.

use super::{jobs::Jobs, pattern::Wanted, workers::Workers};
use crate::{
    config,
    shutdown::Shutdown,
    source::{
        Opening,
        dialect::Dialect,
        keys::Keys,
        queue::{
            Queue,
            flow::Flow,
            shared::{Shared, Which},
        },
    },
};
use futures_util::future::join_all;
use redis::{RedisError, Script, aio::MultiplexedConnection};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// How often queues are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How long a queue stays open while it is empty.
const IDLE: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 60 });
/// Queues that are open at the same time where they are found by patterns; those of lower priority wait.
const MOST: usize = 64;
/// Queues looked at by one call.
const PAGE: usize = 250;
/// What is due by then is worth being open for.
const SOON_MS: u64 = 2_000;
/// A queue that is closed finishes what is in flight, however long that takes.
const PATIENCE: Duration = Duration::from_secs(365 * 86_400);

/// Says of each queue whether it holds something (2), or perhaps only lanes (1), or nothing (0).
///
/// Keys: four of each queue: the list, its retries, its delayed, its lanes. Argument: what is due in so many milliseconds counts.
static HOLDS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local soon = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1])
local holds = {}
for at = 1, #KEYS, 4 do
  if redis.call('EXISTS', KEYS[at], KEYS[at + 1]) > 0 or redis.call('ZCOUNT', KEYS[at + 2], '-inf', soon) > 0 then
    holds[#holds + 1] = 2
  else
    holds[#holds + 1] = redis.call('EXISTS', KEYS[at + 3])
  end
end
return holds
",
    )
});

/// See the module.
pub(super) struct Roster {
    opening: Opening,
    scheduler: bool,
    wanted: Wanted,
    workers: Arc<Workers>,
    flow: Arc<Flow>,
    open: BTreeMap<String, Opened>,
    /// Queues that finish what is in flight; each may be opened again when that is done.
    closing: HashMap<String, JoinHandle<()>>,
}

struct Opened {
    queue: Queue,
    shared: Arc<Shared>,
    jobs: Arc<Jobs>,
    shutdown: Shutdown,
    /// When it was last seen to hold something.
    held: Instant,
}

impl Roster {
    pub(super) fn new(opening: &Opening, resque: &config::Resque, workers: Arc<Workers>, flow: Arc<Flow>) -> Self {
        let mut roster = Self {
            // Other workers take from these queues, so no node can lead.
            opening: Opening { ordered: None, ..opening.clone() },
            scheduler: resque.scheduler,
            wanted: Wanted::new(&resque.queues),
            workers,
            flow,
            open: BTreeMap::new(),
            closing: HashMap::new(),
        };
        if let Wanted::Static(queues) = &roster.wanted {
            let all: Vec<_> = (0..).zip(queues.clone()).collect();
            roster.open_all(all);
        }
        roster
    }

    /// Opens and closes queues until it is time to take nothing more, and waits for what is in flight; returns what is open then.
    pub(super) async fn run(mut self) -> Vec<Queue> {
        let quiet = self.opening.shutdown.quiet().clone();
        match self.wanted {
            Wanted::Static(_) => quiet.cancelled().await,
            Wanted::Dynamic { .. } => {
                while !quiet.is_cancelled() {
                    // Nothing is begun before all that is waited for is there.
                    if let Some(looked) = quiet.run_until_cancelled(self.look()).await {
                        self.workers.link.judge(&looked).await;
                    }
                    // Elapsing is what usually happens.
                    let _ended = tokio::time::timeout(LOOK, quiet.cancelled()).await.is_ok();
                }
            }
        }
        join_all(self.open.values().map(|opened| opened.shutdown.end(PATIENCE))).await;
        join_all(self.closing.into_values()).await;
        self.open.into_values().map(|opened| opened.queue).collect()
    }

    async fn look(&mut self) -> Result<(), RedisError> {
        let mut redis = self.workers.link.redis().await?;
        let known: Vec<Vec<u8>> =
            redis::cmd("SMEMBERS").arg(self.workers.names.queues()).query_async(&mut redis).await?;
        let known = known.into_iter().filter_map(|queue| String::from_utf8(queue).ok()).collect();
        let wanted = self.wanted.expand(known);
        let holding = self.holding(&mut redis, &wanted).await?;
        for opened in self.open.iter_mut().filter(|(queue, _)| holding.contains(*queue)) {
            opened.1.held = Instant::now();
        }
        let keep = self.keep(&wanted, &holding);
        self.close_others(&keep);
        self.place(&wanted, &keep);
        Ok(())
    }

    /// Those of `queues` that hold something to be taken.
    async fn holding(
        &self,
        redis: &mut MultiplexedConnection,
        queues: &[String],
    ) -> Result<HashSet<String>, RedisError> {
        let mut holding = HashSet::new();
        for page in queues.chunks(PAGE) {
            let mut look = HOLDS.prepare_invoke();
            let keys: Vec<Keys> = page.iter().map(|queue| self.keys(queue)).collect();
            for keys in &keys {
                look.key(&*keys.list).key(keys.retry()).key(keys.delayed()).key(keys.lanes());
            }
            let holds: Vec<u8> = look.arg(SOON_MS).invoke_async(redis).await?;
            for ((queue, keys), holds) in page.iter().zip(keys).zip(holds) {
                // Where it is open, its own reaper looks after lanes.
                let lanes = holds == 1 && !self.open.contains_key(queue);
                if holds == 2 || (lanes && is_left_behind(redis, &keys).await?) {
                    holding.insert(queue.clone());
                }
            }
        }
        Ok(holding)
    }

    fn keys(&self, queue: &str) -> Keys {
        Keys::new(&self.workers.names.queue(queue))
    }

    /// Those that are to be open: what holds something, in the order of priority, then what did a moment ago.
    fn keep(&self, wanted: &[String], holding: &HashSet<String>) -> HashSet<String> {
        let in_use = |queue: &&String| self.open.get(*queue).is_some_and(Opened::is_in_use);
        let held = wanted.iter().filter(|queue| holding.contains(*queue));
        let recent = wanted.iter().filter(in_use).filter(|queue| !holding.contains(*queue));
        held.chain(recent).take(MOST).cloned().collect()
    }

    fn close_others(&mut self, keep: &HashSet<String>) {
        self.closing.retain(|_, closing| !closing.is_finished());
        let others: Vec<String> = self.open.keys().filter(|queue| !keep.contains(*queue)).cloned().collect();
        for name in others {
            if let Some(opened) = self.open.remove(&name) {
                self.closing.insert(name, self.opening.shutdown.track(opened.close()));
            }
        }
    }

    /// Opens what is not open, and tells every queue its place.
    fn place(&mut self, wanted: &[String], keep: &HashSet<String>) {
        let mut new = Vec::new();
        for (rank, queue) in (0..).zip(wanted) {
            match self.open.get(queue) {
                Some(opened) => self.flow.turns.place(opened.shared.ticket(), rank),
                None if keep.contains(queue) && !self.closing.contains_key(queue) => new.push((rank, queue.clone())),
                None => {}
            }
        }
        self.open_all(new);
    }

    fn open_all(&mut self, queues: Vec<(u32, String)>) {
        // All have entered before one begins, or the last would not be waited for.
        let entered: Vec<_> = queues.into_iter().map(|(rank, queue)| self.enter(rank, queue)).collect();
        let takers = match &self.wanted {
            // Two would hand out in any order.
            Wanted::Static(queues) if queues.len() == 1 && self.opening.config.order.is_none() => 2,
            _ => 1,
        };
        for (name, shared, jobs, shutdown) in entered {
            let queue = Queue::open(Arc::clone(&shared), takers);
            self.open.insert(name, Opened { queue, shared, jobs, shutdown, held: Instant::now() });
        }
    }

    fn enter(&self, rank: u32, queue: String) -> (String, Arc<Shared>, Arc<Jobs>, Shutdown) {
        let jobs = Jobs::new(&self.workers, &queue, self.opening.config.retry.attempts, self.scheduler);
        let (list, dialect) = (self.workers.names.queue(&queue), Dialect::Resque(Arc::clone(&jobs)));
        let which = Which { list: &list, source: &list, dialect, rank, pushed: config::End::Right };
        let shutdown = self.opening.shutdown.child();
        let opening = Opening { shutdown: shutdown.clone(), ..self.opening.clone() };
        (queue, Shared::new(&opening, &self.flow, which), jobs, shutdown)
    }
}

impl Opened {
    fn is_in_use(&self) -> bool {
        self.jobs.running() > 0 || self.held.elapsed() < IDLE
    }

    /// Takes nothing more, and gives up what is left once all in flight is settled.
    async fn close(self) {
        self.shutdown.end(PATIENCE).await;
        self.queue.close().await;
    }
}

/// Whether a node that is gone had something of this queue in flight.
async fn is_left_behind(redis: &mut MultiplexedConnection, keys: &Keys) -> Result<bool, RedisError> {
    let lanes: Vec<String> = redis::cmd("HKEYS").arg(keys.lanes()).query_async(redis).await?;
    let holders: HashSet<&str> = lanes.iter().filter_map(|lane| keys.holder(lane)).map(|(holder, _)| holder).collect();
    for holder in holders {
        let alive: bool = redis::cmd("EXISTS").arg(keys.lease(holder)).query_async(redis).await?;
        if !alive {
            return Ok(true);
        }
    }
    Ok(false)
}
