//! The publisher tested natively: no host, no network.

use first_publisher::Hook;
use gristmill_sdk::{Body, Message, Publisher, Reply, config};

fn hook() -> Hook {
    let config = config::parse(r#"{"url": "https://example.com/hook"}"#).expect("the config is right");
    Hook::new(config).expect("any config will do")
}

#[test]
fn the_payload_is_posted_with_its_topic() {
    let requests = hook().publish(&Message::test("{}").with_topic("orders")).unwrap();
    assert_eq!(requests.len(), 1);
    let request = requests[0].http().expect("a hook is called by HTTP");
    assert_eq!(request.url, "https://example.com/hook");
    assert_eq!(request.headers, [("x-topic".to_owned(), "orders".to_owned())]);
    assert_eq!(request.body, Body::Payload);
}

#[test]
fn a_busy_server_is_asked_again() {
    let error = hook().answered(&Message::test("{}"), &[Reply::test(503, "busy")]).unwrap_err();
    assert!(error.is_retry());
    assert_eq!(error.reason(), "answered 503: busy");
}
