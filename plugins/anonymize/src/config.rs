//! The plugin's `config`, from what an operator writes to what each path means.

use crate::{network::Keep, pseudonym::Pseudonyms, text::Pattern};
use gristmill_sdk::{
    Error, Result,
    json::{Json, Paths},
};
use serde::Deserialize;

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Paths of the fields that `mode` is about.
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    drop: Vec<String>,
    #[serde(default)]
    mask: Vec<String>,
    #[serde(default)]
    hash: Vec<String>,
    #[serde(default)]
    truncate: Vec<String>,
    #[serde(default)]
    scrub: Vec<String>,
    /// What is looked for in texts.
    patterns: Option<Vec<Pattern>>,
    /// What stands in the place of what is masked.
    #[serde(default = "stars")]
    mask_with: String,
    /// Of the hashes.
    key: Option<String>,
    /// Hex digits of a hash.
    #[serde(default = "all_digits")]
    digits: usize,
    /// What is left of an address.
    #[serde(default)]
    keep_bits: Keep,
}

fn stars() -> String {
    "***".into()
}

fn all_digits() -> usize {
    Pseudonyms::MOST_DIGITS
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Drop,
    Mask,
    Hash,
    Truncate,
    Scrub,
}

/// What becomes of the value that a path leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Treatment {
    Drop,
    Mask,
    Hash,
    Truncate,
}

/// Where texts are looked through.
pub(crate) enum Scope {
    Nowhere,
    /// In what these paths lead to, and in all that lies in it.
    Below(Paths),
    Everywhere,
}

/// A config made ready.
pub(crate) struct Rules {
    pub(crate) fields: Paths,
    /// Of each of `fields`, in their order.
    pub(crate) treatments: Vec<Treatment>,
    pub(crate) mask: Json,
    /// Absent where nothing is hashed.
    pub(crate) pseudonyms: Option<Pseudonyms>,
    pub(crate) keep: Keep,
    pub(crate) scope: Scope,
    pub(crate) patterns: Vec<Pattern>,
}

impl Config {
    /// # Errors
    /// Names the first key that will not do.
    pub(crate) fn rules(mut self) -> Result<Rules> {
        let mut fields = std::mem::take(&mut self.fields);
        self.list(self.mode).append(&mut fields);
        if self.is_idle() {
            return Err(Error::reject(
                "config: expected a path in `fields`, `drop`, `mask`, `hash`, `truncate` or `scrub`, or `patterns`",
            ));
        }
        self.keep_bits.check()?;
        // Where a value is named more than once, the treatment that leaves least comes first.
        let named = [
            ("drop", &self.drop, Treatment::Drop),
            ("mask", &self.mask, Treatment::Mask),
            ("hash", &self.hash, Treatment::Hash),
            ("truncate", &self.truncate, Treatment::Truncate),
        ];
        named.iter().try_for_each(|(key, list, _)| paths(key, list.iter()).map(drop))?;
        let of_each = named.iter().flat_map(|(_, list, treatment)| list.iter().map(|_| *treatment)).collect();
        let all = named.iter().flat_map(|(_, list, _)| list.iter());
        let fields = Paths::new(all).map_err(|error| Error::reject(format!("config: {error}")))?;
        Ok(Rules {
            fields,
            treatments: of_each,
            mask: Json::string(&self.mask_with),
            pseudonyms: self.pseudonyms()?,
            keep: self.keep_bits,
            scope: self.scope()?,
            patterns: self.patterns.unwrap_or_else(|| Pattern::ALL.to_vec()),
        })
    }

    fn list(&mut self, mode: Mode) -> &mut Vec<String> {
        match mode {
            Mode::Drop => &mut self.drop,
            Mode::Mask => &mut self.mask,
            Mode::Hash => &mut self.hash,
            Mode::Truncate => &mut self.truncate,
            Mode::Scrub => &mut self.scrub,
        }
    }

    fn is_idle(&self) -> bool {
        let lists = [&self.drop, &self.mask, &self.hash, &self.truncate, &self.scrub];
        let looks_for = self.patterns.as_ref().is_some_and(|patterns| !patterns.is_empty());
        lists.iter().all(|list| list.is_empty()) && !looks_for
    }

    fn pseudonyms(&self) -> Result<Option<Pseudonyms>> {
        match (&self.key, self.hash.is_empty()) {
            (Some(key), false) => Pseudonyms::new(key, self.digits).map(Some),
            (Some(_), true) => Err(Error::reject("config.key: nothing is hashed, so there is nothing to key")),
            (None, false) => Err(Error::reject(
                "config.key: hashing needs a key, or whoever sees a hash finds the value by trying; \
                 take one from the environment, such as `key = \"${ANONYMIZE_KEY}\"`",
            )),
            (None, true) => Ok(None),
        }
    }

    fn scope(&self) -> Result<Scope> {
        match (self.scrub.is_empty(), &self.patterns) {
            (false, Some(patterns)) if patterns.is_empty() => {
                Err(Error::reject("config.patterns: expected at least one for the texts of `scrub`"))
            }
            (false, _) => paths("scrub", self.scrub.iter()).map(Scope::Below),
            (true, Some(patterns)) if !patterns.is_empty() => Ok(Scope::Everywhere),
            (true, _) => Ok(Scope::Nowhere),
        }
    }
}

fn paths<'a>(key: &str, list: impl Iterator<Item = &'a String>) -> Result<Paths> {
    Paths::new(list).map_err(|error| Error::reject(format!("config.{key}: {error}")))
}
