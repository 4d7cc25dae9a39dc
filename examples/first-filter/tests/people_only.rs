//! The filter tested natively: no host, no WebAssembly.

use first_filter::people_only;
use gristmill_sdk::{Change, Message, Verdict};

#[test]
fn a_bot_is_dropped() {
    let verdict = people_only(Message::test(r#"{"agent": "searchbot/2"}"#)).unwrap();
    assert_eq!(verdict, Verdict::drop("a bot"));
}

#[test]
fn a_person_is_marked() {
    let verdict = people_only(Message::test(r#"{"agent": "Firefox"}"#)).unwrap();
    assert_eq!(verdict, Change::default().with_header("audience", "people").into());
}

#[test]
fn what_is_no_hit_is_rejected() {
    let error = people_only(Message::test("{}")).unwrap_err();
    assert!(!error.is_retry());
    assert_eq!(error.reason(), "payload: missing field `agent` at line 1 column 2");
}
