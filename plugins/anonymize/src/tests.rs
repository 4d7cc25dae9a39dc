//! The filter over whole messages.

use super::*;
use gristmill_sdk::{Change, Error, config};

const KEY: &str = "a key of some length";

fn plugin(json: &str) -> Result<Anonymize> {
    Anonymize::new(config::parse(json)?)
}

fn run(json: &str, payload: &str) -> Verdict {
    plugin(json).unwrap().filter(Message::test(payload)).unwrap()
}

/// The payload afterwards.
fn made(json: &str, payload: &str) -> String {
    match run(json, payload) {
        Verdict::Replace(change) => String::from_utf8(change.payload.unwrap()).unwrap(),
        Verdict::Pass => "as it was".into(),
        verdict => format!("{verdict:?}"),
    }
}

#[test]
fn fields_are_dropped_and_the_rest_keeps_its_bytes() {
    let config = r#"{"fields": ["ip", "user.email", "items[*].owner"]}"#;
    let payload = r#"{"ip":"10.0.0.7", "n":1.50, "user":{"email":"a@b.c","id":7},"items":[{"owner":1},{}]}"#;
    let rest = r#"{"n":1.50, "user":{"id":7},"items":[{},{}]}"#;
    assert_eq!(run(config, payload), Change::payload(rest).into());
}

