//! A filter that compresses messages with gzip, or decompresses them within bounds.

mod deflate;
mod inflate;

use deflate::Compressor;
use gristmill_sdk::{Error, Filter, Message, Result, Verdict, filter};
use serde::Deserialize;

gristmill_sdk::needs!();

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    mode: Mode,
    /// From 0, not at all, to 9.
    level: Option<u32>,
    /// Shorter payloads are not compressed.
    at_least: Option<usize>,
    /// Of a decompressed payload.
    most_kib: Option<usize>,
    /// What becomes of a payload that is not compressed.
    plain: Option<Plain>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Gzip,
    Gunzip,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Plain {
    Reject,
    Pass,
}

const LEVEL: u32 = 6;
const MOST_KIB: usize = 8192;
const ENCODING: &str = "content-encoding";

/// The filter.
pub enum Gzip {
    #[doc(hidden)]
    Compress { compressor: Box<Compressor>, at_least: usize },
    #[doc(hidden)]
    Decompress { most: usize, plain_passes: bool },
}

#[filter]
impl Filter for Gzip {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        config.check()?;
        Ok(match config.mode {
            Mode::Gzip => {
                let compressor = Box::new(Compressor::new(config.level.unwrap_or(LEVEL)));
                Self::Compress { compressor, at_least: config.at_least.unwrap_or(0) }
            }
            Mode::Gunzip => Self::Decompress {
                most: config.most_kib.unwrap_or(MOST_KIB).saturating_mul(1024),
                plain_passes: config.plain == Some(Plain::Pass),
            },
        })
    }

    fn filter(&mut self, mut message: Message) -> Result<Verdict> {
        match self {
            Self::Compress { at_least, .. } if message.payload().len() < *at_least => {}
            Self::Compress { compressor, .. } => {
                let payload = compressor.compress(message.payload())?;
                message.set_payload(payload);
                let before = message.header(ENCODING).map(|before| format!("{before}, gzip"));
                message.set_header(ENCODING, before.unwrap_or_else(|| "gzip".into()));
            }
            Self::Decompress { plain_passes: true, .. } if !inflate::is_gzip(message.payload()) => {}
            Self::Decompress { most, .. } => {
                let payload = inflate::decompress(message.payload(), *most)?;
                message.set_payload(payload);
                take_encoding(&mut message);
            }
        }
        Ok(message.into())
    }
}

impl Config {
    /// Wants no key that the mode has no use for.
    fn check(&self) -> Result<()> {
        let of_gzip = [("level", self.level.is_some()), ("at_least", self.at_least.is_some())];
        let of_gunzip = [("most_kib", self.most_kib.is_some()), ("plain", self.plain.is_some())];
        let (others, mode) = match self.mode {
            Mode::Gzip => (of_gunzip, "gunzip"),
            Mode::Gunzip => (of_gzip, "gzip"),
        };
        if let Some((key, _)) = others.iter().find(|(_, set)| *set) {
            return Err(Error::reject(format!("config.{key}: only `mode = \"{mode}\"` has it")));
        }
        match (self.level, self.most_kib) {
            (Some(level @ 10..), _) => Err(Error::reject(format!("config.level: expected 0 to 9, not {level}"))),
            (_, Some(0)) => Err(Error::reject("config.most_kib: expected 1 or more")),
            _ => Ok(()),
        }
    }
}

/// Takes the last coding away, which is the one that was undone.
fn take_encoding(message: &mut Message) {
    let Some(before) = message.header(ENCODING) else { return };
    let (rest, last) = before.rsplit_once(',').unwrap_or(("", &before));
    if !matches!(last.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip") {
        return;
    }
    match rest.trim() {
        "" => message.remove_header(ENCODING),
        rest => message.set_header(ENCODING, rest),
    }
}

#[cfg(test)]
mod tests;
