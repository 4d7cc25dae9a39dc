//! One question to one database, whatever its kind: a connection, a statement with its values, rows as far as they go.

use super::{
    super::Failure,
    Rows, Value,
    line::{Line, Lines, Opening, carried, too_long},
    statement::read_only,
};
use futures_util::TryStreamExt;
use sqlx::{
    Arguments, AssertSqlSafe, Column, Either, Encode, Executor, IntoArguments, Row, Type,
    error::{BoxDynError, DatabaseError},
};
use std::{future::ready, time::Duration};

/// What is asked.
pub(super) struct Query {
    pub(super) statement: String,
    pub(super) params: Vec<Value>,
    pub(super) read_only: bool,
}

/// How far it may go.
pub(super) struct Limits {
    pub(super) time: Duration,
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// Puts a value behind the others, where the database has a type for each kind.
pub(super) fn bind<D>(arguments: &mut <D as sqlx::Database>::Arguments, value: Value) -> Result<(), BoxDynError>
where
    D: sqlx::Database,
    Option<String>: for<'q> Encode<'q, D> + Type<D>,
    bool: for<'q> Encode<'q, D> + Type<D>,
    i64: for<'q> Encode<'q, D> + Type<D>,
    f64: for<'q> Encode<'q, D> + Type<D>,
    String: for<'q> Encode<'q, D> + Type<D>,
    Vec<u8>: for<'q> Encode<'q, D> + Type<D>,
{
    match value {
        Value::Null => arguments.add(None::<String>),
        Value::Boolean(truth) => arguments.add(truth),
        Value::Integer(number) => arguments.add(number),
        Value::Float(number) => arguments.add(number),
        Value::Text(text) => arguments.add(text),
        Value::Bytes(bytes) => arguments.add(bytes),
    }
}

/// Why there is no answer.
pub(super) enum Trouble {
    /// The database has said so.
    Answer(Failure),
    /// So have we, in the middle of its answer.
    Cut(Failure),
    /// There is no database that would.
    Away(sqlx::Error),
}

/// What an error of a database means to whoever asked.
pub(super) enum Meaning {
    /// It cannot be asked like this.
    Invalid,
    /// It would have changed something.
    ReadOnly,
    /// The database's own user may not do this.
    Forbidden,
    /// A value is longer than there may be any.
    TooLarge,
    /// It may succeed another time: a lock, a limit, an end.
    Passing,
}

/// A kind of database.
pub(super) trait Dialect: sqlx::Database {
    /// Puts a value behind the others.
    fn bind(arguments: &mut <Self as sqlx::Database>::Arguments, value: Value) -> Result<(), BoxDynError>;

    /// The value in this column; an error names the column's type where lookups do not have it.
    fn read(row: &Self::Row, index: usize) -> Result<Value, Unread>;

    /// How many rows were changed.
    fn changed(done: &Self::QueryResult) -> u64;

    /// What the database means by this.
    fn meaning(said: &dyn DatabaseError) -> Meaning;

    /// Sees to it that the statement ends in time and when nobody waits for it any more, where closing the connection does not.
    fn watch(
        _connection: &mut Self::Connection,
        _time: Duration,
    ) -> impl Future<Output = Result<Watch, sqlx::Error>> + Send {
        ready(Ok(None))
    }

    /// What goes before and after a statement that only reads, where the session does not suffice.
    const AROUND: Option<(&'static str, &'static str)> = None;
}

/// Ends the statement when it is dropped.
pub(super) type Watch = Option<Box<dyn Send>>;

/// Why a value is not read.
pub(super) enum Unread {
    /// Lookups have nothing like it.
    Type(String),
    Broken(sqlx::Error),
}

impl From<sqlx::Error> for Unread {
    fn from(error: sqlx::Error) -> Self {
        Self::Broken(error)
    }
}

/// The answer to `query`. A connection that this is dropped in the middle of is closed, not given back.
pub(super) async fn run<O, D>(lines: &Lines<O>, query: Query, limits: &Limits) -> Result<Rows, Trouble>
where
    O: Opening<Dialect = D>,
    D: Dialect,
    D::Arguments: IntoArguments<D>,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    let _turn = lines.turn().await?;
    let mut line = lines.line(limits).await?;
    let Line { connection, relay, .. } = &mut line;
    let answer = carried(relay.as_mut(), limits, whole::<D>(connection, query, limits)).await;
    if !matches!(answer, Err(Trouble::Away(_) | Trouble::Cut(_))) {
        lines.keep(line);
    }
    answer
}

