//! Keys under their names, and what they seal and open.

use crate::{Bound, Sealed};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use gristmill_sdk::{Error, Result};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;

/// With or without `=` at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes of a nonce.
pub(crate) const NONCE: usize = 24;

/// A name is written in one byte and its length.
const LONGEST_NAME: usize = 255;

/// The keys of a config by their names.
pub struct Keyring(BTreeMap<String, Key>);

/// One key.
pub struct Key {
    name: String,
    cipher: XChaCha20Poly1305,
    nonces: Hmac<Sha256>,
}

impl Keyring {
    /// Reads `config.keys`.
    ///
    /// # Errors
    /// Names the first key that is none, without its text.
    pub fn read(keys: &BTreeMap<String, String>) -> Result<Self> {
        if keys.is_empty() {
            return Err(Error::reject("config.keys: expected at least one"));
        }
        keys.iter().map(|(name, text)| Ok((name.clone(), Key::read(name, text)?))).collect::<Result<_>>().map(Self)
    }

    /// The key to seal with: the one of this name, or the only one there is.
    ///
    /// # Errors
    /// There is none of this name, or none is named among several.
    pub fn take(mut self, name: Option<&str>) -> Result<Key> {
        let known = || self.0.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let name = match (name, self.0.keys().next()) {
            (Some(name), _) => name.to_owned(),
            (None, Some(only)) if self.0.len() == 1 => only.clone(),
            _ => return Err(Error::reject(format!("config.key: say which of {} encrypts", known()))),
        };
        let missing = Error::reject(format!("config.key: there is no `{name}` in `keys`, which has {}", known()));
        self.0.remove(&name).ok_or(missing)
    }

    /// Opens what one of these keys has sealed.
    ///
    /// # Errors
    /// A rejection that says which key is missing, or that nothing opens; with nothing of what is in it.
    pub fn open(&self, sealed: &Sealed, bound: &Bound) -> Result<Vec<u8>> {
        let name = &sealed.key;
        let key = self.0.get(name).ok_or_else(|| {
            let shown: String = name.chars().take(64).flat_map(char::escape_default).collect();
            Error::reject(format!("it is encrypted with the key `{shown}`, which is not in `config.keys`"))
        })?;
        key.open(sealed, bound).ok_or_else(|| {
            Error::reject(format!(
                "it does not open with the key `{name}`: it was changed, or encrypted with another key of that name, \
                 or bound to something else than `config.bind` says"
            ))
        })
    }
}

impl Key {
    fn read(name: &str, text: &str) -> Result<Self> {
        let refused = |why| Error::reject(format!("config.keys.{name}: {why}"));
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(refused("a name has 1 to 255 bytes"));
        }
        let expected = "expected 32 bytes in base64 or as 64 hex digits; `openssl rand -base64 32` makes such a key";
        let bytes = bytes(text.trim()).ok_or_else(|| refused(expected))?;
        let derived = mac(&bytes)?.chain_update(b"gristmill nonce 1").finalize().into_bytes();
        Ok(Self { name: name.into(), cipher: XChaCha20Poly1305::new_from_slice(&bytes)?, nonces: mac(&derived)? })
    }

    /// Seals value number `number` of the message with this id.
    ///
    /// # Errors
    /// A rejection where `plaintext` is longer than the cipher takes, 256 GiB.
    pub fn seal(&self, id: &str, number: u64, plaintext: &[u8], bound: &Bound) -> Result<Sealed> {
        let nonce = self.nonce(id, number, plaintext, bound);
        let payload = Payload { msg: plaintext, aad: bound.as_bytes() };
        let ciphertext = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let ciphertext = ciphertext.map_err(|_| Error::reject("payload: too long to be encrypted"))?;
        Ok(Sealed { key: self.name.clone(), nonce, ciphertext })
    }

    fn open(&self, sealed: &Sealed, bound: &Bound) -> Option<Vec<u8>> {
        let payload = Payload { msg: &sealed.ciphertext, aad: bound.as_bytes() };
        self.cipher.decrypt(&XNonce::from(sealed.nonce), payload).ok()
    }

    fn nonce(&self, id: &str, number: u64, plaintext: &[u8], bound: &Bound) -> [u8; NONCE] {
        let mut mac = self.nonces.clone();
        for part in [id.as_bytes(), bound.as_bytes(), &number.to_be_bytes(), plaintext] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let mut nonce = [0; NONCE];
        nonce.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(byte, derived)| *byte = derived);
        nonce
    }
}

fn mac(key: &[u8]) -> Result<Hmac<Sha256>> {
    Ok(Hmac::new_from_slice(key)?)
}

/// 32 bytes in base64 of either alphabet, or in hex.
fn bytes(text: &str) -> Option<[u8; 32]> {
    if text.len() == 64 {
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        return Some(bytes);
    }
    base64(text)?.try_into().ok()
}

/// What `text` holds in base64 of either alphabet, with `=` at its end or without.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    if text.contains(['-', '_']) {
        return BASE64.decode(text.replace('-', "+").replace('_', "/")).ok();
    }
    BASE64.decode(text).ok()
}

