//! This node as Resque sees it: as many workers as may have a job at the same time.

use super::{
    badge::Badge,
    board::{Board, Change, Shows},
    clock, job,
    names::Names,
    ruby,
};
use crate::{
    config,
    shutdown::Shutdown,
    source::{Opening, backoff::Backoff, keys::Keys, link::Link},
};
use redis::{Pipeline, RedisError, Script};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

/// More than a dashboard can show is of no use.
const MOST: usize = 1_000;
/// How long changes gather before Redis is told.
const GATHER: Duration = Duration::from_millis(50);
/// How often a worker says that it is alive.
const BEAT: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 60 });
/// How long Redis may take to be told that this ends; others remove what is left.
const FAREWELL: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug)]
pub(super) struct Workers {
    pub(super) names: Names,
    pub(super) keys: Keys,
    pub(super) link: Link,
    pub(super) board: Board,
    badge: Badge,
    count: u32,
    /// In seconds since 1970.
    started: u64,
    lease: Duration,
    keeper: Shutdown,
}

/// Removes all that belongs to workers, unless their node is alive.
///
/// Keys: the hash of groups of workers, the group's lease, `workers`, `workers:heartbeat`. Arguments: the group, how many workers it has,
/// the namespace, the node itself where it is that which asks.
static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[4] then return 0 end
local process, queues = string.match(ARGV[1], '^([^:]*:[^:]*):(.*)$')
for slot = 1, tonumber(ARGV[2]) do
  local id = process .. '-' .. slot .. ':' .. queues
  local worker, stat = ARGV[3] .. 'worker:' .. id, ARGV[3] .. 'stat:'
  redis.call('SREM', KEYS[3], id)
  redis.call('DEL', worker, worker .. ':started', stat .. 'processed:' .. id, stat .. 'failed:' .. id)
  redis.call('HDEL', KEYS[4], id)
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
return 1
",
    )
});

impl Workers {
    /// Begins to be seen.
    pub(super) fn open(opening: &Opening, resque: &config::Resque) -> Arc<Self> {
        let queues = resque.queues.iter().map(|queue| queue.trim()).collect::<Vec<_>>().join(",");
        let host = resque.host.clone().unwrap_or_else(host);
        let count = opening.config.in_flight.min(MOST) as u32;
        let names = Names::new(&resque.namespace);
        let connector = opening.connector.at(&names.queues());
        let workers = Arc::new(Self {
            names,
            keys: Keys::of_resque(&resque.namespace),
            link: Link::new(connector, format!("Resque queues {queues}").into()),
            badge: Badge::new(host, queues, opening.node.clone()),
            board: Board::new(count),
            count,
            started: clock::now(),
            lease: opening.lease,
            keeper: Shutdown::default(),
        });
        workers.keeper.track_until_stop(Arc::clone(&workers).keep());
        workers.keeper.track_until_stop(Arc::clone(&workers).show());
        workers
    }

    /// Is seen no more.
    pub(super) async fn close(&self) {
        self.keeper.end(FAREWELL).await;
        if !self.badge.is_claimed() {
            return;
        }
        let farewell = async {
            let told = self.tell().await;
            self.link.judge(&told).await;
            let removed = self.remove(&self.badge.group(), self.count, &self.badge.node).await;
            self.link.judge(&removed).await;
        };
        let _in_time = tokio::time::timeout(FAREWELL, farewell).await.is_ok();
    }

    /// Leaves everything as a killed process does.
    #[cfg(test)]
    pub(super) async fn forget(&self) {
        self.keeper.stop().cancel();
        self.keeper.end(Duration::ZERO).await;
    }

    /// The id of the worker in this place, from 0.
    pub(super) fn id(&self, slot: u32) -> String {
        self.badge.id(slot)
    }

    /// The worker that an item is counted for which none was free to be shown with.
    pub(super) fn slot(&self, seq: u64) -> u32 {
        (seq % u64::from(self.count.max(1))) as u32
    }

    /// Keeps the workers known, and removes those of nodes that are gone.
    async fn keep(self: Arc<Self>) {
        let mut beat: Option<Instant> = None;
        let mut silent = HashSet::new();
        while !self.keeper.quiet().is_cancelled() {
            let due = beat.is_none_or(|beat| beat.elapsed() >= BEAT);
            let kept = self.keep_once(due, &mut silent).await;
            self.link.judge(&kept).await;
            if let Ok(true) = kept {
                beat = Some(Instant::now());
            }
            self.pause(self.lease / 3).await;
        }
    }

    /// Whether the workers were made known, as it was `due` or they have a new name.
    async fn keep_once(&self, due: bool, silent: &mut HashSet<String>) -> Result<bool, RedisError> {
        let renamed = self.badge.claim(&self.link, &self.keys, self.lease).await?;
        if renamed {
            self.board.anew();
        }
        if due || renamed {
            self.register().await?;
        }
        self.remove_silent(silent).await?;
        Ok(due || renamed)
    }

