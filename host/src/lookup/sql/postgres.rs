//! PostgreSQL.

use super::{
    Value,
    query::{Dialect, Meaning, Unread, bind, pool as connections},
};
use crate::config::Database;
use sqlx::{
    Arguments, AssertSqlSafe, ConnectOptions, Encode, Executor, PgConnection, Pool, Postgres, Row, Type, TypeInfo,
    ValueRef,
    encode::IsNull,
    error::{BoxDynError, DatabaseError},
    postgres::{
        PgArgumentBuffer, PgArguments, PgConnectOptions, PgQueryResult, PgRow, PgTypeInfo, PgTypeKind, types::Oid,
    },
};

/// What the address says.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(url.parse::<PgConnectOptions>()?.application_name("gristmill").disable_statement_logging())
}

/// Statements end on the server's side, too, when their time is over.
pub(super) fn pool(url: &str, settings: &Database, write: bool) -> Result<Pool<Postgres>, sqlx::Error> {
    let millis = settings.timeout.as_millis();
    let read_only = if write { "off" } else { "on" };
    let session = format!("SET statement_timeout = {millis}; SET default_transaction_read_only = {read_only}");
    Ok(connections(settings)
        .after_connect(move |connection, _| Box::pin(begin(connection, session.clone())))
        .connect_lazy_with(options(url)?))
}

async fn begin(connection: &mut PgConnection, session: String) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(session))).await.map(drop)
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
