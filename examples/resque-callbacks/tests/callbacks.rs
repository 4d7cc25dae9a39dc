//! The publisher tested natively: the answers of the database are the test's own.

use gristmill_sdk::{Body, LookupFailure, Message, NoConfig, Publisher, Request, Result, sql};
use resque_callbacks::Callbacks;
use serde_json::{Value, json};

const COLUMNS: [&str; 3] = ["callback_url", "active", "coins"];

/// What becomes of a job with these arguments.
fn publish(class: &str, args: Value) -> Result<Vec<Request>> {
    sql::answer(|_, _, params| {
        let url = "https://example.com/earned";
        Ok(match params {
            [sql::Value::Integer(1), sql::Value::Integer(7)] => sql::Rows::test(COLUMNS, [(url, true, 50)]),
            [_, sql::Value::Integer(7)] => sql::Rows::test(COLUMNS, [(url, true, None::<i64>)]),
            [_, sql::Value::Integer(8)] => sql::Rows::test(COLUMNS, [(url, false, 50)]),
            _ => sql::Rows::default(),
        })
    });
    job(class, args)
}

fn job(class: &str, args: Value) -> Result<Vec<Request>> {
    let payload = json!({"class": class, "args": args});
    Callbacks::new(NoConfig {})?.publish(&Message::test(payload.to_string()))
}

fn reason(class: &str, args: Value) -> String {
    let error = publish(class, args).expect_err("it can never work");
    assert!(!error.is_retry(), "{error}");
    error.reason().to_owned()
}

#[test]
fn a_publisher_is_told_what_its_user_has_earned() {
    let requests = publish("Callback", json!([41, "mia", 7, 1])).unwrap();
    let request = requests[0].http().unwrap();
    assert_eq!(
        (requests.len(), request.method.as_str(), request.url.as_str()),
        (1, "POST", "https://example.com/earned")
    );
    let Body::Bytes(body) = &request.body else { panic!("{request:?}") };
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body, json!({"transaction": 41, "user": "mia", "coins": 50}));
}

#[test]
fn a_publisher_that_wants_no_callbacks_gets_none() {
    assert_eq!(publish("Callback", json!([41, "mia", 8, 1])), Ok(Vec::new()));
}

#[test]
fn what_can_never_work_is_rejected_with_its_reason() {
    assert_eq!(reason("Callback", json!([41, "mia", 9, 1])), "there is no publisher 9");
    assert_eq!(reason("Callback", json!([41, "mia", 7, 2])), "there is no offer 2");
    assert_eq!(reason("Mail", json!([])), "no job of this queue: `Mail`");
    assert!(reason("Callback", json!([41])).contains("args: "), "{}", reason("Callback", json!([41])));
}

#[test]
fn a_database_that_is_away_is_waited_for() {
    sql::answer(|_, _, _| Err(LookupFailure::Unavailable("away".to_owned())));
    assert!(job("Callback", json!([41, "mia", 7, 1])).unwrap_err().is_retry());
}