    /// Makes all workers known and alive; done again and again, as others may take them for dead.
    async fn register(&self) -> Result<(), RedisError> {
        let mut redis = self.link.redis().await?;
        let (now, _): (u64, u64) = redis::cmd("TIME").query_async(&mut redis).await?;
        let (now, started) = (clock::heartbeat(now), clock::started(self.started));
        let ids: Vec<String> = (0..self.count).map(|slot| self.id(slot)).collect();
        let mut pipe = redis::pipe();
        pipe.atomic();
        // Whoever finds this node gone learns from this what to remove.
        pipe.cmd("HSET").arg(self.keys.workers()).arg(self.badge.group()).arg(self.count).ignore();
        pipe.cmd("SADD").arg(self.names.workers()).arg(&ids).ignore();
        pipe.cmd("MSET").arg(ids.iter().map(|id| (self.names.started(id), &*started)).collect::<Vec<_>>()).ignore();
        let beats: Vec<_> = ids.iter().map(|id| (id, &*now)).collect();
        pipe.cmd("HSET").arg(self.names.heartbeat()).arg(beats).ignore();
        pipe.exec_async(&mut redis).await
    }

    /// Removes the workers of nodes whose lease is gone, now and at the last look: after a pause of Redis itself, living nodes
    /// have renewed theirs by then.
    async fn remove_silent(&self, silent: &mut HashSet<String>) -> Result<(), RedisError> {
        let mut redis = self.link.redis().await?;
        let groups: HashMap<String, u32> =
            redis::cmd("HGETALL").arg(self.keys.workers()).query_async(&mut redis).await?;
        let mut found = HashSet::new();
        let own = self.badge.group();
        for (group, count) in groups.into_iter().filter(|(group, _)| *group != own) {
            let alive: bool = redis::cmd("EXISTS").arg(self.keys.lease(&group)).query_async(&mut redis).await?;
            if alive {
                continue;
            }
            if silent.contains(&group) {
                self.remove(&group, count, "").await?;
            }
            found.insert(group);
        }
        *silent = found;
        Ok(())
    }

    async fn remove(&self, group: &str, count: u32, node: &str) -> Result<(), RedisError> {
        let mut removal = REMOVE.prepare_invoke();
        removal.key(self.keys.workers()).key(self.keys.lease(group));
        removal.key(self.names.workers()).key(self.names.heartbeat());
        removal.arg(group).arg(count).arg(&self.names.prefix).arg(node);
        removal.invoke_async(&mut self.link.redis().await?).await
    }

    /// Tells Redis what the workers do.
    async fn show(self: Arc<Self>) {
        let mut backoff = Backoff::new();
        let quiet = self.keeper.quiet().clone();
        while !self.badge.is_claimed() && !quiet.is_cancelled() {
            self.pause(GATHER).await;
        }
        while quiet.run_until_cancelled(self.board.changed()).await.is_some() {
            self.pause(GATHER).await;
            let told = self.tell().await;
            self.link.judge(&told).await;
            match told {
                Ok(()) => backoff.reset(),
                Err(_) => self.pause(backoff.next()).await,
            }
        }
    }

    async fn tell(&self) -> Result<(), RedisError> {
        let changes = self.board.look();
        if changes.is_empty() {
            return Ok(());
        }
        let told = async { self.news(&changes).exec_async(&mut self.link.redis().await?).await };
        told.await.inspect_err(|_| self.board.restore(changes))
    }

    /// All or nothing: counters must not be told twice.
    fn news(&self, changes: &BTreeMap<u32, Change>) -> Pipeline {
        let mut pipe = redis::pipe();
        pipe.atomic();
        for (slot, change) in changes {
            let id = self.id(*slot);
            match &change.shows {
                Some(Shows::Busy(busy)) => {
                    let (queue, payload) = (ruby::string(&busy.queue), job::payload(&busy.job));
                    let run_at = clock::run_at(busy.since);
                    let shown = format!(r#"{{"queue":{queue},"run_at":"{run_at}","payload":{payload}}}"#);
                    pipe.cmd("SET").arg(self.names.worker(&id)).arg(shown).ignore();
                }
                Some(Shows::Idle) => drop(pipe.cmd("DEL").arg(self.names.worker(&id)).ignore()),
                None => {}
            }
            self.add(&mut pipe, Some(&id), change.processed, change.failed);
        }
        let (processed, failed) =
            (changes.values().map(|change| change.processed), changes.values().map(|change| change.failed));
        self.add(&mut pipe, None, processed.sum(), failed.sum());
        pipe
    }

    fn add(&self, pipe: &mut Pipeline, id: Option<&str>, processed: u64, failed: u64) {
        for (what, count) in [("processed", processed), ("failed", failed)] {
            if count > 0 {
                pipe.cmd("INCRBY").arg(self.names.stat(what, id)).arg(count).ignore();
            }
        }
    }

    async fn pause(&self, pause: Duration) {
        // Elapsing is what usually happens.
        let _ended = tokio::time::timeout(pause, self.keeper.quiet().cancelled()).await.is_ok();
    }
}

/// What stands for this machine: a Ruby worker that starts removes workers of its own host name whose process it does not know.
fn host() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy().replace(':', "-");
    format!("{name}.gristmill")
}
