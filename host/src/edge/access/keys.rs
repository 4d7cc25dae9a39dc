//! The keys that tokens are signed with: a secret, or a JSON Web Key Set (RFC 7517).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    signature::{self, RsaPublicKeyComponents, UnparsedPublicKey},
};
use serde::Deserialize;

/// Bytes of a shared secret, below which it can be guessed.
const SHORTEST_SECRET: usize = 32;
/// Bits of an RSA key's modulus that the library checks signatures with.
const SHORTEST_RSA: usize = 2048 / 8;

/// Why a key set cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::edge) enum Unusable {
    /// It is not JSON of the right shape.
    #[error("it is no JSON Web Key Set: {0}")]
    Json(#[from] serde_json::Error),
    /// It has no key at all.
    #[error("it holds no key that signs")]
    Empty,
    /// One of its keys.
    #[error("key {number} cannot be used: {why}")]
    Key {
        /// Counts from 1.
        number: usize,
        why: &'static str,
    },
}

/// A key, and what its owner calls it.
pub(super) struct Key {
    id: Option<String>,
    /// What it signs with, where only one way is meant.
    algorithm: Option<String>,
    material: Material,
}

enum Material {
    Secret(Vec<u8>),
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// A point and the name of its only algorithm.
    Curve(&'static str, UnparsedPublicKey<Vec<u8>>),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Written>,
}

/// As RFC 7518, section 6, has them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    crv: String,
    k: String,
    n: String,
    e: String,
    x: String,
    y: String,
}

impl Key {
    /// A secret that both sides know, for HS256, HS384 and HS512.
    pub(super) fn secret(secret: &str) -> Self {
        Self { id: None, algorithm: None, material: Material::Secret(secret.as_bytes().to_vec()) }
    }

    /// The keys of a set that sign; others are passed over.
    pub(super) fn set(text: &str) -> Result<Vec<Self>, Unusable> {
        let set: Set = serde_json::from_str(text)?;
        let signing =
            set.keys.into_iter().enumerate().filter(|(_, key)| key.r#use.as_deref().is_none_or(|is| is == "sig"));
        let key = |(index, written): (usize, Written)| {
            let material = written.material().map_err(|why| Unusable::Key { number: index + 1, why })?;
            Ok(Self { id: written.kid, algorithm: written.alg, material })
        };
        let keys = signing.map(key).collect::<Result<Vec<_>, Unusable>>()?;
        if keys.is_empty() { Err(Unusable::Empty) } else { Ok(keys) }
    }

    /// Whether a token that names this key, if it names one, may be of this one.
    pub(super) fn may_be(&self, id: Option<&str>) -> bool {
        match (id, &self.id) {
            (Some(wanted), Some(id)) => wanted == id,
            _ => true,
        }
    }

    /// Whether it has signed `text` so. The algorithm is the key's own: that of a token is only believed where the key has it too.
    pub(super) fn has_signed(&self, algorithm: &str, text: &[u8], signature: &[u8]) -> bool {
        if self.algorithm.as_deref().is_some_and(|own| own != algorithm) {
            return false;
        }
        match &self.material {
            Material::Secret(secret) => {
                let algorithm = match algorithm {
                    "HS256" => hmac::HMAC_SHA256,
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => return false,
                };
                hmac::verify(&hmac::Key::new(algorithm, secret), text, signature).is_ok()
            }
            Material::Rsa(key) => {
                let parameters = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
                    "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
                    "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return false,
                };
                key.verify(parameters, text, signature).is_ok()
            }
            Material::Curve(own, key) => algorithm == *own && key.verify(text, signature).is_ok(),
        }
    }
}

impl Written {
    fn material(&self) -> Result<Material, &'static str> {
        match (&*self.kty, &*self.crv) {
            ("oct", _) => {
                let secret = bytes(&self.k).ok_or("`k` is not base64url")?;
                let long = secret.len() >= SHORTEST_SECRET;
                if long { Ok(Material::Secret(secret)) } else { Err("the secret is shorter than 32 bytes") }
            }
            ("RSA", _) => {
                let (n, e) = bytes(&self.n).zip(bytes(&self.e)).ok_or("`n` or `e` is not base64url")?;
                let long = n.iter().skip_while(|byte| **byte == 0).count() >= SHORTEST_RSA;
                if long {
                    Ok(Material::Rsa(RsaPublicKeyComponents { n, e }))
                } else {
                    Err("it is shorter than 2,048 bits")
                }
            }
            ("EC", "P-256") => self.point("ES256", &signature::ECDSA_P256_SHA256_FIXED, 32),
            ("EC", "P-384") => self.point("ES384", &signature::ECDSA_P384_SHA384_FIXED, 48),
            ("OKP", "Ed25519") => {
                let x = bytes(&self.x).filter(|x| x.len() == 32).ok_or("`x` is not 32 bytes in base64url")?;
                Ok(Material::Curve("EdDSA", UnparsedPublicKey::new(&signature::ED25519, x)))
            }
            _ => Err("its kind is none of oct, RSA, EC with P-256 or P-384, and OKP with Ed25519"),
        }
    }

    fn point(
        &self,
        algorithm: &'static str,
        check: &'static dyn signature::VerificationAlgorithm,
        length: usize,
    ) -> Result<Material, &'static str> {
        let part = |text: &str| bytes(text).filter(|bytes| bytes.len() == length);
        let (x, y) = part(&self.x).zip(part(&self.y)).ok_or("`x` or `y` is not as long as its curve wants")?;
        Ok(Material::Curve(algorithm, UnparsedPublicKey::new(check, [&[4], &x[..], &y[..]].concat())))
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| !bytes.is_empty())
}

/// Says nothing of what is secret.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}
