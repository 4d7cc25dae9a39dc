//! Secrets: the host puts them into a plugin's requests, and the plugin holds a stand-in for each.
//!
//! A stand-in cannot be guessed and is made anew with every process, so that nothing in a message can pass for one.

use crate::random;
use memchr::memmem;
use sha2::{Digest, Sha256};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::{self, Debug, Write},
    sync::LazyLock,
};

/// What all stand-ins begin with. Letters, digits and hyphens only: they stay what they are in URLs, headers and JSON.
const MARK: &str = "secret-";
/// Bytes of the digest that make one.
const BYTES: usize = 16;

static KEY: LazyLock<[u8; 32]> = LazyLock::new(random::key);

/// The secrets of one plugin by name, with neither names nor values that are empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, Secret>);

#[derive(Clone, PartialEq, Eq)]
struct Secret {
    value: String,
    stand_in: String,
}

impl Secrets {
    /// With a stand-in for each of `values`, by name; the same for the same ones for as long as the process runs.
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let secret = |(name, value): (String, String)| {
            let stand_in = stand_in(&name, &value);
            (name, Secret { value, stand_in })
        };
        Self(values.into_iter().map(secret).collect())
    }

    /// What the plugin holds instead of the secret `name`.
    pub fn stand_in(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|secret| secret.stand_in.as_str())
    }

    /// What they are called.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// `text` with the secrets in the places of their stand-ins, if it holds any.
    pub fn reveal(&self, text: &str) -> Option<String> {
        // What is replaced begins and ends with whole characters.
        self.reveal_bytes(text.as_bytes()).and_then(|revealed| String::from_utf8(revealed).ok())
    }

    /// As [`Secrets::reveal`].
    pub fn reveal_bytes(&self, text: &[u8]) -> Option<Vec<u8>> {
        if self.0.is_empty() || memmem::find(text, MARK.as_bytes()).is_none() {
            return None;
        }
        let pairs = self.0.values().map(|secret| (secret.stand_in.as_bytes(), Cow::from(secret.value.as_bytes())));
        replaced(text, pairs)
    }

    /// `text` with `${secret:NAME}` for every secret and every stand-in in it.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.hide_bytes(text.as_bytes()).map(String::from_utf8) {
            Some(Ok(hidden)) => hidden.into(),
            _ => text.into(),
        }
    }

    /// As [`Secrets::hide`], if there is anything to hide.
    pub fn hide_bytes(&self, text: &[u8]) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        let shown = |name: &str| Cow::from(format!("${{secret:{name}}}").into_bytes());
        let mut pairs: Vec<(&[u8], Cow<'_, [u8]>)> = Vec::new();
        for (name, secret) in &self.0 {
            pairs.extend([&secret.value, &secret.stand_in].map(|hidden| (hidden.as_bytes(), shown(name))));
        }
        // One may be a part of another.
        pairs.sort_by_key(|(hidden, _)| std::cmp::Reverse(hidden.len()));
        replaced(text, pairs.into_iter())
    }
}

/// Without the values.
impl Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

fn stand_in(name: &str, value: &str) -> String {
    let mut hasher = Sha256::new();
    for part in [KEY.as_slice(), name.as_bytes(), &[0], value.as_bytes()] {
        hasher.update(part);
    }
    let mut text = MARK.to_owned();
    for byte in hasher.finalize().iter().take(BYTES) {
        // Writing to a string cannot fail.
        let _ok = write!(text, "{byte:02x}").is_ok();
    }
    text
}

/// `text` with the second of each pair where it held the first, if it held any.
fn replaced<'a>(text: &[u8], pairs: impl Iterator<Item = (&'a [u8], Cow<'a, [u8]>)>) -> Option<Vec<u8>> {
    let mut replaced: Option<Vec<u8>> = None;
    for (old, new) in pairs {
        let text = replaced.as_deref().unwrap_or(text);
        let mut places = memmem::find_iter(text, old).peekable();
        if places.peek().is_none() {
            continue;
        }
        let mut joined = Vec::with_capacity(text.len() + new.len());
        let mut rest = 0;
        for place in places {
            joined.extend_from_slice(text.get(rest..place).unwrap_or_default());
            joined.extend_from_slice(&new);
            rest = place + old.len();
        }
        joined.extend_from_slice(text.get(rest..).unwrap_or_default());
        replaced = Some(joined);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets::new([("token", "hunter2"), ("key", "hunter2345")].map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn a_stand_in_gives_way_to_its_secret_wherever_it_stands() {
        let secrets = secrets();
        let (token, key) = (secrets.stand_in("token").unwrap(), secrets.stand_in("key").unwrap());
        let revealed = secrets.reveal(&format!("ü{token}{key}&{token}"));
        assert_eq!(revealed.as_deref(), Some("ühunter2hunter2345&hunter2"));
    }

    #[test]
    fn nothing_but_a_stand_in_gives_way() {
        let secrets = secrets();
        for text in ["", "${secret:token}", "secret-", "secret-00000000000000000000000000000000", "token"] {
            assert_eq!(secrets.reveal(text), None, "{text}");
        }
        let token = secrets.stand_in("token").unwrap();
        assert_eq!(secrets.reveal(&token.to_uppercase()), None);
        assert_eq!(Secrets::default().reveal(token), None);
    }

    #[test]
    fn stand_ins_differ_by_name_and_value_and_last_for_the_process() {
        let one = |name: &str, value: &str| {
            let secrets = Secrets::new([(name.to_owned(), value.to_owned())]);
            secrets.stand_in(name).unwrap().to_owned()
        };
        assert_eq!(one("a", "b"), one("a", "b"));
        assert_ne!(one("a", "b"), one("a", "c"));
        assert_ne!(one("a", "b"), one("c", "b"));
        assert_eq!(one("a", "b").len(), MARK.len() + 2 * BYTES);
    }

    #[test]
    fn secrets_and_stand_ins_are_hidden_alike() {
        let secrets = secrets();
        let text = format!("x hunter2345 hunter2 {}", secrets.stand_in("key").unwrap());
        assert_eq!(secrets.hide(&text), "x ${secret:key} ${secret:token} ${secret:key}");
        assert_eq!(secrets.hide("nothing"), "nothing");
        assert_eq!(format!("{secrets:?}"), "{\"key\", \"token\"}");
    }
}
