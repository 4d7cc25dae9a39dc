//! A publisher to channels of the nginx push stream module, and of nchan.

use gristmill_sdk::{Error, Message, Publisher, Reply, Request, Result, Template, publisher};
use serde::Deserialize;
use std::fmt::Write;

gristmill_sdk::needs!("http");

/// The header in which the push stream module says why it refuses.
const EXPLAIN: &str = "x-nginx-pushstream-explain";
/// What it says where a limit is reached that may be free again later.
const FULL: &str = "Number of channels were exceeded";

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    url: String,
    #[serde(default = "topic")]
    channel: String,
    #[serde(default)]
    dialect: Dialect,
    event_id: Option<String>,
    event_type: Option<String>,
    content_type: Option<String>,
}

fn topic() -> String {
    "{topic}".into()
}

/// Which module is at the other end.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Dialect {
    #[default]
    PushStream,
    Nchan,
}

/// The publisher.
pub struct PushStream {
    url: String,
    channel: Template,
    dialect: Dialect,
    event_id: Option<Template>,
    event_type: Option<Template>,
    content_type: String,
}

#[publisher]
impl Publisher for PushStream {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        let Config { url, channel, dialect, event_id, event_type, content_type } = config;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Error::reject(format!("config.url: `{url}` does not begin with `http://` or `https://`")));
        }
        if dialect == Dialect::Nchan && event_id.is_some() {
            return Err(Error::reject("config.event_id: nchan makes the ids of events itself"));
        }
        let optional = |field, text: Option<String>| text.map(|text| template(field, &text)).transpose();
        Ok(Self {
            url,
            channel: template("channel", &channel)?,
            dialect,
            event_id: optional("event_id", event_id)?,
            event_type: optional("event_type", event_type)?,
            content_type: content_type.unwrap_or_else(|| "text/plain".into()),
        })
    }

    fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
        if message.payload().is_empty() {
            return Err(Error::reject("the payload is empty, and there are no empty messages"));
        }
        let channel = self.channel.fill(message)?;
        self.check(&channel)?;
        let sign = if self.url.contains('?') { '&' } else { '?' };
        let mut request = Request::post(format!("{}{sign}id={}", self.url, encoded(&channel)));
        request = request.header("content-type", &self.content_type).header("accept", "application/json");
        if let Some(id) = &self.event_id {
            request = request.header("event-id", id.fill(message)?);
        }
        if let Some(kind) = &self.event_type {
            let name = if self.dialect == Dialect::Nchan { "x-eventsource-event" } else { "event-type" };
            request = request.header(name, kind.fill(message)?);
        }
        Ok(request.into())
    }

    fn answered(&mut self, _: &Message, replies: &[Reply]) -> Result<Vec<Request>> {
        replies.iter().try_for_each(judge)?;
        Ok(Vec::new())
    }
}

impl PushStream {
    /// Wants one channel that is what it is called: the push stream module splits at `/`, and takes `.b3` for a wish to go back.
    fn check(&self, channel: &str) -> Result<()> {
        let wrong = |why: &str| Err(Error::reject(format!("no channel can be called `{channel}`: {why}")));
        if channel.is_empty() {
            return wrong("it is empty");
        }
        if self.dialect == Dialect::Nchan {
            return Ok(());
        }
        let back = channel
            .rsplit_once(".b")
            .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
        match channel {
            "ALL" => wrong("that stands for all of them"),
            _ if channel.contains('*') => wrong("`*` stands for several"),
            _ if channel.contains('/') => wrong("`/` parts two channels"),
            _ if back => wrong("what follows the last `.b` is read as a number of messages to go back"),
            _ => Ok(()),
        }
    }
}

