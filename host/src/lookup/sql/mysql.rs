//! MySQL and MariaDB.

use super::{
    Value,
    line::Opening,
    query::{Dialect, Meaning, Unread, bind},
    relay::{Relay, Server},
};
use crate::config::Database;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Executor, MySql, MySqlConnection, Row, TypeInfo, ValueRef,
    error::{BoxDynError, DatabaseError},
    mysql::{MySqlArguments, MySqlConnectOptions, MySqlDatabaseError, MySqlQueryResult, MySqlRow},
};
use std::{io, path::Path, time::Duration};

/// What the address says; everything else stays as the server has it.
pub(super) fn options(url: &str) -> Result<MySqlConnectOptions, sqlx::Error> {
    let options: MySqlConnectOptions = url.parse()?;
    let plain = options.pipes_as_concat(false).no_engine_substitution(false).timezone(None);
    Ok(plain.disable_statement_logging())
}

/// How connections to it are made.
pub(super) struct Connecting {
    options: MySqlConnectOptions,
    timeout: Duration,
    write: bool,
}

impl Connecting {
    pub(super) fn new(url: &str, settings: &Database, write: bool) -> Result<Self, sqlx::Error> {
        Ok(Self { options: options(url)?, timeout: settings.timeout, write })
    }
}

impl Opening for Connecting {
    type Dialect = MySql;

    fn relay(&self) -> Option<io::Result<Relay>> {
        let tcp = || Server::Tcp(self.options.get_host().to_owned(), self.options.get_port());
        let server = self.options.get_socket().map_or_else(tcp, |path| Server::Unix(path.clone()));
        Some(Relay::new(server, ""))
    }

    /// The certificate that is asked for is that of the host in the address all the same.
    async fn open(&self, through: Option<&Path>) -> Result<MySqlConnection, sqlx::Error> {
        let options = through.map_or_else(|| self.options.clone(), |socket| self.options.clone().socket(socket));
        let mut connection = options.connect().await?;
        begin(&mut connection, self.timeout, self.write).await?;
        Ok(connection)
    }
}

/// Statements end on the server's side, too, when their time is over, and change nothing where that is not granted.
async fn begin(connection: &mut MySqlConnection, timeout: Duration, write: bool) -> Result<(), sqlx::Error> {
    let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut *connection).await?;
    let limit = match version.contains("MariaDB") {
        true => format!("SET SESSION max_statement_time = {}", timeout.as_secs_f64()),
        // Only for what reads.
        false => format!("SET SESSION max_execution_time = {}", timeout.as_millis()),
    };
    connection.execute(sqlx::raw_sql(AssertSqlSafe(limit))).await?;
    if !write {
        connection.execute(sqlx::raw_sql("SET SESSION TRANSACTION READ ONLY")).await?;
    }
    Ok(())
}

impl Dialect for MySql {
    fn bind(arguments: &mut MySqlArguments, value: Value) -> Result<(), BoxDynError> {
        bind::<Self>(arguments, value)
    }

    fn read(row: &MySqlRow, index: usize) -> Result<Value, Unread> {
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let kind = raw.type_info();
        Ok(match kind.name() {
            "BOOLEAN" => Value::Boolean(row.try_get_unchecked(index)?),
            "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => Value::Integer(row.try_get_unchecked(index)?),
            "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED" | "BIGINT UNSIGNED"
            | "YEAR" => {
                let number: u64 = row.try_get_unchecked(index)?;
                let too_large = |_| Unread::Type("BIGINT UNSIGNED beyond 64 bits with a sign".to_owned());
                Value::Integer(i64::try_from(number).map_err(too_large)?)
            }
            "FLOAT" => Value::Float(row.try_get_unchecked::<f32, _>(index)?.into()),
            "DOUBLE" => Value::Float(row.try_get_unchecked(index)?),
            "CHAR" | "VARCHAR" | "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" | "ENUM" | "SET" | "DECIMAL"
            | "JSON" => Value::Text(row.try_get_unchecked(index)?),
            "BINARY" | "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" => {
                Value::Bytes(row.try_get_unchecked(index)?)
            }
            other => return Err(Unread::Type(other.to_owned())),
        })
    }

    fn changed(done: &MySqlQueryResult) -> u64 {
        done.rows_affected()
    }

    /// Source: <https://mariadb.com/kb/en/mariadb-error-code-reference/>.
    fn meaning(said: &dyn DatabaseError) -> Meaning {
        match said.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number) {
            Some(1792) => Meaning::ReadOnly,
            Some(1044 | 1142 | 1143 | 1227 | 1370) => Meaning::Forbidden,
            // An option of the server forbids it, which only that of being read-only as a whole will not for ever.
            Some(1290) if !said.message().contains("read") => Meaning::Forbidden,
            // Too many clients, ending, a lock, a deadlock, out of time, killed, read-only as a whole.
            Some(1040 | 1053 | 1077 | 1205 | 1213 | 1290 | 1317 | 1836 | 1927 | 1969 | 3024) => Meaning::Passing,
            _ => Meaning::Invalid,
        }
    }
}
