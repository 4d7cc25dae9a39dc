//! What plugins look up while they run: a store of their own, and databases. Knows no Wasm.
//!
//! Whoever asks gives a [`Patience`], which all lookups of one call share; nothing here takes longer than that.

mod memory;
mod outage;
mod patience;
mod shelf;
mod sql;
mod store;
mod tally;
#[cfg(test)]
mod tests;

pub use crate::request::Failure;
pub use patience::Patience;
pub use sql::{Rows, Value};
pub use tally::Tally;

use crate::{config, connection::Connector};
use arc_swap::ArcSwap;
use bytes::Bytes;
use memory::Memory;
use sql::Database;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use store::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls of all plugins with lookups that may be under way at once: half of the instances that there are.
const ROOM: usize = 500;

/// What all plugins of a node share; cheap to clone.
#[derive(Clone)]
pub struct Lookups(Arc<Shared>);

struct Shared {
    redis: Option<Connector>,
    /// Kept for as long as any version of the plugin is.
    memories: Mutex<BTreeMap<String, Weak<Memory>>>,
    databases: ArcSwap<BTreeMap<String, Arc<Database>>>,
    room: Arc<Semaphore>,
}

impl Lookups {
    /// With the Redis of the node, which is not connected to before it is needed.
    pub fn new(redis: Connector) -> Self {
        Self::with(Some(redis))
    }

    /// Without any Redis; stores there are unavailable.
    pub fn alone() -> Self {
        Self::with(None)
    }

    fn with(redis: Option<Connector>) -> Self {
        Self(Arc::new(Shared {
            redis,
            memories: Mutex::default(),
            databases: ArcSwap::default(),
            room: Arc::new(Semaphore::new(ROOM)),
        }))
    }

    /// Leaves at least half of so many instances to plugins without lookups; to be called once.
    pub fn fit(&self, instances: u32) {
        let half = usize::try_from(instances / 2).unwrap_or(ROOM).clamp(1, ROOM);
        self.0.room.forget_permits(ROOM - half);
    }

    /// Puts these databases in force; one whose settings are what they were keeps its connections. Nothing is connected yet.
    pub fn configure(&self, databases: &BTreeMap<String, config::Database>) {
        let old = self.0.databases.load();
        let database = |(name, settings): (&String, &config::Database)| {
            let kept = old.get(name).filter(|old| old.settings == *settings);
            let database = kept.cloned().unwrap_or_else(|| Arc::new(Database::new(name, settings)));
            (name.clone(), database)
        };
        let new = databases.iter().map(database).collect();
        self.0.databases.store(Arc::new(new));
    }

    /// What `plugin` may look up; the versions of a plugin share what is in its store.
    pub fn access(&self, plugin: &Arc<str>, settings: &config::Lookups) -> Access {
        let store = match settings.store {
            config::Store::Nothing => Store::Nothing,
            config::Store::Memory => Store::Memory(self.memory(plugin)),
            config::Store::Redis => Store::redis(self.0.redis.as_ref(), plugin),
        };
        Access {
            plugin: Arc::clone(plugin),
            store,
            bounds: settings.bounds,
            sql: settings.sql.clone(),
            wait: settings.wait,
            lookups: self.clone(),
        }
    }

    fn memory(&self, plugin: &Arc<str>) -> Arc<Memory> {
        let mut memories = self.0.memories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memory) = memories.get(&**plugin).and_then(Weak::upgrade) {
            return memory;
        }
        memories.retain(|_, memory| memory.strong_count() > 0);
        let memory = Arc::new(Memory::new(plugin));
        memories.insert(plugin.to_string(), Arc::downgrade(&memory));
        memory
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

/// What one version of a plugin may look up.
pub struct Access {
    plugin: Arc<str>,
    store: Store,
    bounds: config::StoreBounds,
    sql: Vec<config::SqlGrant>,
    wait: Duration,
    lookups: Lookups,
}

/// Lets one call be under way.
#[derive(Debug)]
pub struct Turn {
    #[expect(dead_code, reason = "held for its drop, which lets the next one in")]
    permit: Option<OwnedSemaphorePermit>,
}

impl Access {
    /// Whose it is.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Waits until one more call may be under way, before anything is spent on it.
    pub async fn turn(&self) -> Turn {
        // The semaphore is never closed, so there is always a permit in the end.
        Turn { permit: Arc::clone(&self.lookups.0.room).acquire_owned().await.ok() }
    }

