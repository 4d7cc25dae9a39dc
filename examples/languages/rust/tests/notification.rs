//! The filter tested natively: no host, no WebAssembly.

use gristmill_sdk::{Change, Filter, Message, Verdict, config};
use notification::Notification;

fn filter(payload: &str) -> gristmill_sdk::Result<Verdict> {
    let config = config::parse(r#"{"private": "ip"}"#).expect("the config is right");
    Notification::new(config)?.filter(Message::test(payload))
}

#[test]
fn what_is_private_goes_and_the_user_becomes_a_header() {
    let verdict = filter(r#"{"user": "mia", "text": "hello", "ip": "192.0.2.1"}"#).unwrap();
    let expected = Change::payload(r#"{"user": "mia", "text": "hello"}"#).with_header("user", "mia");
    assert_eq!(verdict, expected.into());
}

#[test]
fn what_is_no_notification_is_rejected_with_the_reason() {
    for (payload, reason) in [("{", "not JSON: "), (r#"{"user": 7}"#, "no notification: "), ("[]", "no notification: ")]
    {
        let error = filter(payload).unwrap_err();
        assert!(!error.is_retry() && error.reason().starts_with(reason), "{}", error.reason());
    }
}
