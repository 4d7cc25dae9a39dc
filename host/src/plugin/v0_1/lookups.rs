//! The imports `store` and `sql`: the instance sleeps on its own stack until the host has the answer.

use super::{Cx, PACKAGE, VERSION};
use crate::{
    event,
    lookup::{self, Access, Patience},
    plugin::{clock, state::State},
};
use std::sync::Arc;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

#[derive(ComponentType, Lower)]
#[component(variant)]
enum Failure {
    #[component(name = "denied")]
    Denied(String),
    #[component(name = "invalid")]
    Invalid(String),
    #[component(name = "unavailable")]
    Unavailable(String),
    #[component(name = "too-large")]
    TooLarge(String),
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Value {
    #[component(name = "null")]
    Null,
    #[component(name = "boolean")]
    Boolean(bool),
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "float")]
    Float(f64),
    #[component(name = "text")]
    Text(String),
    #[component(name = "bytes")]
    Bytes(Vec<u8>),
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    affected: u64,
}

impl From<Value> for lookup::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(truth) => Self::Boolean(truth),
            Value::Integer(number) => Self::Integer(number),
            Value::Float(number) => Self::Float(number),
            Value::Text(text) => Self::Text(text),
            Value::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

impl From<lookup::Value> for Value {
    fn from(value: lookup::Value) -> Self {
        match value {
            lookup::Value::Null => Self::Null,
            lookup::Value::Boolean(truth) => Self::Boolean(truth),
            lookup::Value::Integer(number) => Self::Integer(number),
            lookup::Value::Float(number) => Self::Float(number),
            lookup::Value::Text(text) => Self::Text(text),
            lookup::Value::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

impl From<lookup::Rows> for Rows {
    fn from(rows: lookup::Rows) -> Self {
        let lookup::Rows { columns, rows, affected } = rows;
        let rows = rows.into_iter().map(|row| row.into_iter().map(Value::from).collect()).collect();
        Self { columns, rows, affected }
    }
}

impl From<lookup::Failure> for Failure {
    fn from(failure: lookup::Failure) -> Self {
        match failure {
            lookup::Failure::Denied(why) => Self::Denied(why),
            lookup::Failure::Invalid(why) => Self::Invalid(why),
            lookup::Failure::Unreachable(why) => Self::Unavailable(why),
            lookup::Failure::TooLarge(why) => Self::TooLarge(why),
        }
    }
}

/// A lookup under way.
struct Lookup<'a> {
    cx: Cx<'a>,
    access: Arc<Access>,
    patience: Patience,
}

impl<'a> Lookup<'a> {
    fn new(mut cx: Cx<'a>) -> wasmtime::Result<Self> {
        let looking = cx.data_mut().looking.as_mut().ok_or_else(unlinked)?;
        let (access, patience) = looking.pause();
        Ok(Self { cx, access, patience })
    }

    /// Wakes the guest with its answer; its own time goes on where it stood.
    fn done<T>(mut self, answer: Result<T, lookup::Failure>) -> wasmtime::Result<(Result<T, Failure>,)> {
        let State { looking, clock, console, .. } = self.cx.data_mut();
        let may = looking.as_mut().ok_or_else(unlinked)?.go_on(self.patience, &answer, clock);
        if let Err(lookup::Failure::Denied(why)) = &answer {
            event::lookup_denied(self.access.plugin(), console.message().as_deref(), why);
        }
        clock::go_on(&mut self.cx, may);
        Ok((answer.map_err(Failure::from),))
    }
}

/// Only an instance that imports lookups calls them, and each of those has what it needs.
fn unlinked() -> wasmtime::Error {
    wasmtime::Error::msg("the instance cannot look anything up")
}

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    store(linker)?;
    sql(linker)
}

fn store(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut store = linker.instance(&format!("{PACKAGE}store@{VERSION}"))?;
    store.func_wrap_async("get", |cx, (key,): (String,)| {
        Box::new(async move {
            let mut lookup = Lookup::new(cx)?;
            let found = lookup.access.get(&mut lookup.patience, &key).await;
            lookup.done(found.map(|value| value.map(Vec::<u8>::from)))
        })
    })?;
    store.func_wrap_async("set", |cx, (key, value, expires): (String, Vec<u8>, Option<u64>)| {
        Box::new(async move {
            let mut lookup = Lookup::new(cx)?;
            let set = lookup.access.set(&mut lookup.patience, &key, value, expires).await;
            lookup.done(set)
        })
    })?;
    store.func_wrap_async("add", |cx, (key, value, expires): (String, Vec<u8>, Option<u64>)| {
        Box::new(async move {
            let mut lookup = Lookup::new(cx)?;
            let added = lookup.access.add(&mut lookup.patience, &key, value, expires).await;
            lookup.done(added)
        })
    })?;
    store.func_wrap_async("increment", |cx, (key, by, expires): (String, i64, Option<u64>)| {
        Box::new(async move {
            let mut lookup = Lookup::new(cx)?;
            let number = lookup.access.increment(&mut lookup.patience, &key, by, expires).await;
            lookup.done(number)
        })
    })?;
    store.func_wrap_async("delete", |cx, (key,): (String,)| {
        Box::new(async move {
            let mut lookup = Lookup::new(cx)?;
            let deleted = lookup.access.delete(&mut lookup.patience, &key).await;
            lookup.done(deleted)
        })
    })
}

fn sql(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut sql = linker.instance(&format!("{PACKAGE}sql@{VERSION}"))?;
    sql.func_wrap_async("query", |cx, (database, statement, params): (String, String, Vec<Value>)| {
        Box::new(async move {
            let mut lookup = Lookup::new(cx)?;
            let params = params.into_iter().map(Into::into).collect();
            let rows = lookup.access.query(&mut lookup.patience, &database, statement, params).await;
            lookup.done(rows.map(Rows::from))
        })
    })
}
