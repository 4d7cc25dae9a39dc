//! A publisher that delivers each message over HTTP.

use gristmill_sdk::{Body, Error, Message, Publisher, Request, Result, Template, publisher};
use serde::Deserialize;
use std::collections::BTreeMap;

gristmill_sdk::needs!("http");

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// With places such as `{topic}`.
    url: String,
    #[serde(default = "post")]
    method: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Instead of the one that the payload looks like.
    content_type: Option<String>,
}

fn post() -> String {
    "POST".into()
}

/// The publisher.
pub struct Http {
    url: Template,
    method: String,
    headers: BTreeMap<String, String>,
    /// The configured one, or none if the payload decides.
    content_type: Option<String>,
}

#[publisher]
impl Publisher for Http {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        let Config { url, method, mut headers, mut content_type } = config;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Error::reject(format!("config.url: `{url}` does not begin with `http://` or `https://`")));
        }
        let url = Template::parse(&url).map_err(|error| Error::reject(format!("config.url: {error}")))?;
        if let Some(name) = headers.keys().find(|name| name.eq_ignore_ascii_case("content-type")).cloned() {
            let header = headers.remove(&name);
            content_type = content_type.or(header);
        }
        Ok(Self { url, method: method.to_ascii_uppercase(), headers, content_type })
    }

    fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
        let mut request = Request::new(&self.method, self.url.fill_url(message)?);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if request.body == Body::Payload {
            let content_type = self.content_type.as_deref().unwrap_or_else(|| looks_like(message.payload()));
            request = request.header("content-type", content_type);
        }
        Ok(request.into())
    }
}

/// Judged by the first byte: reading the whole payload would cost more than sending it.
fn looks_like(payload: &[u8]) -> &'static str {
    match payload.trim_ascii_start().first() {
        Some(b'{' | b'[') => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::{HttpRequest, Reply, config};

    fn plugin(json: &str) -> Result<Http> {
        Http::new(config::parse(json)?)
    }

    fn request(json: &str, message: &Message) -> HttpRequest {
        plugin(json).unwrap().publish(message).unwrap()[0].http().unwrap().clone()
    }

    fn header(request: &HttpRequest, name: &str) -> Vec<String> {
        let values = request.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        values.map(|(_, value)| value.clone()).collect()
    }

    #[test]
    fn the_payload_is_posted_to_the_filled_url() {
        let config = r#"{"url": "https://x.org/{topic}", "headers": {"authorization": "Bearer t"}}"#;
        let request = request(config, &Message::test(" {}").with_topic("orders"));
        assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://x.org/orders"));
        assert_eq!(request.body, Body::Payload);
        assert_eq!(header(&request, "authorization"), ["Bearer t"]);
        assert_eq!(header(&request, "content-type"), ["application/json"]);
    }

    #[test]
    fn the_content_type_can_be_set_in_two_places() {
        let message = Message::test("\u{1}");
        let plain = r#"{"url": "http://x/"}"#;
        assert_eq!(header(&request(plain, &message), "content-type"), ["application/octet-stream"]);
        let set = r#"{"url": "http://x/", "content_type": "text/plain"}"#;
        assert_eq!(header(&request(set, &message), "content-type"), ["text/plain"]);
        let header_set = r#"{"url": "http://x/", "headers": {"Content-Type": "text/css"}}"#;
        assert_eq!(header(&request(header_set, &message), "content-type"), ["text/css"]);
    }

    #[test]
    fn a_get_carries_nothing() {
        let request = request(r#"{"url": "http://x/", "method": "get"}"#, &Message::test("{}"));
        assert_eq!((request.method.as_str(), request.body.clone()), ("GET", Body::Empty));
        assert!(header(&request, "content-type").is_empty());
    }

    #[test]
    fn a_message_without_the_header_is_rejected() {
        let mut plugin = plugin(r#"{"url": "http://x/{header:user}"}"#).unwrap();
        assert!(!plugin.publish(&Message::test("")).unwrap_err().is_retry());
    }

    #[test]
    fn replies_are_judged_by_their_status() {
        let mut plugin = plugin(r#"{"url": "http://x/"}"#).unwrap();
        let mut judge = |status| plugin.answered(&Message::test(""), &[Reply::test(status, "")]);
        assert_eq!(judge(204), Ok(Vec::new()));
        assert!(judge(503).unwrap_err().is_retry());
        assert!(!judge(404).unwrap_err().is_retry());
    }

    #[test]
    fn a_config_that_will_not_do_is_refused_by_name() {
        let why = |json: &str| plugin(json).err().unwrap().reason().to_owned();
        assert_eq!(why("{}"), "config: missing field `url`");
        assert!(
            why(r#"{"url": "http://x/{user}"}"#).starts_with("config.url: nothing is known as `{user}`; known are")
        );
        assert_eq!(why(r#"{"url": "x.org"}"#), "config.url: `x.org` does not begin with `http://` or `https://`");
        assert!(
            why(r#"{"url": "http://x/", "metod": "PUT"}"#)
                .starts_with("config.metod: unknown field, did you mean `method`?")
        );
    }
}
