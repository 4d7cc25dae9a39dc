//! Signing of bodies with HMAC-SHA256, so that the receiver knows who sent them.

use gristmill_sdk::{Error, Result};
use serde::Deserialize;
use std::{
    fmt::Write,
    time::{SystemTime, UNIX_EPOCH},
};

/// What `config.sign` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sign {
    key: String,
    #[serde(default)]
    scheme: Scheme,
    header: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Scheme {
    /// `sha256=HEX`, over the body.
    #[default]
    Body,
    /// `t=SECONDS,v1=HEX`, over the seconds since 1970, a dot and the body.
    Timestamped,
}

impl Sign {
    /// # Errors
    /// A key that cannot sign.
    pub(crate) fn check(&self) -> Result<()> {
        let hex = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match self.key.as_str() {
            "" => Err(Error::reject("config.sign.key: is empty")),
            key if key.strip_prefix("secret-").is_some_and(hex) => Err(Error::reject(
                "config.sign.key: has to be seen by the plugin, which signs with it: write `${NAME}` instead of `${secret:NAME}`",
            )),
            _ => Ok(()),
        }
    }

    /// The header's name, and its value for `body`.
    pub(crate) fn header(&self, body: &[u8]) -> (&str, String) {
        (self.header.as_deref().unwrap_or("x-signature-256"), self.value(body, now()))
    }

    fn value(&self, body: &[u8], seconds: u64) -> String {
        match self.scheme {
            Scheme::Body => format!("sha256={}", self.mac(&[body])),
            Scheme::Timestamped => {
                format!("t={seconds},v1={}", self.mac(&[format!("{seconds}.").as_bytes(), body]))
            }
        }
    }

    fn mac(&self, pieces: &[&[u8]]) -> String {
        let mut mac = hmac_sha256::HMAC::new(&self.key);
        pieces.iter().for_each(|piece| mac.update(piece));
        mac.finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            write!(text, "{byte:02x}").unwrap_or_default();
            text
        })
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(scheme: Scheme) -> Sign {
        Sign { key: "It's a Secret to Everybody".into(), scheme, header: None }
    }

    #[test]
    fn a_body_has_the_signature_that_githubs_documentation_gives() {
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(sign(Scheme::Body).header(b"Hello, World!"), ("x-signature-256", expected.to_owned()));
    }

    #[test]
    fn a_timestamp_is_signed_with_the_body() {
        let whole = sign(Scheme::Body).value(b"1700000000.{}", 0).replace("sha256=", "");
        assert_eq!(sign(Scheme::Timestamped).value(b"{}", 1_700_000_000), format!("t=1700000000,v1={whole}"));
        assert!(now() > 1_700_000_000);
    }
}
