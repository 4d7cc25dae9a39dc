//! What messages have in common that count as the same.

use gristmill_sdk::{Error, Message, Result, json::Paths};
use serde::{
    Deserialize, Deserializer, de,
    de::{SeqAccess, Visitor},
};
use sha2::{Digest, Sha256};
use std::fmt;

/// `key` as it is written: one text, or a list of them.
#[derive(Debug)]
pub(crate) struct Keys(Vec<String>);

/// All parts of the key.
pub(crate) struct Key(Vec<Part>);

enum Part {
    Payload,
    Topic,
    Header(String),
    Json(String, Paths),
}

impl Key {
    /// # Errors
    /// What is no part of a message.
    pub(crate) fn new(keys: &Keys) -> Result<Self> {
        if keys.0.is_empty() {
            return Err(Error::reject("config.key: expected at least one"));
        }
        keys.0.iter().map(|key| Part::read(key)).collect::<Result<_>>().map(Self)
    }

    /// What stands for the key in the store: 64 digits, whatever the values are; none if a part is missing.
    ///
    /// # Errors
    /// A rejection that names the position if it looks into the payload, and that is not JSON.
    pub(crate) fn of(&self, message: &Message) -> Result<Option<String>> {
        let mut hash = Sha256::new();
        for part in &self.0 {
            if !part.add(message, &mut hash)? {
                return Ok(None);
            }
        }
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
        Ok(Some(hash.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " or " })?;
            match part {
                Part::Payload => f.write_str("a payload")?,
                Part::Topic => f.write_str("a topic")?,
                Part::Header(name) => write!(f, "the header `{name}`")?,
                Part::Json(path, _) => write!(f, "`{path}`")?,
            }
        }
        Ok(())
    }
}

impl Part {
    fn read(key: &str) -> Result<Self> {
        match key.split_once(':') {
            None if key == "payload" => Ok(Self::Payload),
            None if key == "topic" => Ok(Self::Topic),
            Some(("header", name)) if !name.is_empty() => Ok(Self::Header(name.into())),
            Some(("json", path)) => {
                let paths = Paths::new([path]).map_err(|error| Error::reject(format!("config.key: {error}")))?;
                Ok(Self::Json(path.into(), paths))
            }
            _ => Err(Error::reject(format!(
                "config.key: expected `json:PATH`, `header:NAME`, `topic` or `payload`, not `{key}`"
            ))),
        }
    }

    /// Adds what `message` has there; says whether it has anything.
    fn add(&self, message: &Message, hash: &mut Sha256) -> Result<bool> {
        match self {
            Self::Payload => add(hash, 0, message.payload()),
            Self::Topic => add(hash, 1, message.topic().as_bytes()),
            Self::Header(name) => match message.header(name) {
                Some(value) => add(hash, 2, value.as_bytes()),
                None => return Ok(false),
            },
            Self::Json(_, paths) => {
                let found = paths.find(message.payload());
                let found = found.map_err(|error| Error::reject(format!("payload: {error}")))?;
                // Strings are the same however they are escaped.
                found.iter().for_each(|found| match found.text() {
                    Some(text) => add(hash, 3, text.as_bytes()),
                    None => add(hash, 4, found.raw),
                });
                add(hash, 5, b"");
                return Ok(!found.is_empty());
            }
        }
        Ok(true)
    }
}

/// With its kind and length before it, so that no two lists of parts are the same bytes.
fn add(hash: &mut Sha256, kind: u8, value: &[u8]) {
    hash.update([kind]);
    hash.update((value.len() as u64).to_be_bytes());
    hash.update(value);
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: de::Error>(self, key: &str) -> Result<Keys, E> {
                Ok(Keys(vec![key.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Keys, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = items.next_element()? {
                    all.push(one);
                }
                Ok(Keys(all))
            }
        }

        reader.deserialize_any(OneOrMany)
    }
}