/// As by default, with the words of the push stream module; its limit of channels heals as others go.
fn judge(reply: &Reply) -> Result<()> {
    let Err(error) = reply.success() else { return Ok(()) };
    let explained = match reply {
        Reply::Http(Ok(http)) => http.header(EXPLAIN).map(|why| (http, why)),
        _ => None,
    };
    let Some((http, why)) = explained else { return Err(error) };
    let reason = format!("{http}: {why}");
    Err(match error.pause() {
        Some(pause) => Error::retry_after(pause, reason),
        None if error.is_retry() || why.contains(FULL) => Error::retry(reason),
        None => Error::reject(reason),
    })
}

fn template(field: &str, text: &str) -> Result<Template> {
    Template::parse(text).map_err(|error| Error::reject(format!("config.{field}: {error}")))
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => all.push(byte.into()),
            // Writing to a string cannot fail.
            _ => write!(all, "%{byte:02X}").unwrap_or_default(),
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::{Body, HttpRequest, config};
    use std::time::Duration;

    fn plugin(json: &str) -> Result<PushStream> {
        PushStream::new(config::parse(json)?)
    }

    fn request(json: &str, message: &Message) -> Result<HttpRequest> {
        Ok(plugin(json)?.publish(message)?[0].http().unwrap().clone())
    }

    #[test]
    fn a_message_is_posted_to_its_channel() {
        let message = Message::test("hello").with_topic("news ü").with_id("7-1");
        let config = r#"{"url": "http://h/pub", "event_id": "{id}", "event_type": "hit"}"#;
        let request = request(config, &message).unwrap();
        assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "http://h/pub?id=news%20%C3%BC"));
        assert_eq!(request.body, Body::Payload);
        assert!(request.headers.contains(&("event-id".into(), "7-1".into())));
        assert!(request.headers.contains(&("event-type".into(), "hit".into())));
    }

    #[test]
    fn nchan_is_told_the_event_its_own_way() {
        let config = r#"{"url": "http://h/pub?k=1", "dialect": "nchan", "channel": "a/b", "event_type": "hit"}"#;
        let request = request(config, &Message::test("x")).unwrap();
        assert_eq!(request.url, "http://h/pub?k=1&id=a%2Fb");
        assert!(request.headers.contains(&("x-eventsource-event".into(), "hit".into())));
        assert!(plugin(r#"{"url": "http://h/", "dialect": "nchan", "event_id": "{id}"}"#).is_err());
    }

    #[test]
    fn what_the_module_would_refuse_or_misread_is_not_sent() {
        for channel in ["ALL", "a*", "a/b", "a.b3", ""] {
            let message = Message::test("x").with_topic(channel);
            assert!(!request(r#"{"url": "http://h/"}"#, &message).unwrap_err().is_retry(), "{channel}");
        }
        assert!(request(r#"{"url": "http://h/"}"#, &Message::test("x").with_topic("f.b")).is_ok());
        assert!(request(r#"{"url": "http://h/"}"#, &Message::test("")).is_err());
        assert!(plugin(r#"{"url": "h"}"#).is_err());
    }

    #[test]
    fn recorded_answers_are_judged() {
        let stored = r#"{"channel": "ch1", "published_messages": 1, "stored_messages": 1, "subscribers": 0}"#;
        for reply in [Reply::test(200, stored), Reply::test(200, ""), Reply::test(201, ""), Reply::test(202, "")] {
            assert_eq!(judge(&reply), Ok(()));
        }
        let refused = |status, why: &str| {
            judge(&Reply::test(status, "").with_header("X-Nginx-PushStream-Explain", why)).unwrap_err()
        };
        let error = refused(403, "Channel id not authorized for this method.");
        assert_eq!(error, Error::reject("answered 403: Channel id not authorized for this method."));
        assert!(!refused(400, "Channel id is too large.").is_retry());
        assert!(refused(403, "Number of channels were exceeded.").is_retry());
        let full =
            Reply::test(503, "").with_header("X-Nginx-PushStream-Explain", "later").with_header("retry-after", "7");
        assert_eq!(judge(&full), Err(Error::retry_after(Duration::from_secs(7), "answered 503: later")));
        assert!(judge(&Reply::test(500, "")).unwrap_err().is_retry());
    }
}
