//! What plugins may look up: a store of their own, and databases.

use super::notation;
use std::{fmt, path::PathBuf, time::Duration};

/// What one plugin may look up, and how long it may wait for that.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookups {
    /// Where it may keep values under keys.
    pub store: Store,
    /// How much.
    pub bounds: StoreBounds,
    /// Databases it may ask.
    pub sql: Vec<SqlGrant>,
    /// For all lookups of one call together.
    pub wait: Duration,
}

/// Where a plugin may keep values under keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Nowhere.
    Nothing,
    /// In this node, until it ends.
    Memory,
    /// In the node's Redis.
    Redis,
}

/// How much a plugin may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreBounds {
    /// In memory, 1 to 10,000,000; beyond that the least recently used go.
    pub keys: usize,
    /// In memory, keys and values together, in bytes.
    pub bytes: usize,
    /// One value, in bytes.
    pub value_bytes: usize,
    /// How long anything stays that is not set again; without end when absent.
    pub longest: Option<Duration>,
}

/// One entry of `allow_sql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlGrant {
    /// The name of a database of the configuration.
    pub database: String,
    /// Whether the plugin may change what is in it.
    pub write: bool,
}

impl SqlGrant {
    /// As `allow_sql` spells it.
    pub fn parse(text: &str) -> Option<Self> {
        notation::sql_grant(text).ok()
    }

    /// Whether it grants all that `wanted` asks for.
    pub fn covers(&self, wanted: &Self) -> bool {
        self.database == wanted.database && (self.write || !wanted.write)
    }
}

/// A database that plugins may be granted.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// Which one.
    pub address: DatabaseAddress,
    /// At once, 1 to 1,000; and as many more for plugins that may write.
    pub connections: u32,
    /// For one query, with waiting for a connection.
    pub timeout: Duration,
    /// Rows of one answer, 1 to 1,000,000.
    pub rows: usize,
    /// Bytes of one answer.
    pub answer_bytes: usize,
}

/// Where a database is, and what speaks there. Its `Debug` shows no password.
#[derive(Clone, PartialEq)]
pub enum DatabaseAddress {
    /// A file.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/name`.
    Postgres(String),
    /// `mysql://user:password@host:port/name`, which may be a MariaDB.
    MySql(String),
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres(…)"),
            Self::MySql(_) => f.write_str("MySql(…)"),
        }
    }
}
