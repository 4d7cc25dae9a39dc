//! Filters one behind the other.

use super::{filtering, letter, made_of};
use serde_json::json;

const TABLES: &str = r#"
[plugin.json]
config = { schema = { type = "object", required = ["id"], properties = { id = { type = "integer" } } }, pick = ["id", "user", "text"], rename = { "user.mail" = "user.email" } }

[plugin.anonymize]
config = { drop = ["user.email"], truncate = ["user.ip"], scrub = ["text"] }
"#;

#[test]
fn a_message_is_checked_then_reshaped_then_made_anonymous() {
    let mill = filtering(&["json", "anonymize"], TABLES);
    let mut node = mill.node();
    let job = json!({"id": 7, "user": {"ip": "203.0.113.77", "mail": "a@b.co"}, "text": "by a@b.co", "internal": 1});
    let received = made_of(&mill, job.to_string());
    assert_eq!(received.json(), json!({"id": 7, "user": {"ip": "203.0.113.0"}, "text": "by [email]"}));
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_message_that_does_not_fit_is_kept_with_the_place_and_without_its_values() {
    let mill = filtering(&["json", "anonymize"], TABLES);
    let node = mill.node();
    mill.redis.push("jobs", [r#"{"id":"secret","user":{}}"#]);
    let letter = letter(&mill, "jobs");
    assert!(letter.to_string().contains("payload.id: expected integer, not string"), "{letter}");
    assert!(!node.log().contains("secret"), "{}", node.log());
    assert_eq!(mill.sink.count(), 0);
}
