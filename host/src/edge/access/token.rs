//! Tokens: JSON Web Tokens (RFC 7519) that name channels and what may be done with them, until they expire.

use super::keys::Key;
use crate::command::Pattern;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, de::DeserializeOwned};

/// Longer ones are not looked at.
const LONGEST: usize = 16 << 10;
/// Seconds by which clocks may differ.
const LEEWAY: u64 = 5;

/// What a token allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::edge) struct Rights {
    read: Vec<Pattern>,
    publish: Vec<Pattern>,
    /// Seconds since 1970; for ever where there is no token.
    pub(in crate::edge) until: Option<u64>,
}

/// Why a token is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::edge) enum Invalid {
    /// It is not three parts of JSON and a signature.
    #[error("the token is not well-formed")]
    Malformed,
    /// Nobody we know has signed it.
    #[error("the token is signed with no key that is known here")]
    Signature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    Early,
    /// It is meant for somebody else.
    #[error("the token is for another audience")]
    Audience,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What must be understood; nothing of it is.
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
    #[serde(default)]
    nbf: f64,
    #[serde(default)]
    aud: Audience,
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    publish: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Audience {
    fn names(&self, wanted: &str) -> bool {
        match self {
            Self::One(name) => name == wanted,
            Self::Several(names) => names.iter().any(|name| name == wanted),
        }
    }
}

impl Rights {
    pub(in crate::edge) fn may_read(&self, channel: &str) -> bool {
        self.read.iter().any(|pattern| pattern.matches(channel.as_bytes()))
    }

    pub(in crate::edge) fn may_publish(&self, channel: &str) -> bool {
        self.publish.iter().any(|pattern| pattern.matches(channel.as_bytes()))
    }
}

/// What `token` allows at the second `now`, if one of `keys` has signed it and it is for `audience`, where there is one.
pub(super) fn verify(token: &str, keys: &[Key], audience: Option<&str>, now: u64) -> Result<Rights, Invalid> {
    if token.len() > LONGEST {
        return Err(Invalid::Malformed);
    }
    let (text, signature) = token.rsplit_once('.').ok_or(Invalid::Malformed)?;
    let (header, claims) = text.split_once('.').ok_or(Invalid::Malformed)?;
    let header: Header = part(header)?;
    if header.crit.is_some() {
        return Err(Invalid::Malformed);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Invalid::Malformed)?;
    let candidates = keys.iter().filter(|key| key.may_be(header.kid.as_deref()));
    if !candidates.into_iter().any(|key| key.has_signed(&header.alg, text.as_bytes(), &signature)) {
        return Err(Invalid::Signature);
    }
    let claims: Claims = part(claims)?;
    let now = now as f64;
    if claims.exp + LEEWAY as f64 <= now {
        return Err(Invalid::Expired);
    }
    if claims.nbf > now + LEEWAY as f64 {
        return Err(Invalid::Early);
    }
    if audience.is_some_and(|wanted| !claims.aud.names(wanted)) {
        return Err(Invalid::Audience);
    }
    let patterns = |texts: Vec<String>| texts.into_iter().map(Pattern::new).collect();
    Ok(Rights { read: patterns(claims.read), publish: patterns(claims.publish), until: Some(claims.exp as u64) })
}

fn part<T: DeserializeOwned>(text: &str) -> Result<T, Invalid> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Invalid::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Invalid::Malformed)
}

#[cfg(test)]
mod tests;
