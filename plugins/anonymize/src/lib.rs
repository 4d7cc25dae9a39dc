//! A filter that drops, masks or hashes fields of JSON messages.

use gristmill_sdk::{
    Error, Filter, Message, Result, Verdict, filter,
    json::{Edit, Found, Json, Paths},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Paths of the fields.
    fields: Vec<String>,
    #[serde(default)]
    mode: Mode,
    /// Put before each value that is hashed.
    salt: Option<String>,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Drop,
    Mask,
    Hash,
}

/// The filter.
pub struct Anonymize {
    fields: Paths,
    treat: Treat,
}

/// A mode with what it needs.
enum Treat {
    Drop,
    Mask(Json),
    /// The hash after the salt.
    Hash(Sha256),
}

#[filter]
impl Filter for Anonymize {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        if config.fields.is_empty() {
            return Err(Error::reject("config.fields: expected at least one path"));
        }
        if config.salt.is_some() && config.mode != Mode::Hash {
            return Err(Error::reject("config.salt: only `mode = \"hash\"` takes a salt"));
        }
        let fields = Paths::new(&config.fields).map_err(|error| Error::reject(format!("config.fields: {error}")))?;
        let treat = match config.mode {
            Mode::Drop => Treat::Drop,
            Mode::Mask => Treat::Mask(Json::string("***")),
            Mode::Hash => Treat::Hash(Sha256::new_with_prefix(config.salt.unwrap_or_default())),
        };
        Ok(Self { fields, treat })
    }

    fn filter(&mut self, mut message: Message) -> Result<Verdict> {
        message.edit(&self.fields, |found| self.treat.edit(&found))?;
        Ok(message.into())
    }
}

impl Treat {
    fn edit(&self, found: &Found<'_>) -> Edit {
        match self {
            Self::Drop => Edit::Remove,
            Self::Mask(mask) => Edit::Replace(mask.clone()),
            Self::Hash(salted) => Edit::Replace(hash(salted.clone(), found)),
        }
    }
}

/// A string is hashed as the text it stands for, so that it does not matter how it was escaped.
fn hash(mut salted: Sha256, found: &Found<'_>) -> Json {
    match found.text() {
        Some(text) => salted.update(text.as_bytes()),
        None => salted.update(found.raw),
    }
    let mut digits = String::with_capacity(64);
    for byte in salted.finalize() {
        // Writing to a string cannot fail.
        write!(digits, "{byte:02x}").ok();
    }
    Json::string(&digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::{Change, config};

    fn plugin(json: &str) -> Result<Anonymize> {
        Anonymize::new(config::parse(json)?)
    }

    fn run(json: &str, payload: &str) -> Verdict {
        plugin(json).unwrap().filter(Message::test(payload)).unwrap()
    }

    #[test]
    fn fields_are_dropped_and_the_rest_keeps_its_bytes() {
        let config = r#"{"fields": ["ip", "user.email", "items[].owner"]}"#;
        let payload = r#"{"ip":"10.0.0.7", "n":1.50, "user":{"email":"a@b.c","id":7},"items":[{"owner":1},{}]}"#;
        let rest = r#"{"n":1.50, "user":{"id":7},"items":[{},{}]}"#;
        assert_eq!(run(config, payload), Change::payload(rest).into());
    }

    #[test]
    fn a_message_without_the_fields_passes() {
        assert_eq!(run(r#"{"fields": ["ip"]}"#, r#"{"user": "ip"}"#), Verdict::Pass);
        assert_eq!(run(r#"{"fields": ["ip"]}"#, "[1, 2]"), Verdict::Pass);
    }

    #[test]
    fn fields_are_masked_whatever_they_hold() {
        let config = r#"{"fields": ["a", "b"], "mode": "mask"}"#;
        assert_eq!(run(config, r#"{"a":{"x":[1]},"b":null}"#), Change::payload(r#"{"a":"***","b":"***"}"#).into());
    }

    #[test]
    fn fields_are_hashed_with_the_salt_before_them() {
        let bare = run(r#"{"fields": ["a"], "mode": "hash"}"#, r#"{"a":"abc"}"#);
        let known = r#"{"a":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}"#;
        assert_eq!(bare, Change::payload(known).into());
        let salted = r#"{"fields": ["a"], "mode": "hash", "salt": "ab"}"#;
        assert_eq!(run(salted, r#"{"a":"c"}"#), Change::payload(known).into());
        assert_eq!(run(salted, r#"{"a":"\u0063"}"#), Change::payload(known).into());
    }

    #[test]
    fn what_is_not_json_is_rejected_with_its_place() {
        let mut plugin = plugin(r#"{"fields": ["ip"]}"#).unwrap();
        let error = plugin.filter(Message::test(r#"{"ip": 1 "#)).unwrap_err();
        assert_eq!(error, Error::reject("payload: not JSON at byte 9: expected `,` or `}`, but it ends there"));
    }

    #[test]
    fn a_config_that_will_not_do_is_refused_by_name() {
        let why = |json: &str| plugin(json).err().unwrap().reason().to_owned();
        assert_eq!(why("{}"), "config: missing field `fields`");
        assert_eq!(why(r#"{"fields": []}"#), "config.fields: expected at least one path");
        assert_eq!(why(r#"{"fields": ["a..b"]}"#), "config.fields: `a..b` is not a path: a key is missing");
        assert_eq!(why(r#"{"fields": ["a"], "salt": "x"}"#), "config.salt: only `mode = \"hash\"` takes a salt");
        assert_eq!(
            why(r#"{"fields": ["a"], "mode": "remove"}"#),
            "config.mode: unknown variant `remove`, expected one of `drop`, `mask`, `hash`"
        );
    }
}