/// `bytes` in base64.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

    fn ring(keys: &[(&str, &str)]) -> Result<Keyring> {
        Keyring::read(&keys.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    fn key() -> Key {
        ring(&[("k", TEXT)]).unwrap().take(None).unwrap()
    }

    #[test]
    fn a_key_is_read_in_all_its_forms() {
        let hex: String = b"01234567890123456789012345678901".iter().map(|byte| format!("{byte:02x}")).collect();
        let sealed = key().seal("i", 0, b"text", &Bound::default()).unwrap();
        for form in [TEXT, TEXT.trim_end_matches('='), &hex, &hex.to_uppercase(), &format!(" {TEXT}\n")] {
            assert_eq!(ring(&[("k", form)]).unwrap().open(&sealed, &Bound::default()).unwrap(), b"text", "{form}");
        }
        assert_eq!(base64("-_-_"), base64("+/+/"));
    }

    #[test]
    fn what_is_sealed_opens_with_nothing_but_the_cipher_and_the_key() {
        let bound = Bound::default().to_field("a");
        let sealed = key().seal("i", 0, b"text", &bound).unwrap();
        let cipher = XChaCha20Poly1305::new_from_slice(b"01234567890123456789012345678901").unwrap();
        let payload = Payload { msg: &sealed.ciphertext, aad: b"\0\0\0\0\0\0\0\x05field\0\0\0\0\0\0\0\x01a" };
        assert_eq!(cipher.decrypt(&XNonce::from(sealed.nonce), payload).unwrap(), b"text");
    }

    #[test]
    fn a_nonce_comes_again_only_with_the_same_message() {
        let (none, field) = (Bound::default(), Bound::default().to_field("a"));
        let nonces = [
            key().nonce("a", 0, b"x", &none),
            key().nonce("b", 0, b"x", &none),
            key().nonce("a", 1, b"x", &none),
            key().nonce("a", 0, b"y", &none),
            key().nonce("a", 0, b"x", &field),
            key().nonce("ax", 0, b"", &none),
            ring(&[("k", &"ab".repeat(32))]).unwrap().take(None).unwrap().nonce("a", 0, b"x", &none),
        ];
        assert!(nonces.iter().enumerate().all(|(at, nonce)| !nonces[at + 1..].contains(nonce)), "{nonces:?}");
        assert_eq!(nonces[0], key().nonce("a", 0, b"x", &none));
    }

    #[test]
    fn nothing_opens_that_was_changed_or_bound_otherwise() {
        let ring = ring(&[("k", TEXT), ("other", &"ab".repeat(32))]).unwrap();
        let bound = Bound::default().to_field("a");
        let sealed = key().seal("i", 0, b"the plaintext", &bound).unwrap();
        assert_eq!(ring.open(&sealed, &bound).unwrap(), b"the plaintext");
        let mut changed = vec![(Sealed { key: "other".into(), ..sealed.clone() }, bound.clone())];
        changed.push((sealed.clone(), Bound::default()));
        for at in 0..sealed.ciphertext.len() {
            let mut copy = sealed.clone();
            copy.ciphertext[at] ^= 1;
            changed.push((copy, bound.clone()));
        }
        for at in 0..NONCE {
            let mut copy = sealed.clone();
            copy.nonce[at] ^= 0x80;
            changed.push((copy, bound.clone()));
        }
        changed.push((Sealed { ciphertext: Vec::new(), ..sealed.clone() }, bound.clone()));
        for (sealed, bound) in changed {
            let error = ring.open(&sealed, &bound).unwrap_err();
            assert!(error.reason().starts_with("it does not open with the key `"), "{error}");
            assert!(!error.is_retry() && !error.reason().contains("plaintext"), "{error}");
        }
    }

    #[test]
    fn a_key_that_is_missing_is_named_and_the_key_in_use_is_chosen() {
        let sealed = Sealed { key: "2025-01\n".into(), ..key().seal("i", 0, b"x", &Bound::default()).unwrap() };
        let error = ring(&[("k", TEXT)]).unwrap().open(&sealed, &Bound::default()).unwrap_err();
        assert_eq!(error.reason(), "it is encrypted with the key `2025-01\\n`, which is not in `config.keys`");
        let two = || ring(&[("a", TEXT), ("b", TEXT)]).unwrap();
        assert_eq!(two().take(Some("b")).unwrap().name, "b");
        let why = |name| two().take(name).err().unwrap().reason().to_owned();
        assert_eq!(why(None), "config.key: say which of `a`, `b` encrypts");
        assert_eq!(why(Some("c")), "config.key: there is no `c` in `keys`, which has `a`, `b`");
    }

    #[test]
    fn a_text_that_is_no_key_is_refused_and_not_shown() {
        for wrong in ["", "secret", &"+1".repeat(32), &"zz".repeat(32), &TEXT[4..]] {
            let error = ring(&[("k", wrong)]).err().unwrap();
            assert!(error.reason().starts_with("config.keys.k: expected 32 bytes in base64"), "{error}");
            assert!(wrong.is_empty() || !error.reason().contains(wrong), "{error}");
        }
        assert_eq!(ring(&[]).err().unwrap().reason(), "config.keys: expected at least one");
        assert!(ring(&[(&"k".repeat(256), TEXT)]).is_err());
    }
}
