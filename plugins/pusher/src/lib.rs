//! A publisher that triggers events of Pusher Channels, and of servers that speak its protocol.

mod event;
mod names;
mod settings;
mod sign;

use event::{Event, Reader};
use gristmill_sdk::{HttpReply, Message, Publisher, Reply, Request, Result, publisher, reply};
use serde::{Deserialize, Serialize};
use settings::Config;
use sign::App;

gristmill_sdk::needs!("http", "clock");

/// How many channels one request may name.
const CHANNELS: usize = 100;

/// The publisher.
pub struct Pusher {
    app: App,
    reader: Reader,
}

/// The body of one request.
#[derive(Serialize)]
struct Trigger<'e> {
    name: &'e str,
    channels: &'e [String],
    data: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket_id: Option<&'e str>,
}

#[publisher]
impl Publisher for Pusher {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        let (app, reader) = config.ready()?;
        Ok(Self { app, reader })
    }

    fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
        let event = self.reader.read(message)?;
        event.channels.chunks(CHANNELS).map(|channels| self.trigger(&event, channels)).collect()
    }

    fn answered(&mut self, _: &Message, replies: &[Reply]) -> Result<Vec<Request>> {
        let meant: Vec<Reply> = replies.iter().map(meant).collect();
        reply::judge(&meant)?;
        Ok(Vec::new())
    }
}

impl Pusher {
    fn trigger(&self, event: &Event, channels: &[String]) -> Result<Request> {
        let Event { name, data, socket_id, .. } = event;
        let body = serde_json::to_vec(&Trigger { name, channels, data, socket_id: socket_id.as_deref() })?;
        Ok(self.app.post("events", body, sign::now()).into())
    }
}

/// How soketi words a refusal.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "error")]
    _error: String,
    code: u16,
}

/// The reply with the status that is meant: soketi says 200 and has the true one in the body.
fn meant(reply: &Reply) -> Reply {
    let refusal = reply.success().ok().and_then(|http| serde_json::from_slice::<Refusal>(&http.body).ok());
    match (reply, refusal) {
        (Reply::Http(Ok(http)), Some(refusal)) => Reply::Http(Ok(HttpReply { status: refusal.code, ..http.clone() })),
        _ => reply.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::{Body, config};
    use serde_json::{Value, json};

    fn plugin(more: &str) -> Pusher {
        let config = format!(r#"{{"app_id": "3", "key": "k", "secret": "s", "url": "http://127.0.0.1:6001"{more}}}"#);
        Pusher::new(config::parse(&config).unwrap()).unwrap()
    }

    fn bodies(plugin: &mut Pusher, payload: &str) -> Vec<Value> {
        let requests = plugin.publish(&Message::test(payload)).unwrap();
        let body = |request: &Request| match &request.http().unwrap().body {
            Body::Bytes(bytes) => serde_json::from_slice(bytes).unwrap(),
            other => panic!("{other:?}"),
        };
        requests.iter().map(body).collect()
    }

    #[test]
    fn a_message_becomes_one_signed_request() {
        let requests = plugin("").publish(&Message::test(r#"{"channel":"a","event":"hit","data":{"n":1}}"#)).unwrap();
        let [Request::Http(http)] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!(http.method, "POST");
        assert!(http.url.starts_with("http://127.0.0.1:6001/apps/3/events?auth_key=k&auth_timestamp="), "{}", http.url);
        assert_eq!(http.headers, [("content-type".to_owned(), "application/json".to_owned())]);
        let body = br#"{"name":"hit","channels":["a"],"data":"{\"n\":1}"}"#;
        assert_eq!(http.body, Body::Bytes(body.to_vec()));
    }

    #[test]
    fn more_than_a_hundred_channels_are_split() {
        let channels: Vec<String> = (0..201).map(|number| format!("c{number}")).collect();
        let payload = json!({"channels": channels, "event": "e", "data": "x"}).to_string();
        let bodies = bodies(&mut plugin(""), &payload);
        let counts: Vec<usize> = bodies.iter().map(|body| body["channels"].as_array().unwrap().len()).collect();
        assert_eq!(counts, [100, 100, 1]);
        assert!(bodies.iter().all(|body| body["name"] == "e" && body["data"] == "x"));
        let sent: Vec<&str> =
            bodies.iter().flat_map(|body| body["channels"].as_array().unwrap()).filter_map(Value::as_str).collect();
        assert_eq!(sent, channels);
    }

    #[test]
    fn a_connection_is_left_out() {
        let payload = r#"{"channel":"a","event":"e","data":"x","socket_id":"12.34"}"#;
        assert_eq!(bodies(&mut plugin(""), payload)[0]["socket_id"], "12.34");
    }

    #[test]
    fn refusals_are_judged_by_what_they_mean() {
        let mut plugin = plugin("");
        let mut judge = |status, body: &str| plugin.answered(&Message::test(""), &[Reply::test(status, body)]);
        assert_eq!(judge(200, "{}"), Ok(Vec::new()));
        assert_eq!(judge(200, r#"{"ok":true}"#), Ok(Vec::new()));
        assert_eq!(judge(202, "queued"), Ok(Vec::new()));
        let wrong = judge(200, r#"{"error":"The secret authentication failed","code":401}"#).unwrap_err();
        assert!(!wrong.is_retry() && wrong.reason().contains("401") && wrong.reason().contains("authentication"));
        assert!(judge(200, r#"{"error":"busy","code":503}"#).unwrap_err().is_retry());
        for status in [400, 401, 403, 404, 413] {
            assert!(!judge(status, "").unwrap_err().is_retry(), "{status}");
        }
        for status in [408, 429, 500, 503] {
            assert!(judge(status, "").unwrap_err().is_retry(), "{status}");
        }
    }
}