    /// What one call may wait.
    pub fn patience(&self) -> Patience {
        Patience::new(self.wait)
    }

    /// How long that is.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// The value under `key`.
    ///
    /// # Errors
    /// As for all that follow: without the grant, beyond the bounds, or where there is no answer.
    pub async fn get(&self, patience: &mut Patience, key: &str) -> Result<Option<Bytes>, Failure> {
        self.store.get(patience, store::key(key)?).await
    }

    /// Puts `value` under `key`, whatever was there, for so many milliseconds.
    pub async fn set(
        &self,
        patience: &mut Patience,
        key: &str,
        value: Vec<u8>,
        expires_ms: Option<u64>,
    ) -> Result<(), Failure> {
        let entry = store::Entry::new(key, value, expires_ms, &self.bounds)?;
        self.store.set(patience, entry, &self.bounds).await
    }

    /// Puts `value` under `key` if nothing is there; whether it did. Of any number that try at once one succeeds.
    pub async fn add(
        &self,
        patience: &mut Patience,
        key: &str,
        value: Vec<u8>,
        expires_ms: Option<u64>,
    ) -> Result<bool, Failure> {
        let entry = store::Entry::new(key, value, expires_ms, &self.bounds)?;
        self.store.add(patience, entry, &self.bounds).await
    }

    /// Adds `by` to the number under `key`, where nothing counts as 0; what it is then. Only a new key gets an end.
    pub async fn increment(
        &self,
        patience: &mut Patience,
        key: &str,
        by: i64,
        expires_ms: Option<u64>,
    ) -> Result<i64, Failure> {
        let (key, lasts) = (store::key(key)?, store::lasts(expires_ms, &self.bounds)?);
        self.store.increment(patience, key, by, lasts, &self.bounds).await
    }

    /// Removes what is under `key`; whether there was something.
    pub async fn delete(&self, patience: &mut Patience, key: &str) -> Result<bool, Failure> {
        self.store.delete(patience, store::key(key)?).await
    }

    /// The answer of `database` to one statement with its values.
    pub async fn query(
        &self,
        patience: &mut Patience,
        database: &str,
        statement: String,
        params: Vec<Value>,
    ) -> Result<Rows, Failure> {
        patience.check()?;
        let granted = || self.sql.iter().filter(|grant| grant.database == database);
        if granted().next().is_none() {
            return Err(ungranted(database));
        }
        let databases = self.lookups.0.databases.load_full();
        let Some(asked) = databases.get(database) else {
            return Err(Failure::Unreachable(format!("there is no database `{database}` any more")));
        };
        let write = granted().any(|grant| grant.write);
        asked.query(patience, write, statement, params).await
    }
}

fn ungranted(database: &str) -> Failure {
    let name: String = database.chars().take(100).flat_map(char::escape_debug).collect();
    let grant = format!("`allow_sql = [\"{name}\"]` in the plugin's table grants it");
    Failure::Denied(format!("the database `{name}` is not granted to the plugin; {grant}"))
}

/// Databases whose address the library that connects can make nothing of, and why.
pub fn unusable(databases: &BTreeMap<String, config::Database>) -> Vec<(&str, String)> {
    databases.iter().filter_map(|(name, database)| Some((name.as_str(), sql::refuse(&database.address)?))).collect()
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("wait", &self.wait).finish_non_exhaustive()
    }
}
