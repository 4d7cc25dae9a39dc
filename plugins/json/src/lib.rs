//! A filter that checks JSON messages against a schema and reshapes them: pick, remove, rename, set.

mod rename;
mod schema;
mod validate;

use gristmill_sdk::{
    Error, Filter, Message, Result, Verdict, filter,
    json::{self, Edit, Json, Paths},
};
use rename::Rename;
use schema::Schema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

gristmill_sdk::needs!();

/// The plugin's `config`; its steps are taken in this order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Paths of strings that hold JSON.
    #[serde(default)]
    parse: Vec<String>,
    /// A table, or the text of one in JSON.
    schema: Option<Value>,
    /// What becomes of a message that is not JSON, or does not fit the schema.
    #[serde(default)]
    invalid: Invalid,
    #[serde(default)]
    pick: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
    /// From one path to another.
    #[serde(default)]
    rename: BTreeMap<String, String>,
    #[serde(default)]
    set: BTreeMap<String, Value>,
}

/// What becomes of a message that does not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Invalid {
    #[default]
    Reject,
    Drop,
}

/// The filter.
pub struct Reshape {
    parse: Option<Paths>,
    schema: Option<Schema>,
    invalid: Invalid,
    pick: Option<Pick>,
    remove: Option<Paths>,
    rename: Vec<Rename>,
    set: Vec<(Paths, Json)>,
}

/// What is kept.
struct Pick {
    paths: Paths,
    /// Whether a path leads into an array at the top.
    of_arrays: bool,
}

#[filter]
impl Filter for Reshape {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        let of_arrays = config.pick.iter().any(|path| path.starts_with('['));
        let set = config.set.iter().map(|(path, value)| Ok((paths("set", [path])?, Json::of(value)?)));
        let schema = config.schema.map(|schema| Schema::read(&schema)).transpose();
        Ok(Self {
            parse: list("parse", &config.parse)?,
            schema: schema.map_err(Error::reject)?,
            invalid: config.invalid,
            pick: list("pick", &config.pick)?.map(|paths| Pick { paths, of_arrays }),
            remove: list("remove", &config.remove)?,
            rename: config.rename.iter().map(|(from, to)| Rename::new(from, to)).collect::<Result<_>>()?,
            set: set.collect::<Result<_>>()?,
        })
    }

    fn filter(&mut self, mut message: Message) -> Result<Verdict> {
        match (self.check(&mut message), self.invalid) {
            (Ok(()), _) => {}
            (Err(fault), Invalid::Reject) => return Err(fault),
            (Err(fault), Invalid::Drop) => return Ok(Verdict::drop(fault.reason())),
        }
        self.reshape(&mut message)?;
        Ok(message.into())
    }
}

impl Reshape {
    /// Wants JSON that fits the schema.
    fn check(&self, message: &mut Message) -> Result<()> {
        if let Some(paths) = &self.parse {
            parse(message, paths)?;
        }
        match &self.schema {
            Some(schema) => validate::check(schema, message.payload()),
            None => json::check(message.payload()).map_err(|error| Error::reject(format!("payload: {error}"))),
        }
    }

    fn reshape(&self, message: &mut Message) -> Result<()> {
        if let Some(pick) = &self.pick {
            pick.apply(message)?;
        }
        if let Some(paths) = &self.remove {
            message.edit(paths, |_| Edit::Remove)?;
        }
        for rename in &self.rename {
            if let Some(payload) = rename.apply(message.payload())? {
                message.set_payload(payload);
            }
        }
        for (paths, value) in &self.set {
            message.set(paths, value)?;
        }
        Ok(())
    }
}

impl Pick {
    /// What no path can lead into would be kept whole, so that it is refused.
    fn apply(&self, message: &mut Message) -> Result<()> {
        match message.payload().trim_ascii_start().first() {
            Some(b'{') => {}
            Some(b'[') if self.of_arrays => {}
            _ => return Err(Error::reject("payload: not an object, so there is nothing to pick from")),
        }
        message.pick(&self.paths).map(drop)
    }
}

/// Puts the JSON that strings hold in their place.
fn parse(message: &mut Message, paths: &Paths) -> Result<()> {
    let mut fault = None;
    message.edit(paths, |found| {
        let Some(text) = found.text() else {
            return Edit::Keep;
        };
        match Json::parse(text.as_bytes()) {
            Ok(json) => Edit::Replace(json),
            Err(error) => {
                fault.get_or_insert(error);
                Edit::Keep
            }
        }
    })?;
    fault.map_or(Ok(()), |error| {
        Err(Error::reject(format!("payload: a string of `parse` holds something else: {error}")))
    })
}

fn list(key: &str, list: &[String]) -> Result<Option<Paths>> {
    if list.is_empty() { Ok(None) } else { paths(key, list).map(Some) }
}

fn paths<I>(key: &str, list: I) -> Result<Paths>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    Paths::new(list).map_err(|error| Error::reject(format!("config.{key}: {error}")))
}

#[cfg(test)]
mod tests;
