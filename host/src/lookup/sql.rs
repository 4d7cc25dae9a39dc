//! A database that plugins ask: some connections for all of them, made when they are needed.
//!
//! Reading and writing have connections of their own, so that the database itself can see to it that what may only read does.

mod line;
mod mysql;
mod postgres;
mod query;
mod relay;
mod sqlite;
mod statement;
#[cfg(test)]
mod tests;

use super::{Failure, Patience, outage::Outage};
use crate::{
    config::{self, DatabaseAddress},
    event,
};
use line::Lines;
use query::{Limits, Query, Trouble, run};
use statement::Engine;
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

/// A value as databases and plugins both have it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The answer of a database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Their names; none where there is no row.
    pub columns: Vec<String>,
    /// Each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
    /// Rows that were changed.
    pub affected: u64,
}

/// See the module.
pub(super) struct Database {
    name: Arc<str>,
    pub(super) settings: config::Database,
    read: OnceLock<Connections>,
    write: OnceLock<Connections>,
    outage: Outage,
}

enum Connections {
    Sqlite(Lines<sqlite::Connecting>),
    Postgres(Lines<postgres::Connecting>),
    MySql(Lines<mysql::Connecting>),
}

impl Database {
    pub(super) fn new(name: &str, settings: &config::Database) -> Self {
        Self {
            name: name.into(),
            settings: settings.clone(),
            read: OnceLock::new(),
            write: OnceLock::new(),
            outage: Outage::default(),
        }
    }

    /// The answer to `statement`, which changes nothing unless it may `write`.
    pub(super) async fn query(
        &self,
        patience: &mut Patience,
        write: bool,
        statement: String,
        params: Vec<Value>,
    ) -> Result<Rows, Failure> {
        patience.check()?;
        statement::check(&statement, params.len(), self.engine(), write)?;
        let query = Query { statement, params, read_only: !write };
        let limits = Limits {
            time: self.settings.timeout.min(patience.left()),
            rows: self.settings.rows,
            bytes: self.settings.answer_bytes,
        };
        let start = Instant::now();
        let asked = tokio::time::timeout(limits.time, self.run(query, &limits));
        let Some(answer) = patience.wait(asked).await else {
            return Err(self.late(patience, start));
        };
        match answer {
            Ok(Ok(rows)) => {
                self.worked();
                Ok(rows)
            }
            Ok(Err(Trouble::Answer(failure) | Trouble::Cut(failure))) => {
                self.worked();
                Err(failure)
            }
            Ok(Err(Trouble::Away(error))) => Err(self.away(&error)),
            Err(_) => Err(self.late(patience, start)),
        }
    }

    async fn run(&self, query: Query, limits: &Limits) -> Result<Rows, Trouble> {
        match self.connections(!query.read_only)? {
            Connections::Sqlite(lines) => run(lines, query, limits).await,
            Connections::Postgres(lines) => run(lines, query, limits).await,
            Connections::MySql(lines) => run(lines, query, limits).await,
        }
    }

    /// Nothing is connected by this.
    fn connections(&self, write: bool) -> Result<&Connections, Trouble> {
        let place = if write { &self.write } else { &self.read };
        if let Some(connections) = place.get() {
            return Ok(connections);
        }
        let (settings, most) = (&self.settings, self.settings.connections);
        let made = match &settings.address {
            DatabaseAddress::Sqlite(path) => {
                Connections::Sqlite(Lines::new(sqlite::Connecting::new(path, settings, write), most))
            }
            DatabaseAddress::Postgres(url) => {
                let opening = postgres::Connecting::new(url, settings, write).map_err(Trouble::Away)?;
                Connections::Postgres(Lines::new(opening, most))
            }
            DatabaseAddress::MySql(url) => {
                let opening = mysql::Connecting::new(url, settings, write).map_err(Trouble::Away)?;
                Connections::MySql(Lines::new(opening, most))
            }
        };
        Ok(place.get_or_init(|| made))
    }

    fn engine(&self) -> Engine {
        match self.settings.address {
            DatabaseAddress::Sqlite(_) => Engine::Sqlite,
            DatabaseAddress::Postgres(_) => Engine::Postgres,
            DatabaseAddress::MySql(_) => Engine::MySql,
        }
    }

    fn worked(&self) {
        if self.outage.worked(Instant::now()) {
            event::database_back(&self.name);
        }
    }

    fn away(&self, error: &sqlx::Error) -> Failure {
        if self.outage.failed(Instant::now()) {
            event::database_away(&self.name, error);
        }
        Failure::Unreachable(format!("the database `{}` does not answer; the log of the node says why", self.name))
    }

    fn late(&self, patience: &Patience, start: Instant) -> Failure {
        if start.elapsed() < self.settings.timeout {
            return patience.late();
        }
        if self.outage.failed(Instant::now()) {
            event::database_slow(&self.name, self.settings.timeout);
        }
        let (name, timeout) = (&self.name, self.settings.timeout);
        Failure::Unreachable(format!("no answer of the database `{name}` within its timeout of {timeout:?}"))
    }
}

/// Why the library that connects cannot make anything of an address; it says so without the address.
pub(super) fn refuse(address: &DatabaseAddress) -> Option<String> {
    let refused = match address {
        DatabaseAddress::Sqlite(_) => None,
        DatabaseAddress::Postgres(url) => postgres::options(url).err(),
        DatabaseAddress::MySql(url) => mysql::options(url).err(),
    };
    refused.map(|error| error.to_string())
}
