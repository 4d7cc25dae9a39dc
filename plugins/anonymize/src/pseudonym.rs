//! Stable stand-ins for values: the same value has the same one, and nobody without the key finds the value by trying.

use gristmill_sdk::{
    Error, Result,
    json::{Found, Json},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A shorter key could be found by trying.
const SHORTEST_KEY: usize = 16;

/// HMAC-SHA-256 under the operator's key.
pub(crate) struct Pseudonyms {
    keyed: Hmac<Sha256>,
    digits: usize,
}

impl Pseudonyms {
    pub(crate) const MOST_DIGITS: usize = 64;
    /// 80 bits: two of a million values share a stand-in once in a trillion times.
    const FEWEST_DIGITS: usize = 20;

    pub(crate) fn new(key: &str, digits: usize) -> Result<Self> {
        if key.len() < SHORTEST_KEY {
            return Err(Error::reject(format!("config.key: expected {SHORTEST_KEY} characters or more")));
        }
        if !(Self::FEWEST_DIGITS..=Self::MOST_DIGITS).contains(&digits) {
            let (fewest, most) = (Self::FEWEST_DIGITS, Self::MOST_DIGITS);
            return Err(Error::reject(format!("config.digits: expected {fewest} to {most}, not {digits}")));
        }
        let keyed = Hmac::new_from_slice(key.as_bytes())?;
        Ok(Self { keyed, digits })
    }

    /// Of a string its text, so that it does not matter how it was escaped; of anything else what is written.
    pub(crate) fn of(&self, found: &Found<'_>) -> Json {
        let mut mac = self.keyed.clone();
        match found.text() {
            Some(text) => mac.update(text.as_bytes()),
            None => mac.update(found.raw),
        }
        let bytes = mac.finalize().into_bytes();
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
        let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        Json::string(&digits.take(self.digits).collect::<String>())
    }
}