#[test]
fn a_message_without_the_fields_passes() {
    assert_eq!(run(r#"{"fields": ["ip"]}"#, r#"{"user": "ip"}"#), Verdict::Pass);
    assert_eq!(run(r#"{"fields": ["ip"]}"#, "[1, 2]"), Verdict::Pass);
}

#[test]
fn fields_are_masked_whatever_they_hold() {
    let config = r#"{"fields": ["a", "b"], "mode": "mask"}"#;
    assert_eq!(made(config, r#"{"a":{"x":[1]},"b":null}"#), r#"{"a":"***","b":"***"}"#);
    assert_eq!(made(r#"{"mask": ["a"], "mask_with": "-"}"#, r#"{"a":7}"#), r#"{"a":"-"}"#);
}

/// The HMAC of `Hi There` is test case 1 of RFC 4231, with its key of twenty bytes 0x0b.
#[test]
fn fields_are_hashed_under_the_key() {
    let key = "\\u000b".repeat(20);
    let config = format!(r#"{{"hash": ["users[*].name"], "key": "{key}"}}"#);
    let known = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
    assert_eq!(
        made(&config, r#"{"users":[{"name":"Hi There"},{"name":"\u0048i There"}]}"#),
        format!(r#"{{"users":[{{"name":"{known}"}},{{"name":"{known}"}}]}}"#)
    );
    let short = format!(r#"{{"hash": ["a"], "key": "{key}", "digits": 20}}"#);
    assert_eq!(made(&short, r#"{"a":"Hi There"}"#), format!(r#"{{"a":"{}"}}"#, &known[..20]));
}

#[test]
fn different_keys_and_values_have_different_pseudonyms() {
    let with = |key: &str, value: &str| made(&format!(r#"{{"hash": ["a"], "key": "{key}"}}"#), value);
    let all = [
        with(KEY, r#"{"a":"x"}"#),
        with(KEY, r#"{"a":"y"}"#),
        with(KEY, r#"{"a":null}"#),
        with("another key of some length", r#"{"a":"x"}"#),
    ];
    assert!(all.iter().enumerate().all(|(at, one)| !all[at + 1..].contains(one)), "{all:?}");
}

#[test]
fn addresses_are_truncated_and_what_is_none_is_masked() {
    let config = r#"{"truncate": ["ip", "users[*].ip"]}"#;
    let payload =
        r#"{"ip":"203.0.113.77","users":[{"ip":"2001:db8:1:2::1"},{"ip":"home"},{"ip":7},{"ip":null},{"ip":""}]}"#;
    let expected =
        r#"{"ip":"203.0.113.0","users":[{"ip":"2001:db8:1::"},{"ip":"***"},{"ip":"***"},{"ip":null},{"ip":""}]}"#;
    assert_eq!(made(config, payload), expected);
    assert_eq!(
        made(r#"{"truncate": ["ip"], "keep_bits": {"v4": 16}}"#, r#"{"ip":"203.0.113.77"}"#),
        r#"{"ip":"203.0.0.0"}"#
    );
}

#[test]
fn texts_are_looked_through_with_all_that_lies_in_them() {
    let config = r#"{"scrub": ["notes"]}"#;
    let payload =
        r#"{"notes":[{"t":"mail a@b.co \u00e9\n\"now\"","n":1.50},"203.0.113.7",{"c@d.org":1}],"from":"e@f.de"}"#;
    let expected =
        r#"{"notes":[{"t":"mail [email] é\n\"now\"","n":1.50},"203.0.113.0",{"[email]":1}],"from":"e@f.de"}"#;
    assert_eq!(made(config, payload), expected);
    assert_eq!(made(config, r#"{"notes":"nothing \" here \\","x":"a@b.co"}"#), "as it was");
}

#[test]
fn patterns_alone_look_through_all_of_a_message() {
    let config = r#"{"patterns": ["email"]}"#;
    assert_eq!(
        made(config, r#"{"a":{"b":["x@y.org \\"]},"ip":"203.0.113.7"}"#),
        r#"{"a":{"b":["[email] \\"]},"ip":"203.0.113.7"}"#
    );
    assert_eq!(made(config, r#""x@y.org""#), r#""[email]""#);
    assert_eq!(made(config, "[]"), "as it was");
    assert!(plugin(config).unwrap().filter(Message::test(r#"{"a":"x@y.org"#)).is_err());
}

#[test]
fn all_of_it_works_together_and_the_stricter_treatment_wins() {
    let config = format!(
        r#"{{"drop": ["u.email"], "mask": ["u.*", "card"], "hash": ["u.id", "card"], "truncate": ["u.ip"],
             "patterns": ["email", "ip", "card"], "key": "{KEY}"}}"#
    )
    .replace("u.*", "u.name");
    let payload = r#"{"u":{"email":"a@b.co","id":"c@d.org","ip":"203.0.113.77","name":"N"},"card":1,"t":"by e@f.de"}"#;
    let made = made(&config, payload);
    let id = made.split(r#""id":""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(id.len(), 64);
    let expected = format!(r#"{{"u":{{"id":"{id}","ip":"203.0.113.0","name":"***"}},"card":"***","t":"by [email]"}}"#);
    assert_eq!(made, expected);
}

#[test]
fn what_is_not_json_is_rejected_with_its_place() {
    let mut plugin = plugin(r#"{"fields": ["ip"]}"#).unwrap();
    let error = plugin.filter(Message::test(r#"{"ip": 1 "#)).unwrap_err();
    assert_eq!(error, Error::reject("payload: not JSON at byte 9: expected `,` or `}`, but it ends there"));
}

#[test]
fn a_config_that_will_not_do_is_refused_by_name() {
    let why = |json: &str| plugin(json).err().unwrap().reason().to_owned();
    assert!(why("{}").starts_with("config: expected a path in `fields`"));
    assert!(why(r#"{"fields": [], "patterns": []}"#).starts_with("config: expected a path in `fields`"));
    assert_eq!(why(r#"{"drop": ["a..b"]}"#), "config.drop: `a..b` is not a path: a key is missing");
    assert!(why(r#"{"fields": ["a"], "key": "x"}"#).starts_with("config.key: nothing is hashed"));
    assert!(why(r#"{"hash": ["a"]}"#).starts_with("config.key: hashing needs a key"));
    assert_eq!(why(r#"{"hash": ["a"], "key": "short"}"#), "config.key: expected 16 characters or more");
    assert_eq!(
        why(&format!(r#"{{"hash": ["a"], "key": "{KEY}", "digits": 8}}"#)),
        "config.digits: expected 20 to 64, not 8"
    );
    assert_eq!(why(r#"{"truncate": ["a"], "keep_bits": {"v4": 33}}"#), "config.keep_bits.v4: 33 is more than 32");
    assert!(why(r#"{"scrub": ["a"], "patterns": []}"#).starts_with("config.patterns: expected at least one"));
    assert!(why(r#"{"patterns": ["name"]}"#).starts_with("config.patterns[0]: unknown variant `name`"));
    assert_eq!(
        why(r#"{"fields": ["a"], "mode": "remove"}"#),
        "config.mode: unknown variant `remove`, expected one of `drop`, `mask`, `hash`, `truncate`, `scrub`"
    );
}
