//! PostgreSQL.

use super::{
    Value,
    line::Opening,
    query::{Dialect, Meaning, Unread, bind},
    relay::{Relay, Server},
};
use crate::config::Database;
use sqlx::{
    Arguments, AssertSqlSafe, ConnectOptions, Encode, Executor, PgConnection, Postgres, Row, Type, TypeInfo, ValueRef,
    encode::IsNull,
    error::{BoxDynError, DatabaseError},
    postgres::{
        PgArgumentBuffer, PgArguments, PgConnectOptions, PgQueryResult, PgRow, PgTypeInfo, PgTypeKind, types::Oid,
    },
};
use std::{io, path::Path};

/// What the address says.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(url.parse::<PgConnectOptions>()?.application_name("gristmill").disable_statement_logging())
}

/// How connections to it are made.
pub(super) struct Connecting {
    options: PgConnectOptions,
    /// What a session begins with.
    session: String,
}

impl Connecting {
    /// Statements end on the server's side, too, when their time is over.
    pub(super) fn new(url: &str, settings: &Database, write: bool) -> Result<Self, sqlx::Error> {
        let millis = settings.timeout.as_millis();
        let read_only = if write { "off" } else { "on" };
        let session = format!("SET statement_timeout = {millis}; SET default_transaction_read_only = {read_only}");
        Ok(Self { options: options(url)?, session })
    }

    /// How the name of every socket of a server ends.
    fn tail(&self) -> String {
        format!("/.s.PGSQL.{}", self.options.get_port())
    }

    fn server(&self) -> Server {
        let host = self.options.get_host();
        let dir = self.options.get_socket().map(|dir| dir.display().to_string());
        match dir.or_else(|| host.starts_with('/').then(|| host.to_owned())) {
            Some(dir) => Server::Unix(format!("{dir}{}", self.tail()).into()),
            None => Server::Tcp(host.to_owned(), self.options.get_port()),
        }
    }
}

impl Opening for Connecting {
    type Dialect = Postgres;

    fn relay(&self) -> Option<io::Result<Relay>> {
        Some(Relay::new(self.server(), &self.tail()))
    }

    /// The certificate that is asked for is that of the host in the address all the same.
    async fn open(&self, through: Option<&Path>) -> Result<PgConnection, sqlx::Error> {
        let options = through.map_or_else(|| self.options.clone(), |socket| self.options.clone().socket(socket));
        let mut connection = options.connect().await?;
        connection.execute(sqlx::raw_sql(AssertSqlSafe(self.session.clone()))).await?;
        Ok(connection)
    }
}

impl Dialect for Postgres {
    /// A statement could set the session to something else, but not the transaction that it runs in; and what it sets is
    /// undone with that.
    const AROUND: Option<(&'static str, &'static str)> = Some(("BEGIN READ ONLY", "ROLLBACK"));

    fn bind(arguments: &mut PgArguments, value: Value) -> Result<(), BoxDynError> {
        match value {
            Value::Null => Arguments::add(arguments, Null),
            value => bind::<Self>(arguments, value),
        }
    }

    fn read(row: &PgRow, index: usize) -> Result<Value, Unread> {
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let kind = raw.type_info();
        if matches!(kind.kind(), PgTypeKind::Enum(_)) {
            return Ok(Value::Text(row.try_get_unchecked(index)?));
        }
        Ok(match kind.name() {
            "BOOL" => Value::Boolean(row.try_get_unchecked(index)?),
            "INT2" => Value::Integer(row.try_get_unchecked::<i16, _>(index)?.into()),
            "INT4" => Value::Integer(row.try_get_unchecked::<i32, _>(index)?.into()),
            "INT8" => Value::Integer(row.try_get_unchecked(index)?),
            "FLOAT4" => Value::Float(row.try_get_unchecked::<f32, _>(index)?.into()),
            "FLOAT8" => Value::Float(row.try_get_unchecked(index)?),
            "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" | "JSON" => Value::Text(row.try_get_unchecked(index)?),
            "BYTEA" => Value::Bytes(row.try_get_unchecked(index)?),
            "VOID" => Value::Null,
            other => return Err(Unread::Type(other.to_owned())),
        })
    }

    fn changed(done: &PgQueryResult) -> u64 {
        done.rows_affected()
    }

    /// Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn meaning(said: &dyn DatabaseError) -> Meaning {
        let code = said.code().unwrap_or_default();
        match (&*code, code.get(..2)) {
            ("25006", _) => Meaning::ReadOnly,
            ("42501", _) => Meaning::Forbidden,
            // No connection, a rollback, no resources, no suitable state, an operator, the system.
            (_, Some("08" | "40" | "53" | "55" | "57" | "58")) => Meaning::Passing,
            _ => Meaning::Invalid,
        }
    }
}

/// A null of whatever type the statement wants.
struct Null;

impl Type<Postgres> for Null {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Null {
    fn encode_by_ref(&self, _: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(IsNull::Yes)
    }
}
