//! A publisher that sends each message over a WebSocket.

mod answer;

use answer::{Answer, Judge};
use gristmill_sdk::{Error, Message, Publisher, Reply, Request, Result, Span, Template, publisher};
use serde::Deserialize;
use std::collections::BTreeMap;

gristmill_sdk::needs!("http");

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// With places such as `{topic}`.
    url: String,
    #[serde(default)]
    frames: Frames,
    /// Of the handshake.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    subprotocols: Vec<String>,
    /// Whether one is waited for, and what it means.
    answer: Option<Answer>,
    timeout: Option<Span>,
}

/// What messages are sent as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Frames {
    #[default]
    Text,
    Binary,
}

/// The publisher.
pub struct WebSocket {
    url: Template,
    frames: Frames,
    headers: Vec<(String, Template)>,
    subprotocols: Vec<String>,
    judge: Option<Judge>,
    timeout: Option<Span>,
}

#[publisher]
impl Publisher for WebSocket {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        let Config { url, frames, headers, subprotocols, answer, timeout } = config;
        if !url.starts_with("ws://") && !url.starts_with("wss://") {
            return Err(Error::reject(format!("config.url: `{url}` does not begin with `ws://` or `wss://`")));
        }
        if let Some(name) = subprotocols.iter().find(|name| !is_token(name)) {
            return Err(Error::reject(format!("config.subprotocols: `{name}` is no name of a subprotocol")));
        }
        let headers = headers.into_iter().map(|(name, value)| {
            let value = template(&format!("headers.{name}"), &value)?;
            Ok((name, value))
        });
        Ok(Self {
            url: template("url", &url)?,
            frames,
            headers: headers.collect::<Result<_>>()?,
            subprotocols,
            judge: answer.map(Judge::new).transpose()?,
            timeout,
        })
    }

    fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
        let mut send = Request::websocket(self.url.fill_url(message)?);
        for (name, value) in &self.headers {
            send = send.header(name, value.fill(message)?);
        }
        send.subprotocols.clone_from(&self.subprotocols);
        send.binary = self.frames == Frames::Binary;
        send.expect = self.judge.is_some();
        send.timeout = self.timeout.map(|Span(timeout)| timeout);
        Ok(send.into())
    }

    fn answered(&mut self, _: &Message, replies: &[Reply]) -> Result<Vec<Request>> {
        for reply in replies {
            if let (Some(answer), Some(judge)) = (reply.websocket()?, &self.judge) {
                judge.judge(answer)?;
            }
        }
        Ok(Vec::new())
    }
}

fn template(field: &str, text: &str) -> Result<Template> {
    Template::parse(text).map_err(|error| Error::reject(format!("config.{field}: {error}")))
}

/// As RFC 9110 has them, in section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::{Body, Failure, WebSocketSend, config};
    use std::time::Duration;

    fn plugin(json: &str) -> Result<WebSocket> {
        WebSocket::new(config::parse(json)?)
    }

    fn send(json: &str, message: &Message) -> WebSocketSend {
        plugin(json).unwrap().publish(message).unwrap()[0].as_websocket().unwrap().clone()
    }

    #[test]
    fn the_payload_is_sent_as_text_to_the_filled_url() {
        let config =
            r#"{"url": "wss://x.org/{topic}?u={header:user}", "headers": {"authorization": "Bearer {json:token}"}}"#;
        let message = Message::test(r#"{"token": "t"}"#).with_topic("a/b").with_header("user", "ann&co");
        let send = send(config, &message);
        assert_eq!(send.url, "wss://x.org/a%2Fb?u=ann%26co");
        assert_eq!(send.headers, [("authorization".to_owned(), "Bearer t".to_owned())]);
        assert_eq!((send.body, send.binary, send.expect, send.timeout), (Body::Payload, false, false, None));
        assert!(send.subprotocols.is_empty());
    }

    #[test]
    fn frames_subprotocols_and_answers_are_as_the_config_says() {
        let config = r#"{"url": "ws://x/", "frames": "binary", "subprotocols": ["a.v2", "a.v1"], "answer": {}, "timeout": "1500ms"}"#;
        let send = send(config, &Message::test(""));
        assert_eq!((send.binary, send.expect, send.timeout), (true, true, Some(Duration::from_millis(1500))));
        assert_eq!(send.subprotocols, ["a.v2", "a.v1"]);
    }

    #[test]
    fn an_answer_is_judged_only_where_one_was_asked_for() {
        let judge = |json: &str, answer: Option<&str>| {
            let reply = Reply::WebSocket(Ok(answer.map(|answer| answer.as_bytes().to_vec())));
            plugin(json).unwrap().answered(&Message::test(""), &[reply])
        };
        assert_eq!(judge(r#"{"url": "ws://x/"}"#, None), Ok(Vec::new()));
        let asking = r#"{"url": "ws://x/", "answer": {"done": ["ok"]}}"#;
        assert_eq!(judge(asking, Some("ok")), Ok(Vec::new()));
        assert!(judge(asking, Some("what?")).unwrap_err().is_retry());
    }

    #[test]
    fn what_failed_is_tried_again_where_that_may_help() {
        let mut plugin = plugin(r#"{"url": "ws://x/"}"#).unwrap();
        let mut judge = |failure| plugin.answered(&Message::test(""), &[Reply::WebSocket(Err(failure))]).unwrap_err();
        assert!(judge(Failure::Unreachable("503".into())).is_retry());
        assert!(!judge(Failure::Invalid("401".into())).is_retry());
        assert!(!judge(Failure::Denied("no".into())).is_retry());
    }

    #[test]
    fn a_message_that_has_nothing_for_a_place_is_rejected() {
        let mut plugin = plugin(r#"{"url": "ws://x/{header:user}"}"#).unwrap();
        assert!(!plugin.publish(&Message::test("")).unwrap_err().is_retry());
    }

    #[test]
    fn a_config_that_will_not_do_is_refused_by_name() {
        let why = |json: &str| plugin(json).err().unwrap().reason().to_owned();
        assert_eq!(why(r#"{"url": "http://x/"}"#), "config.url: `http://x/` does not begin with `ws://` or `wss://`");
        assert!(why(r#"{"url": "ws://{user}/"}"#).starts_with("config.url: nothing is known as `{user}`"));
        let with = |more: &str| why(&format!(r#"{{"url": "ws://x/", {more}}}"#));
        assert!(with(r#""headers": {"a": "{"}"#).starts_with("config.headers.a: "));
        assert_eq!(with(r#""subprotocols": ["a b"]"#), "config.subprotocols: `a b` is no name of a subprotocol");
        assert!(with(r#""frames": "json""#).starts_with("config.frames: unknown variant `json`"));
        assert!(with(r#""answer": {"all": true}"#).starts_with("config.answer.all: unknown field"));
        assert!(with(r#""timeout": "soon""#).starts_with("config.timeout: `soon` is no duration"));
        assert!(with(r#""ping": "5s""#).starts_with("config.ping: unknown field"));
        assert!(why("{}").contains("missing field `url`"), "{}", why("{}"));
    }
}
