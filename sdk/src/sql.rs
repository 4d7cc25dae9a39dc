//! Databases that the operator has granted: PostgreSQL, MySQL, MariaDB and SQLite.
//!
//! The operator names them in `[database.NAME]` and grants them with `allow_sql`, to read or to change too; he bounds rows, bytes and
//! time. One statement at a time, with values beside it and never inside: `?` stands for one, or `$1`, `$2`, … for PostgreSQL.
//! Nothing can be looked up in `new`.
//!
//! ```
//! use gristmill_sdk::{Error, Message, Result, Verdict, filter, json::Paths, sql};
//!
//! #[derive(serde::Deserialize)]
//! struct Order {
//!     customer: i64,
//! }
//!
//! #[filter]
//! fn with_name(mut message: Message) -> Result<Verdict> {
//!     let order: Order = message.json()?;
//!     let rows = sql::query("shop", "SELECT name, vip FROM customers WHERE id = ?", (order.customer,))?;
//!     let customer = rows.first().ok_or(Error::reject("no such customer"))?;
//!     message.set_header("customer", customer.get::<String>("name")?);
//!     if customer.get::<Option<bool>>("vip")? == Some(true) {
//!         message.set_header("queue", "first");
//!     }
//!     Ok(message.into())
//! }
//!
//! // In a native test the answers are the test's own.
//! sql::answer(|_, _, params| match params {
//!     [sql::Value::Integer(7)] => Ok(sql::Rows::test(["name", "vip"], [("ann", true)])),
//!     _ => Ok(sql::Rows::default()),
//! });
//! let verdict = with_name(Message::test(r#"{"customer": 7}"#))?;
//! assert_eq!(verdict, gristmill_sdk::Change::default().with_header("customer", "ann").with_header("queue", "first").into());
//! assert!(with_name(Message::test(r#"{"customer": 8}"#)).is_err());
//! # Ok::<(), gristmill_sdk::Error>(())
//! ```

mod value;

pub use value::{FromValue, Params, Value};

use crate::{Error, LookupFailure, Result};

#[cfg(not(target_family = "wasm"))]
use sample as host;
#[cfg(not(target_family = "wasm"))]
pub use sample::answer;

/// What came of a statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Their names; none where there is no row.
    pub columns: Vec<String>,
    /// Each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
    /// How many rows were changed.
    pub affected: u64,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'r> {
    columns: &'r [String],
    values: &'r [Value],
}

/// The answer of `database` to `statement`, whose values are `params`: a tuple, an array, or a `Vec` of [`Value`].
///
/// # Errors
/// Without the grant, beyond the operator's bounds, where the statement is wrong, or where there is no answer in time.
pub fn query(database: &str, statement: &str, params: impl Params) -> Result<Rows, LookupFailure> {
    host::query(database, statement, params.into_values())
}

impl Rows {
    /// Rows for a test: the names of the columns, and a tuple or an array for each row.
    pub fn test<C: Into<String>, R: Params>(
        columns: impl IntoIterator<Item = C>,
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        Self { columns, rows: rows.into_iter().map(Params::into_values).collect(), affected: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row { columns: &self.columns, values })
    }

    /// The first one, if there is any.
    pub fn first(&self) -> Option<Row<'_>> {
        self.iter().next()
    }
}

impl Row<'_> {
    /// The value in `column`; `Option` of a type for one that may be null.
    ///
    /// # Errors
    /// A rejection if there is no such column, or its value is of another type.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T> {
        let index = self.columns.iter().position(|name| name == column);
        let index = index.ok_or_else(|| Error::reject(format!("the answer has no column `{column}`")))?;
        self.at(index).map_err(|error| error.within(&format!("column `{column}`")))
    }

    /// The value in the column of this number, counted from 0.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn at<T: FromValue>(&self, column: usize) -> Result<T> {
        let value = self.values.get(column);
        let value = value.ok_or_else(|| Error::reject(format!("the answer has no column number {column}")))?;
        T::from_value(value).ok_or_else(|| Error::reject(format!("holds {}, which is no {}", value.kind(), T::WANTED)))
    }
}

/// The host itself.
#[cfg(target_family = "wasm")]
mod host {
    use super::{Rows, Value};
    use crate::{LookupFailure, bindings::sql};

    pub(super) fn query(database: &str, statement: &str, params: Vec<Value>) -> Result<Rows, LookupFailure> {
        let params: Vec<sql::Value> = params.into_iter().map(Into::into).collect();
        let sql::Rows { columns, rows, affected } = sql::query(database, statement, &params)?;
        let rows = rows.into_iter().map(|row| row.into_iter().map(Into::into).collect()).collect();
        Ok(Rows { columns, rows, affected })
    }
}

/// What stands in for the host in native tests.
#[cfg(not(target_family = "wasm"))]
mod sample {
    use super::{Rows, Value};
    use crate::LookupFailure;
    use std::cell::RefCell;

    type Answer = Box<dyn FnMut(&str, &str, &[Value]) -> Result<Rows, LookupFailure>>;

    thread_local! {
        static ANSWER: RefCell<Option<Answer>> = const { RefCell::new(None) };
    }

    /// Native tests only: from now on this thread's questions, a database, a statement and its values, are answered so.
    pub fn answer(answer: impl FnMut(&str, &str, &[Value]) -> Result<Rows, LookupFailure> + 'static) {
        ANSWER.set(Some(Box::new(answer)));
    }

    pub(super) fn query(database: &str, statement: &str, params: Vec<Value>) -> Result<Rows, LookupFailure> {
        let none = || LookupFailure::Denied("the test has no answer to this; give one with `sql::answer`".to_owned());
        ANSWER.with_borrow_mut(|answer| answer.as_mut().ok_or_else(none)?(database, statement, &params))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_by_name_and_by_number() {
        let rows = Rows::test(["id", "name"], [(7, Some("ann")), (8, None)]);
        let first = rows.first().unwrap();
        assert_eq!((first.get::<u8>("id"), first.at::<String>(1)), (Ok(7), Ok("ann".to_owned())));
        let names: Result<Vec<Option<String>>> = rows.iter().map(|row| row.get("name")).collect();
        assert_eq!(names, Ok(vec![Some("ann".to_owned()), None]));
        assert_eq!((rows.len(), rows.is_empty()), (2, false));
    }

    #[test]
    fn what_does_not_fit_is_rejected_by_name() {
        let rows = Rows::test(["id", "name"], [(300, None::<String>)]);
        let row = rows.first().unwrap();
        let reason = |error: Error| error.reason().to_owned();
        assert_eq!(
            reason(row.get::<u8>("id").unwrap_err()),
            "column `id`: holds 300, which is no whole number of 8 bits"
        );
        assert_eq!(reason(row.get::<String>("name").unwrap_err()), "column `name`: holds null, which is no text");
        assert_eq!(reason(row.get::<i64>("x").unwrap_err()), "the answer has no column `x`");
        assert!(row.at::<i64>(2).is_err());
    }

    #[test]
    fn a_test_without_answers_is_told_so() {
        let failure = std::thread::spawn(|| query("shop", "SELECT 1", ())).join().unwrap().unwrap_err();
        assert!(failure.reason().contains("sql::answer"));
    }
}
