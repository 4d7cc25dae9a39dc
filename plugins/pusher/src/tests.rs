//! What is sent for one message and for many, and how the answers are judged.

use super::*;
use gristmill_sdk::{Body, Error, HttpRequest, config};
use serde_json::{Value, json};

fn plugin() -> Pusher {
    let config = r#"{"app_id": "3", "key": "k", "secret": "s", "url": "http://127.0.0.1:6001"}"#;
    Pusher::new(config::parse(config).unwrap()).unwrap()
}

fn plan(payloads: &[&str]) -> Plan {
    let messages: Vec<Message> = payloads.iter().map(|&payload| Message::test(payload)).collect();
    plugin().publish_batch(&messages).unwrap()
}

/// The requests, with the messages that each carries.
fn sent(plan: &Plan) -> Vec<(&HttpRequest, &[usize])> {
    plan.requests().iter().map(|(request, carries)| (request.http().unwrap(), &carries[..])).collect()
}

fn body(request: &HttpRequest) -> Value {
    match &request.body {
        Body::Bytes(bytes) => serde_json::from_slice(bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn event(channel: &str, number: usize) -> String {
    json!({"channel": channel, "event": "hit", "data": {"n": number}}).to_string()
}

#[test]
fn a_message_alone_becomes_one_signed_request() {
    let plan = plan(&[r#"{"channel":"a","event":"hit","data":{"n":1}}"#]);
    let [(http, [0])] = sent(&plan)[..] else { panic!("{plan:?}") };
    assert_eq!(http.method, "POST");
    assert!(http.url.starts_with("http://127.0.0.1:6001/apps/3/events?auth_key=k&auth_timestamp="), "{}", http.url);
    assert_eq!(http.headers, [("content-type".to_owned(), "application/json".to_owned())]);
    let body = br#"{"name":"hit","channels":["a"],"data":"{\"n\":1}"}"#;
    assert_eq!(http.body, Body::Bytes(body.to_vec()));
}

#[test]
fn ten_events_go_in_one_request() {
    let payloads: Vec<String> = (0..21).map(|number| event("a", number)).collect();
    let plan = plan(&payloads.iter().map(String::as_str).collect::<Vec<_>>());
    let sent = sent(&plan);
    let carries: Vec<Vec<usize>> = sent.iter().map(|(_, carries)| carries.to_vec()).collect();
    assert_eq!(carries, [(0..10).collect::<Vec<_>>(), (10..20).collect(), vec![20]]);
    assert!(sent[0].0.url.contains("/apps/3/batch_events?") && sent[2].0.url.contains("/apps/3/events?"));
    assert_eq!(body(sent[1].0)["batch"][3], json!({"channel": "a", "name": "hit", "data": "{\"n\":13}"}));
}

#[test]
fn each_message_of_a_batch_is_refused_by_itself() {
    let long = json!({"channel": "a", "event": "e", "data": "x".repeat(10_241)}).to_string();
    let several = r#"{"channels":["a","b"],"event":"e","data":1,"socket_id":"1.2"}"#;
    let plan = plan(&[&event("a", 1), &long, several, "no json", &event("b", 2)]);
    let sent = sent(&plan);
    assert_eq!(sent.iter().map(|(_, carries)| *carries).collect::<Vec<_>>(), [&[2][..], &[0, 4]]);
    assert_eq!(body(sent[0].0)["socket_id"], "1.2");
    let faults: Vec<usize> = plan.faults().iter().map(|(place, _)| *place).collect();
    assert_eq!(faults, [1, 3]);
    assert!(plan.faults()[0].1.reason().contains("10241 bytes"));
}

#[test]
fn more_than_a_hundred_channels_are_split() {
    let channels: Vec<String> = (0..201).map(|number| format!("c{number}")).collect();
    let plan = plan(&[&json!({"channels": channels, "event": "e", "data": "x"}).to_string()]);
    let bodies: Vec<Value> = sent(&plan).into_iter().map(|(request, _)| body(request)).collect();
    let counts: Vec<usize> = bodies.iter().map(|body| body["channels"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [100, 100, 1]);
    assert!(bodies.iter().all(|body| body["name"] == "e" && body["data"] == "x"));
    let sent: Vec<&str> =
        bodies.iter().flat_map(|body| body["channels"].as_array().unwrap()).filter_map(Value::as_str).collect();
    assert_eq!(sent, channels);
}

fn judge(status: u16, body: &str) -> Option<Error> {
    let messages = [Message::test(""), Message::test("")];
    let plan = plugin().answered_batch(&messages, &[BatchedReply::new(Reply::test(status, body), [0, 1])]).unwrap();
    assert!(plan.requests().is_empty() && [0, 2].contains(&plan.faults().len()));
    plan.faults().first().map(|(_, error)| error.clone())
}

#[test]
fn refusals_are_judged_by_what_they_mean() {
    for (status, body) in [(200, "{}"), (200, r#"{"ok":true}"#), (202, "queued")] {
        assert_eq!(judge(status, body), None);
    }
    let wrong = judge(200, r#"{"error":"The secret authentication failed","code":401}"#).unwrap();
    assert!(!wrong.is_retry() && wrong.reason().contains("401") && wrong.reason().contains("authentication"));
    assert!(judge(200, r#"{"error":"busy","code":503}"#).unwrap().is_retry());
    for status in [400, 401, 403, 404, 413] {
        assert!(!judge(status, "").unwrap().is_retry(), "{status}");
    }
    for status in [408, 429, 500, 503] {
        assert!(judge(status, "").unwrap().is_retry(), "{status}");
    }
}
