//! SQLite: a file, read by threads of the library.

use super::{
    Value,
    line::Opening,
    query::{Dialect, Meaning, Unread, Watch, bind},
    relay::Relay,
};
use crate::config::Database;
use libsqlite3_sys::{SQLITE_LIMIT_LENGTH, sqlite3_limit};
use sqlx::{
    ConnectOptions, Row, Sqlite, SqliteConnection, TypeInfo, ValueRef,
    error::{BoxDynError, DatabaseError},
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteQueryResult, SqliteRow},
};
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Instructions between two looks at the clock.
const STEPS: i32 = 1_000;
/// Bytes that all connections of the process may use together; a statement can ask for a gigabyte at once.
const HEAP: &str = "268435456";
/// Bytes of one value or row, whatever it is made for: the library has a row twice and cannot tell that there is no memory for that.
const VALUE: i32 = 64 << 20;

/// How connections to it are made.
pub(super) struct Connecting(SqliteConnectOptions);

impl Connecting {
    /// What may only read opens the file for nothing else.
    pub(super) fn new(path: &Path, settings: &Database, write: bool) -> Self {
        let file = SqliteConnectOptions::new()
            .filename(path)
            .read_only(!write)
            .create_if_missing(false)
            .busy_timeout(settings.timeout)
            .pragma("hard_heap_limit", HEAP)
            .pragma("trusted_schema", "OFF");
        Self(file.disable_statement_logging())
    }
}

impl Opening for Connecting {
    type Dialect = Sqlite;

    /// It has no server.
    fn relay(&self) -> Option<io::Result<Relay>> {
        None
    }

    async fn open(&self, _through: Option<&Path>) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = self.0.connect().await?;
        limit(&mut connection).await?;
        Ok(connection)
    }
}

#[expect(unsafe_code, reason = "nothing else sets a limit of SQLite")]
async fn limit(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut locked = connection.lock_handle().await?;
    // SAFETY: the handle is that of an open database, which nobody else uses while it is locked, and only a number is set.
    unsafe { sqlite3_limit(locked.as_raw_handle().as_ptr(), SQLITE_LIMIT_LENGTH, VALUE) };
    Ok(())
}

impl Dialect for Sqlite {
    fn bind(arguments: &mut SqliteArguments, value: Value) -> Result<(), BoxDynError> {
        bind::<Self>(arguments, value)
    }

    fn read(row: &SqliteRow, index: usize) -> Result<Value, Unread> {
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let kind = raw.type_info();
        Ok(match kind.name() {
            "INTEGER" | "BOOLEAN" => Value::Integer(row.try_get_unchecked(index)?),
            "REAL" => Value::Float(row.try_get_unchecked(index)?),
            "TEXT" => Value::Text(row.try_get_unchecked(index)?),
            "BLOB" => Value::Bytes(row.try_get_unchecked(index)?),
            other => return Err(Unread::Type(other.to_owned())),
        })
    }

    fn changed(done: &SqliteQueryResult) -> u64 {
        done.rows_affected()
    }

    /// Source: <https://www.sqlite.org/rescode.html>; the lowest byte is the kind of error.
    fn meaning(said: &dyn DatabaseError) -> Meaning {
        let code: i32 = said.code().and_then(|code| code.parse().ok()).unwrap_or_default();
        match code & 0xff {
            8 => Meaning::ReadOnly,
            3 | 23 => Meaning::Forbidden,
            18 => Meaning::TooLarge,
            // BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL.
            5 | 6 | 7 | 9 | 10 | 13 | 14 | 15 => Meaning::Passing,
            _ => Meaning::Invalid,
        }
    }

    /// The thread that works on a statement does not notice when nobody waits for it any more.
    async fn watch(connection: &mut SqliteConnection, time: Duration) -> Result<Watch, sqlx::Error> {
        let over = Arc::new(AtomicBool::new(false));
        let (seen, end) = (Arc::clone(&over), Instant::now() + time);
        let goes_on = move || !seen.load(Ordering::Relaxed) && Instant::now() < end;
        connection.lock_handle().await?.set_progress_handler(STEPS, goes_on);
        Ok(Some(Box::new(Ending(over))))
    }
}

/// Ends the statement when it is dropped.
struct Ending(Arc<AtomicBool>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
