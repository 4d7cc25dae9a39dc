//! The filter over whole messages.

use super::*;
use gristmill_sdk::config;

fn plugin(json: &str) -> Result<Reshape> {
    Reshape::new(config::parse(json)?)
}

fn run(json: &str, payload: &str) -> Result<Verdict> {
    plugin(json).unwrap().filter(Message::test(payload))
}

/// The payload afterwards.
fn made(json: &str, payload: &str) -> String {
    match run(json, payload).unwrap() {
        Verdict::Replace(change) => String::from_utf8(change.payload.unwrap()).unwrap(),
        Verdict::Pass => "as it was".into(),
        verdict => format!("{verdict:?}"),
    }
}

const ORDER: &str =
    r#"{"id":7, "total":1.50,"user":{"mail":"a@b.co","ip":"1.2.3.4"},"items":[{"sku":"x","n":1},{"sku":"y"}]}"#;

#[test]
fn without_steps_it_wants_json() {
    assert_eq!(made("{}", ORDER), "as it was");
    let error = run("{}", "{\"id\":}").unwrap_err();
    assert_eq!(error, Error::reject("payload: not JSON at byte 6: expected a value"));
    assert!(matches!(run(r#"{"invalid": "drop"}"#, "{"), Ok(Verdict::Drop(Some(why))) if why.contains("not JSON")));
}

#[test]
fn each_step_does_its_own() {
    assert_eq!(made(r#"{"pick": ["id", "items[*].sku"]}"#, ORDER), r#"{"id":7,"items":[{"sku":"x"},{"sku":"y"}]}"#);
    assert_eq!(
        made(r#"{"remove": ["items", "user.ip"]}"#, ORDER),
        r#"{"id":7, "total":1.50,"user":{"mail":"a@b.co"}}"#
    );
    assert_eq!(
        made(r#"{"pick": ["user.mail"], "rename": {"user.mail": "email"}}"#, ORDER),
        r#"{"user":{},"email":"a@b.co"}"#
    );
    assert_eq!(
        made(r#"{"pick": ["items"], "set": {"items[*].seen": true, "by.name": "mill"}}"#, ORDER),
        r#"{"items":[{"sku":"x","n":1,"seen":true},{"sku":"y","seen":true}],"by":{"name":"mill"}}"#
    );
}

#[test]
fn steps_follow_each_other() {
    let config = r#"{"parse": ["data"], "schema": {"properties": {"data": {"required": ["a"]}}}, "pick": ["data.a", "data.b"],
        "remove": ["data.b"], "rename": {"data.a": "a"}, "set": {"data": null}}"#;
    assert_eq!(made(config, r#"{"data":"{\"a\":[1],\"b\":2}","x":1}"#), r#"{"data":null,"a":[1]}"#);
    let error = run(config, r#"{"data":"{}"}"#).unwrap_err();
    assert!(error.reason().starts_with("payload.data: `a` is missing"), "{error}");
}

#[test]
fn strings_that_hold_no_json_are_rejected() {
    let error = run(r#"{"parse": ["a"]}"#, r#"{"a":"{"}"#).unwrap_err();
    assert!(error.reason().starts_with("payload: a string of `parse` holds something else: not JSON"), "{error}");
    assert_eq!(made(r#"{"parse": ["a"]}"#, r#"{"a":{"b":1}}"#), "as it was");
}

#[test]
fn what_cannot_be_picked_from_is_not_let_through() {
    assert!(run(r#"{"pick": ["a"]}"#, r#"["secret"]"#).is_err());
    assert!(run(r#"{"pick": ["a"]}"#, r#""secret""#).is_err());
    assert_eq!(made(r#"{"pick": ["[*].a"]}"#, r#"[{"a":1,"b":2}]"#), r#"[{"a":1}]"#);
}

#[test]
fn a_message_that_does_not_fit_is_rejected_or_dropped() {
    let schema = r#""schema": {"type": "object", "required": ["id"]}"#;
    let error = run(&format!("{{{schema}}}"), "{}").unwrap_err();
    assert!(!error.is_retry() && error.reason().starts_with("payload: `id` is missing"), "{error}");
    let dropped = run(&format!(r#"{{{schema}, "invalid": "drop"}}"#), "{}").unwrap();
    assert!(matches!(dropped, Verdict::Drop(Some(why)) if why.starts_with("payload: `id` is missing")));
    assert_eq!(run(&format!("{{{schema}}}"), r#"{"id":1}"#).unwrap(), Verdict::Pass);
}

#[test]
fn a_config_that_will_not_do_is_refused_by_name() {
    let why = |json: &str| plugin(json).err().unwrap().reason().to_owned();
    assert_eq!(why(r#"{"pick": ["a..b"]}"#), "config.pick: `a..b` is not a path: a key is missing");
    assert_eq!(why(r#"{"set": {"": 1}}"#), "config.set: `` is not a path: a key is missing");
    assert!(why(r#"{"schema": {"anyOf": []}}"#).starts_with("config.schema: `anyOf` not supported"));
    assert!(why(r#"{"pik": []}"#).starts_with("config.pik: unknown field, did you mean `pick`?"));
}
