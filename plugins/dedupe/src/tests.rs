//! The filter over messages, with the store of a test.

use super::*;
use gristmill_sdk::{Change, config};

fn plugin(json: &str) -> Result<Dedupe> {
    Dedupe::new(config::parse(json)?)
}

fn by(key: &str) -> Dedupe {
    store::clear();
    plugin(&format!(r#"{{"key": {key}, "window": "1h"}}"#)).unwrap()
}

fn is_dropped(plugin: &mut Dedupe, message: Message) -> bool {
    match plugin.filter(message).unwrap() {
        Verdict::Drop(_) => true,
        Verdict::Pass => false,
        verdict => panic!("{verdict:?}"),
    }
}

fn message(id: &str, payload: &str) -> Message {
    Message::test(payload).with_id(id)
}

#[test]
fn a_second_message_with_the_same_key_is_dropped_and_says_after_which() {
    let mut plugin = by(r#""json:order.id""#);
    assert_eq!(plugin.filter(message("a", r#"{"order":{"id":7},"n":1}"#)), Ok(Verdict::Pass));
    let second = plugin.filter(message("b", r#"{"order":{"id":7},"n":2}"#));
    assert_eq!(second, Ok(Verdict::drop("seen before, as message a")));
    assert_eq!(plugin.filter(message("c", r#"{"order":{"id":8}}"#)), Ok(Verdict::Pass));
}

#[test]
fn another_attempt_of_the_same_message_is_no_duplicate() {
    let mut plugin = by(r#""payload""#);
    for attempt in 1..4 {
        assert!(!is_dropped(&mut plugin, message("a", "x").with_attempt(attempt)));
    }
    assert!(is_dropped(&mut plugin, message("b", "x")));
    assert!(!is_dropped(&mut plugin, message("a", "x").with_attempt(4)));
}

#[test]
fn a_message_comes_through_again_after_the_window() {
    store::clear();
    let mut plugin = plugin(r#"{"key": "payload", "window": "20ms"}"#).unwrap();
    assert!(!is_dropped(&mut plugin, message("a", "x")));
    std::thread::park_timeout(Duration::from_millis(40));
    assert!(!is_dropped(&mut plugin, message("b", "x")));
}

#[test]
fn keys_are_told_apart_by_what_they_are() {
    let different = |key: &str, messages: [Message; 2]| {
        let mut plugin = by(key);
        let [one, other] = messages;
        !is_dropped(&mut plugin, one) && !is_dropped(&mut plugin, other)
    };
    let headers =
        |a: &str, b: &str| message("", "{}").with_id(format!("{a} {b}")).with_header("a", a).with_header("b", b);
    assert!(different(r#"["header:a", "header:b"]"#, [headers("x", "yz"), headers("xy", "z")]));
    assert!(different(
        r#"["topic", "payload"]"#,
        [message("1", "x").with_topic("a"), message("2", "x").with_topic("b")]
    ));
    assert!(different(r#""json:n""#, [message("1", r#"{"n":7}"#), message("2", r#"{"n":"7"}"#)]));
    assert!(different(
        r#"["json:n[*]", "json:m[*]"]"#,
        [message("1", r#"{"n":[1,2],"m":[3]}"#), message("2", r#"{"n":[1],"m":[2,3]}"#)]
    ));
    assert!(!different(r#""json:n""#, [message("1", r#"{"n":"\u0061"}"#), message("2", r#"{ "n" : "a", "x": 1 }"#)]));
}

#[test]
fn a_message_without_the_key_passes_unless_said_otherwise() {
    let with = |missing: &str| {
        plugin(&format!(r#"{{"key": ["header:a", "json:n"], "window": "1h", "missing": "{missing}"}}"#)).unwrap()
    };
    let why = "the message lacks the header `a` or `n`, which `config.key` names";
    let message = || message("a", "{}").with_header("a", "1");
    assert_eq!(with("pass").filter(message()), Ok(Verdict::Pass));
    assert_eq!(with("drop").filter(message()), Ok(Verdict::drop(why)));
    assert_eq!(with("reject").filter(message()), Err(Error::reject(why)));
}

#[test]
fn a_duplicate_can_be_marked_with_the_id_of_the_first() {
    store::clear();
    let mut plugin = plugin(r#"{"key": "payload", "window": "1d", "mark": "duplicate-of"}"#).unwrap();
    assert_eq!(plugin.filter(message("a", "x")), Ok(Verdict::Pass));
    assert_eq!(plugin.filter(message("b", "x")), Ok(Change::default().with_header("duplicate-of", "a").into()));
}

#[test]
fn a_store_that_is_away_has_the_message_tried_again() {
    let mut plugin = by(r#""payload""#);
    store::fail(LookupFailure::Unavailable("away".to_owned()));
    assert!(plugin.filter(message("a", "x")).unwrap_err().is_retry());
    store::clear();
}

#[test]
fn a_config_that_will_not_do_is_refused_by_name() {
    let why = |json: &str| plugin(json).err().unwrap().reason().to_owned();
    assert!(why(r#"{"key": "id", "window": "1h"}"#).starts_with("config.key: expected `json:PATH`"));
    assert!(why(r#"{"key": "json:a..b", "window": "1h"}"#).starts_with("config.key: `a..b` is not a path"));
    assert_eq!(why(r#"{"key": [], "window": "1h"}"#), "config.key: expected at least one");
    assert!(why(r#"{"key": "payload", "window": "soon"}"#).starts_with("config.window: expected a time such as"));
    assert_eq!(why(r#"{"key": "payload"}"#), "config: missing field `window`");
    assert!(
        why(r#"{"key": 1, "window": "1h"}"#).starts_with("config.key: invalid type: integer `1`, expected a string or")
    );
}
