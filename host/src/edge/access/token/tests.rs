use super::*;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_800_000_000;

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", encoded(header), encoded(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

fn with_secret(algorithm: hmac::Algorithm, secret: &[u8]) -> impl Fn(&[u8]) -> Vec<u8> {
    let key = hmac::Key::new(algorithm, secret);
    move |text| hmac::sign(&key, text).as_ref().to_vec()
}

fn token(claims: &Value) -> String {
    signed(&json!({ "alg": "HS256" }), claims, with_secret(hmac::HMAC_SHA256, SECRET.as_bytes()))
}

fn checked(token: &str) -> Result<Rights, Invalid> {
    verify(token, &[Key::secret(SECRET)], None, NOW)
}

fn set(keys: &Value) -> Vec<Key> {
    Key::set(&json!({ "keys": keys }).to_string()).expect("a set")
}

fn claims() -> Value {
    json!({ "exp": NOW + 60, "read": ["news", "user.7.*"], "publish": ["chat"] })
}

#[test]
fn a_token_allows_what_it_names_and_nothing_else() {
    let rights = checked(&token(&claims())).expect("is good");
    assert!(rights.may_read("news") && rights.may_read("user.7.mail") && rights.may_publish("chat"));
    for channel in ["chat", "news2", "user.8.mail", ""] {
        assert!(!rights.may_read(channel), "{channel}");
    }
    assert!(!rights.may_publish("news"));
    assert_eq!(rights.until, Some(NOW + 60));
    let nothing = checked(&token(&json!({ "exp": NOW + 60 }))).expect("is good");
    assert!(!nothing.may_read("news") && !nothing.may_publish("news"));
}

#[test]
fn a_token_is_good_in_its_time_only() {
    let at = |exp: u64, nbf: u64| checked(&token(&json!({ "exp": exp, "nbf": nbf, "read": ["a"] }))).map(drop);
    assert_eq!(at(NOW - 4, 0), Ok(()));
    assert_eq!(at(NOW - 5, 0), Err(Invalid::Expired));
    assert_eq!(at(NOW + 60, NOW + 5), Ok(()));
    assert_eq!(at(NOW + 60, NOW + 6), Err(Invalid::Early));
    assert_eq!(checked(&token(&json!({ "read": ["a"] }))), Err(Invalid::Malformed), "it must end");
}

#[test]
fn a_token_for_others_is_refused() {
    let of = |aud: Value| {
        let token = token(&json!({ "exp": NOW + 60, "aud": aud }));
        verify(&token, &[Key::secret(SECRET)], Some("edge"), NOW).map(drop)
    };
    assert_eq!(of(json!("edge")), Ok(()));
    assert_eq!(of(json!(["x", "edge"])), Ok(()));
    assert_eq!(of(json!("x")), Err(Invalid::Audience));
    assert_eq!(of(json!([])), Err(Invalid::Audience));
}

#[test]
fn what_is_not_signed_by_a_known_key_is_refused() {
    let good = token(&claims());
    let (text, _) = good.rsplit_once('.').expect("three parts");
    let none = format!("{}.{}.", encoded(&json!({ "alg": "none" })), encoded(&claims()));
    let others = signed(&json!({ "alg": "HS256" }), &claims(), with_secret(hmac::HMAC_SHA256, &[7; 32]));
    let half = signed(&json!({ "alg": "HS256" }), &claims(), |text| {
        with_secret(hmac::HMAC_SHA256, SECRET.as_bytes())(text).get(..16).unwrap_or_default().to_vec()
    });
    let confused = signed(&json!({ "alg": "RS256" }), &claims(), with_secret(hmac::HMAC_SHA256, SECRET.as_bytes()));
    for token in [none, others, half, confused, format!("{text}.AAAA")] {
        assert_eq!(checked(&token), Err(Invalid::Signature), "{token}");
    }
    let critical = signed(
        &json!({ "alg": "HS256", "crit": ["b64"] }),
        &claims(),
        with_secret(hmac::HMAC_SHA256, SECRET.as_bytes()),
    );
    for token in ["", "a", "a.b", "a.b.c", "..", &critical, &format!("{good}="), &"x.".repeat(20_000)] {
        assert_eq!(checked(token), Err(Invalid::Malformed), "{token}");
    }
    assert_eq!(verify(&good, &[], None, NOW), Err(Invalid::Signature));
}

