//! Encrypted in one pipeline, decrypted in another.

use super::{back, config, filtering, letter, made_by, made_of};
use crate::jobs::{SOON, nothing_is_left};
use gristmill_tests::{Dead, Mill, eventually};
use serde_json::{Value, json};

const OLD: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const NEW: &str = "6162636465666768696a6b6c6d6e6f707172737475767778797a303132333435";

/// Tables for `encrypt` and `decrypt`, with further keys of both.
fn tables(encrypt: &str, decrypt: &str) -> String {
    format!(
        "[plugin.encrypt]\nconfig = {{ keys = {{ \"2025-11\" = \"{OLD}\", \"2026-11\" = \"{NEW}\" }}, {encrypt} }}\n\
         [plugin.decrypt]\nconfig = {{ keys = {{ \"2025-11\" = \"{OLD}\", \"2026-11\" = \"{NEW}\" }}{decrypt} }}\n"
    )
}

#[test]
fn a_message_is_checked_made_anonymous_encrypted_and_opened_elsewhere() {
    let anonymize = r#"
[plugin.json]
config = { schema = { type = "object", required = ["user"] }, set = { source = "shop" } }
[plugin.anonymize]
config = { drop = ["user.email"], truncate = ["user.ip"] }
"#;
    for format in ["json", "compact"] {
        let seal = tables(&format!("key = \"2026-11\", format = \"{format}\""), "");
        let tables = format!("{anonymize}{seal}{}", back(&["decrypt"]));
        let filters = ["json", "anonymize", "encrypt"];
        let mill = Mill::new()
            .plugins(&["json", "anonymize", "encrypt", "decrypt", "http"])
            .config(&config(&filters, &tables));
        let mut node = mill.node();
        let sealed = made_of(&mill, r#"{"user": {"ip": "203.0.113.77", "email": "a@b.co"}}"#);
        let text = sealed.text();
        assert!(!text.contains("203.0.113") && !text.contains("shop"), "{text}");
        assert_eq!(sealed.body.starts_with(b"\xc7GM\x01\x072026-11"), format == "compact", "{text}");
        let opened = made_by(&mill, "back", &sealed.body);
        assert_eq!(
            (opened.path.as_str(), opened.text().as_str()),
            ("/hooks/back", r#"{"user": {"ip": "203.0.113.0"},"source":"shop"}"#)
        );
        assert_eq!(node.terminate(), 0);
        nothing_is_left(&mill.redis);
    }
}

#[test]
fn fields_are_encrypted_alone_and_bound_to_their_place_and_header() {
    let fields = "fields = [\"user.email\", \"items[*].note\"], bind = [\"header:tenant\"]";
    let tables = tables(&format!("key = \"2026-11\", {fields}"), &format!(", {fields}"))
        + r#"
[plugin.route]
config = { rules = [{ when = { json = "tenant", equals = "a" }, headers = { tenant = "a" } }, { headers = { tenant = "other" } }] }
"# + &back(&["route", "decrypt"]);
    let mill =
        Mill::new().plugins(&["route", "encrypt", "decrypt", "http"]).config(&config(&["route", "encrypt"], &tables));
    let node = mill.node();
    let job = json!({"tenant": "a", "user": {"email": "secret@b.co"}, "items": [{"note": ["secret"]}, {"n": 1}]});
    let sealed = made_of(&mill, job.to_string()).json();
    assert!(!sealed.to_string().contains("secret"), "{sealed}");
    assert_eq!((&sealed["user"]["email"]["kid"], &sealed["items"][1]), (&json!("2026-11"), &json!({"n": 1})));
    assert_eq!(made_by(&mill, "back", sealed.to_string()).json(), job);

    // Under another header, in the place of another field, or changed, it does not open and is kept as it came.
    let mut elsewhere = sealed.clone();
    elsewhere["tenant"] = json!("b");
    let mut swapped = sealed.clone();
    swapped["user"]["email"] = sealed["items"][0]["note"].clone();
    let mut changed = sealed.clone();
    changed["user"]["email"]["ciphertext"] = json!("AAAA");
    for broken in [elsewhere, swapped, changed] {
        mill.redis.push("back", [broken.to_string()]);
    }
    let dead = Dead::of(&mill, "back");
    let letters = eventually(SOON, "three dead letters", || Some(dead.list()).filter(|letters| letters.len() == 3));
    for letter in letters {
        let story = dead.show(&Dead::entry(&letter)).to_string();
        assert!(story.contains("does not open with the key `2026-11`"), "{story}");
    }
    assert!(!node.log().contains("secret"), "{}", node.log());
}

#[test]
fn a_key_is_rotated_while_messages_flow() {
    let old = tables("key = \"2025-11\"", "") + &back(&["decrypt"]);
    let mill = Mill::new().plugins(&["encrypt", "decrypt", "http"]).config(&config(&["encrypt"], &old));
    let mut node = mill.node();
    let first = made_of(&mill, "first");
    let seen = node.log().len();
    mill.write_config(&config(&["encrypt"], &old.replace("key = \"2025-11\"", "key = \"2026-11\"")));
    node.says_after(seen, &["plugin swapped", "encrypt"]);
    let second = made_of(&mill, "second");
    let kid = |body: &Value| body["kid"].as_str().unwrap().to_owned();
    assert_eq!((kid(&first.json()), kid(&second.json())), ("2025-11".to_owned(), "2026-11".to_owned()));
    assert_eq!(made_by(&mill, "back", &first.body).text(), "first");
    assert_eq!(made_by(&mill, "back", &second.body).text(), "second");
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_message_that_is_tried_again_is_encrypted_to_the_same_bytes() {
    let mill = filtering(&["encrypt"], &tables("key = \"2026-11\"", ""));
    let _node = mill.node();
    mill.sink.answer_first(2, gristmill_tests::Answer::Status(503));
    mill.redis.push("jobs", ["text"]);
    eventually(SOON, "three attempts", || (mill.sink.count() == 3).then_some(()));
    assert_eq!(mill.sink.bodies().len(), 1);
}

#[test]
fn what_was_never_encrypted_is_kept_and_a_key_that_is_missing_is_named() {
    let mill = Mill::new()
        .plugins(&["decrypt", "http"])
        .config(&config(&["decrypt"], &tables("", "").split_off(tables("", "").find("[plugin.decrypt]").unwrap())));
    let _node = mill.node();
    let other =
        json!({"alg": "XC20P", "kid": "2024-11", "nonce": "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4", "ciphertext": ""});
    mill.redis.push("jobs", [other.to_string()]);
    let story = letter(&mill, "jobs").to_string();
    assert!(story.contains("the key `2024-11`, which is not in `config.keys`"), "{story}");
}