/// With what goes around it.
async fn whole<D>(connection: &mut D::Connection, query: Query, limits: &Limits) -> Result<Rows, Trouble>
where
    D: Dialect,
    D::Arguments: IntoArguments<D>,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    let around = D::AROUND.filter(|_| query.read_only);
    if let Some((before, _)) = around {
        (&mut *connection).execute(sqlx::raw_sql(before)).await.map_err(Trouble::Away)?;
    }
    let watch = D::watch(connection, limits.time).await.map_err(Trouble::Away)?;
    let answer = ask::<D>(connection, query, limits).await;
    if matches!(answer, Err(Trouble::Away(_) | Trouble::Cut(_))) {
        return answer;
    }
    if let Some((_, after)) = around {
        (&mut *connection).execute(sqlx::raw_sql(after)).await.map_err(Trouble::Away)?;
    }
    drop(watch);
    answer
}

async fn ask<D>(connection: &mut D::Connection, query: Query, limits: &Limits) -> Result<Rows, Trouble>
where
    D: Dialect,
    D::Arguments: IntoArguments<D>,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    let mut arguments = <D as sqlx::Database>::Arguments::default();
    for value in query.params {
        let unfit = |error: BoxDynError| Trouble::Answer(Failure::Invalid(error.to_string()));
        D::bind(&mut arguments, value).map_err(unfit)?;
    }
    let mut answer = Rows::default();
    let mut bytes = 0;
    let asked = sqlx::query_with(AssertSqlSafe(query.statement), arguments);
    let mut steps = connection.fetch_many(asked);
    let mut whole = false;
    while let Some(step) = steps.try_next().await.map_err(told::<D>)? {
        match step {
            Either::Left(done) => {
                answer.affected += D::changed(&done);
                whole = true;
            }
            Either::Right(row) => take::<D>(&mut answer, &mut bytes, &row, limits)?,
        }
    }
    // An answer without its end is none: what works for the library may have run out of memory.
    if whole { Ok(answer) } else { Err(Trouble::Away(sqlx::Error::WorkerCrashed)) }
}

/// Takes one more row, if there is room for it.
fn take<D: Dialect>(answer: &mut Rows, bytes: &mut usize, row: &D::Row, limits: &Limits) -> Result<(), Trouble> {
    let most = limits.rows;
    if answer.rows.len() >= most {
        let text = format!("the answer has more rows than the {most} that the database's `rows` allows");
        return Err(Trouble::Cut(Failure::TooLarge(text)));
    }
    if answer.columns.is_empty() {
        answer.columns = row.columns().iter().map(|column| column.name().to_owned()).collect();
    }
    let mut values = Vec::with_capacity(answer.columns.len());
    for (index, name) in answer.columns.iter().enumerate() {
        let value = D::read(row, index).map_err(|unread| Trouble::Cut(unread.of(name)))?;
        *bytes += size(&value);
        values.push(value);
    }
    if *bytes > limits.bytes {
        return Err(Trouble::Cut(too_long(limits)));
    }
    answer.rows.push(values);
    Ok(())
}

impl Unread {
    fn of(self, column: &str) -> Failure {
        Failure::Invalid(match self {
            Self::Type(kind) => {
                format!("column `{column}` is of the type {kind}, which lookups do not have; cast it, such as to text")
            }
            Self::Broken(error) => format!("column `{column}`: {error}"),
        })
    }
}

/// About what a value takes in a guest.
fn size(value: &Value) -> usize {
    16 + match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

fn told<D: Dialect>(error: sqlx::Error) -> Trouble {
    let said = match &error {
        sqlx::Error::Database(said) => said,
        sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::InvalidArgument(_)
        | sqlx::Error::TypeNotFound { .. } => {
            return Trouble::Answer(Failure::Invalid(error.to_string()));
        }
        _ => return Trouble::Away(error),
    };
    Trouble::Answer(judge::<D>(&**said))
}

fn judge<D: Dialect>(said: &dyn DatabaseError) -> Failure {
    let text = said.message().to_owned();
    match D::meaning(said) {
        Meaning::Invalid => Failure::Invalid(text),
        Meaning::ReadOnly => read_only(),
        Meaning::Forbidden => Failure::Denied(text),
        Meaning::TooLarge => Failure::TooLarge(text),
        Meaning::Passing => Failure::Unreachable(text),
    }
}
