//! What a message may ask for, and the answers, as JSON.

use gristmill_sdk::{LookupFailure, Result, sql, store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Ask {
    Get {
        key: String,
    },
    Set {
        key: String,
        value: String,
        ms: Option<u64>,
    },
    /// Sets a value of so many bytes.
    Fill {
        key: String,
        bytes: usize,
    },
    Add {
        key: String,
        value: String,
        ms: Option<u64>,
    },
    Increment {
        key: String,
        by: i64,
        ms: Option<u64>,
    },
    Delete {
        key: String,
    },
    /// The rows of the answer, or how many were changed where there are none.
    Query {
        database: String,
        statement: String,
        #[serde(default)]
        params: Vec<Value>,
    },
}

/// The answers to everything in `payload`, in order.
pub(crate) fn all(payload: &[u8]) -> Result<Vec<Value>> {
    let asked: Vec<Ask> = serde_json::from_slice(payload)?;
    Ok(asked.iter().map(|ask| ask.answer().unwrap_or_else(told)).collect())
}

fn told(failure: LookupFailure) -> Value {
    match failure {
        LookupFailure::Denied(why) => json!({ "denied": why }),
        LookupFailure::Invalid(why) => json!({ "invalid": why }),
        LookupFailure::Unavailable(why) => json!({ "unavailable": why }),
        LookupFailure::TooLarge(why) => json!({ "too-large": why }),
    }
}

impl Ask {
    fn answer(&self) -> Result<Value, LookupFailure> {
        let lasts = |ms: &Option<u64>| ms.map(Duration::from_millis);
        Ok(match self {
            Self::Get { key } => store::get_text(key)?.into(),
            Self::Set { key, value, ms } => {
                store::set(key, value, lasts(ms))?;
                "set".into()
            }
            Self::Fill { key, bytes } => {
                store::set(key, vec![b'x'; *bytes], None)?;
                "set".into()
            }
            Self::Add { key, value, ms } => store::add(key, value, lasts(ms))?.into(),
            Self::Increment { key, by, ms } => store::increment(key, *by, lasts(ms))?.into(),
            Self::Delete { key } => store::delete(key)?.into(),
            Self::Query { database, statement, params } => {
                let params: Vec<sql::Value> = params.iter().map(given).collect();
                let answer = sql::query(database, statement, params)?;
                let rows = answer.rows.iter().map(|row| row.iter().map(shown).collect::<Vec<_>>());
                if answer.is_empty() { answer.affected.into() } else { rows.collect::<Vec<_>>().into() }
            }
        })
    }
}

fn given(value: &Value) -> sql::Value {
    match value {
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64().into(),
        },
        Value::String(text) => text.into(),
        Value::Array(bytes) => {
            let bytes = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
            bytes.collect::<Vec<u8>>().into()
        }
        Value::Null | Value::Object(_) => sql::Value::Null,
    }
}

fn shown(value: &sql::Value) -> Value {
    match value {
        sql::Value::Null => Value::Null,
        sql::Value::Boolean(truth) => (*truth).into(),
        sql::Value::Integer(number) => (*number).into(),
        sql::Value::Float(number) => (*number).into(),
        sql::Value::Text(text) => text.as_str().into(),
        sql::Value::Bytes(bytes) => bytes.clone().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_has_its_answer() -> Result<()> {
        let asked = br#"[{"set":{"key":"a","value":"1"}},{"increment":{"key":"a","by":2}},{"get":{"key":""}}]"#;
        let answers = all(asked)?;
        assert_eq!(answers[..2], [json!("set"), json!(3)]);
        assert!(answers[2]["invalid"].is_string());
        Ok(())
    }
}