#[test]
fn longer_hashes_work_too_and_only_as_the_key_says() {
    let sign = with_secret(hmac::HMAC_SHA512, SECRET.as_bytes());
    let token = signed(&json!({ "alg": "HS512", "kid": "b" }), &claims(), sign);
    let k = URL_SAFE_NO_PAD.encode(SECRET);
    let key = |id: &str, algorithm: &str| json!({ "kty": "oct", "k": k, "kid": id, "alg": algorithm });
    let check = |keys: Value| verify(&token, &set(&keys), None, NOW).map(drop);
    assert_eq!(check(json!([key("a", "HS512"), key("b", "HS512")])), Ok(()));
    assert_eq!(check(json!([key("b", "HS256")])), Err(Invalid::Signature));
    assert_eq!(check(json!([key("a", "HS512")])), Err(Invalid::Signature));
}

#[test]
fn a_key_with_a_point_checks_what_its_owner_has_signed() {
    let chance = SystemRandom::new();
    let scheme = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::generate_pkcs8(scheme, &chance).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(scheme, pair.as_ref(), &chance).expect("a key");
    let point = pair.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    let keys = set(&json!([{ "kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig" }]));
    let sign = |text: &[u8]| pair.sign(&chance, text).expect("signs").as_ref().to_vec();
    let token = signed(&json!({ "alg": "ES256" }), &claims(), sign);
    assert!(verify(&token, &keys, None, NOW).is_ok());
    // A public key is no secret, so what is "signed" with it by HMAC is nothing.
    let forged = signed(&json!({ "alg": "HS256" }), &claims(), with_secret(hmac::HMAC_SHA256, point));
    assert_eq!(verify(&forged, &keys, None, NOW), Err(Invalid::Signature));

    let pair = Ed25519KeyPair::generate_pkcs8(&chance).expect("a key");
    let pair = Ed25519KeyPair::from_pkcs8(pair.as_ref()).expect("a key");
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let keys = set(&json!([{ "kty": "OKP", "crv": "Ed25519", "x": x }]));
    let token = signed(&json!({ "alg": "EdDSA" }), &claims(), |text| pair.sign(text).as_ref().to_vec());
    assert!(verify(&token, &keys, None, NOW).is_ok());
}

/// The RSA example of RFC 7515, appendix A.2, whose time ended in 2011.
#[test]
fn the_token_of_the_rfc_is_good_in_its_time() {
    let keys = set(&json!([{ "kty": "RSA", "e": "AQAB", "n":
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs\
         D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV\
         MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" }]));
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0\
                 cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU\
                 Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12j\
                 zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77\
                 Rw";
    assert!(verify(token, &keys, None, 1_300_819_000).is_ok());
    assert_eq!(verify(token, &keys, None, NOW), Err(Invalid::Expired));
    let changed = token.replacen("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJqb2Vi", 1);
    assert_eq!(verify(&changed, &keys, None, 1_300_819_000), Err(Invalid::Signature));
}

#[test]
fn keys_that_cannot_be_used_are_told_by_their_place() {
    let refused = |text: &str| Key::set(text).expect_err(text).to_string();
    assert!(refused("{").starts_with("it is no JSON Web Key Set"));
    assert_eq!(refused(r#"{"keys":[]}"#), "it holds no key that signs");
    assert_eq!(refused(r#"{"keys":[{"kty":"oct","k":"AAAA","use":"enc"}]}"#), "it holds no key that signs");
    for (key, why) in [
        (r#"{"kty":"oct","k":"AAAA"}"#, "the secret is shorter than 32 bytes"),
        (r#"{"kty":"RSA","n":"AAAA","e":"AQAB"}"#, "it is shorter than 2,048 bits"),
        (r#"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}"#, "`x` or `y` is not as long as its curve wants"),
        (r#"{"kty":"EC","crv":"P-521"}"#, "its kind is none of oct, RSA, EC with P-256 or P-384, and OKP with Ed25519"),
    ] {
        assert_eq!(refused(&format!(r#"{{"keys":[{key}]}}"#)), format!("key 1 cannot be used: {why}"));
    }
}
