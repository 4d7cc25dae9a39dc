//! How what is sealed is written: as few bytes, or as JSON.

use crate::key::{NONCE, base64, to_base64};
use gristmill_sdk::json::Json;
use serde::{Deserialize, Serialize};

/// What the bytes begin with; nothing in JSON or in text does.
const MARK: [u8; 4] = [0xc7, b'G', b'M', 1];
/// Its name in JSON, which is the one it has in JOSE.
const CIPHER: &str = "XC20P";

/// A ciphertext with all that it takes to open it, but for the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The name of the key.
    pub key: String,
    /// Of XChaCha20.
    pub nonce: [u8; NONCE],
    /// With the tag behind it.
    pub ciphertext: Vec<u8>,
}

/// How it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// An object.
    #[default]
    Json,
    /// Bytes; a string of base64 where they stand in a field.
    Compact,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    alg: String,
    kid: String,
    nonce: String,
    ciphertext: String,
}

impl Sealed {
    /// As a payload.
    ///
    /// # Errors
    /// None that can occur: texts have a form in JSON.
    pub fn to_payload(&self, format: Format) -> gristmill_sdk::Result<Vec<u8>> {
        match format {
            Format::Json => Ok(self.to_json()?.as_bytes().to_vec()),
            Format::Compact => Ok(self.to_bytes()),
        }
    }

    /// As a value in a payload.
    ///
    /// # Errors
    /// As `to_payload`.
    pub fn to_field(&self, format: Format) -> gristmill_sdk::Result<Json> {
        match format {
            Format::Json => self.to_json(),
            Format::Compact => Ok(Json::string(&to_base64(&self.to_bytes()))),
        }
    }

    /// A payload, in whichever form; none if it is not sealed.
    pub fn of_payload(payload: &[u8]) -> Option<Self> {
        if payload.starts_with(&MARK) { Self::of_bytes(payload) } else { Self::of_json(payload) }
    }

    /// A value in a payload, in whichever form; none if it is not sealed.
    pub fn of_field(raw: &[u8]) -> Option<Self> {
        if raw.starts_with(b"\"") {
            return Self::of_bytes(&base64(&serde_json::from_slice::<String>(raw).ok()?)?);
        }
        Self::of_json(raw)
    }

    fn to_json(&self) -> gristmill_sdk::Result<Json> {
        let (nonce, ciphertext) = (to_base64(&self.nonce), to_base64(&self.ciphertext));
        Json::of(&Envelope { alg: CIPHER.into(), kid: self.key.clone(), nonce, ciphertext })
    }

    fn of_json(json: &[u8]) -> Option<Self> {
        let envelope: Envelope = serde_json::from_slice(json).ok()?;
        let (nonce, ciphertext) = (base64(&envelope.nonce)?, base64(&envelope.ciphertext)?);
        (envelope.alg == CIPHER).then_some(Self { key: envelope.kid, nonce: nonce.try_into().ok()?, ciphertext })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let length = u8::try_from(self.key.len()).unwrap_or(u8::MAX);
        [&MARK, [length].as_slice(), self.key.as_bytes(), &self.nonce, &self.ciphertext].concat()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.strip_prefix(&MARK)?.split_first()?;
        let (key, rest) = rest.split_at_checked(usize::from(*length))?;
        let (nonce, ciphertext) = rest.split_first_chunk()?;
        Some(Self { key: std::str::from_utf8(key).ok()?.into(), nonce: *nonce, ciphertext: ciphertext.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Sealed {
        Sealed { key: "2026-11".into(), nonce: *b"abcdefghijklmnopqrstuvwx", ciphertext: b"sixteen bytes of".to_vec() }
    }

    #[test]
    fn both_forms_are_read_again() {
        for format in [Format::Json, Format::Compact] {
            assert_eq!(Sealed::of_payload(&sealed().to_payload(format).unwrap()), Some(sealed()));
            assert_eq!(Sealed::of_field(sealed().to_field(format).unwrap().as_bytes()), Some(sealed()));
        }
    }

    #[test]
    fn the_forms_stay_as_they_are() {
        let json = sealed().to_payload(Format::Json).unwrap();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"alg":"XC20P","kid":"2026-11","nonce":"YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4","ciphertext":"c2l4dGVlbiBieXRlcyBvZg=="}"#
        );
        let bytes = sealed().to_payload(Format::Compact).unwrap();
        assert_eq!(bytes, b"\xc7GM\x01\x072026-11abcdefghijklmnopqrstuvwxsixteen bytes of");
    }

    #[test]
    fn anything_else_is_not_sealed() {
        let bytes = sealed().to_payload(Format::Compact).unwrap();
        for cut in 0..5 + 7 + NONCE {
            assert_eq!(Sealed::of_payload(&bytes[..cut]), None, "{cut}");
        }
        let json = String::from_utf8(sealed().to_payload(Format::Json).unwrap()).unwrap();
        for (from, to) in
            [("XC20P", "none"), ("\"kid\"", "\"key\""), ("YWJj", "YW"), ("c2l4", "c2 4"), ("{", "{\"x\":1,")]
        {
            assert_eq!(Sealed::of_payload(json.replace(from, to).as_bytes()), None, "{from}");
        }
        for text in ["", "{}", "\"\"", "\"x0dNAQ==\"", "1", "text"] {
            assert_eq!(
                (Sealed::of_payload(text.as_bytes()), Sealed::of_field(text.as_bytes())),
                (None, None),
                "{text}"
            );
        }
    }
}
