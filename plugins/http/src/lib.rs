//! A publisher that delivers each message over HTTP.

mod policy;
mod sign;

use gristmill_sdk::{Body, Error, Message, Publisher, Reply, Request, Result, Template, publisher};
use policy::{Policy, Statuses};
use serde::Deserialize;
use sign::Sign;
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
    /// Of the body.
    sign: Option<Sign>,
    #[serde(default)]
    done: Vec<Statuses>,
    #[serde(default)]
    retry: Vec<Statuses>,
    #[serde(default)]
    reject: Vec<Statuses>,
}

fn post() -> String {
    "POST".into()
}

/// The publisher.
pub struct Http {
    url: Template,
    method: Template,
    headers: Vec<(String, Template)>,
    /// The configured one, or none if the payload decides.
    content_type: Option<Template>,
    sign: Option<Sign>,
    policy: Policy,
}

#[publisher]
impl Publisher for Http {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        let Config { url, method, mut headers, mut content_type, sign, done, retry, reject } = config;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Error::reject(format!("config.url: `{url}` does not begin with `http://` or `https://`")));
        }
        let url = template("url", &url)?;
        sign.as_ref().map_or(Ok(()), Sign::check)?;
        if let Some(name) = headers.keys().find(|name| name.eq_ignore_ascii_case("content-type")).cloned() {
            let header = headers.remove(&name);
            content_type = content_type.or(header);
        }
        let headers = headers.into_iter().map(|(name, value)| {
            let value = template(&format!("headers.{name}"), &value)?;
            Ok((name, value))
        });
        Ok(Self {
            url,
            method: template("method", &method)?,
            headers: headers.collect::<Result<_>>()?,
            content_type: content_type.map(|text| template("content_type", &text)).transpose()?,
            sign,
            policy: Policy::new(&done, &retry, &reject)?,
        })
    }

    fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
        let mut request = Request::new(self.method.fill(message)?.to_ascii_uppercase(), self.url.fill_url(message)?);
        for (name, value) in &self.headers {
            request = request.header(name, value.fill(message)?);
        }
        if request.body == Body::Payload {
            let content_type = match &self.content_type {
                Some(template) => template.fill(message)?,
                None => looks_like(message.payload()).to_owned(),
            };
            request = request.header("content-type", content_type);
        }
        if let Some(sign) = &self.sign {
            let body = if request.body == Body::Payload { message.payload() } else { b"" };
            let (name, value) = sign.header(body);
            request = request.header(name, value);
        }
        Ok(request.into())
    }

    fn answered(&mut self, _: &Message, replies: &[Reply]) -> Result<Vec<Request>> {
        replies.iter().try_for_each(|reply| self.policy.judge(reply))?;
        Ok(Vec::new())
    }
}

fn template(field: &str, text: &str) -> Result<Template> {
    Template::parse(text).map_err(|error| Error::reject(format!("config.{field}: {error}")))
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
    use gristmill_sdk::{HttpRequest, config};

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
    fn method_and_headers_are_filled_and_the_body_is_signed() {
        let config = r#"{"url": "http://x/", "method": "{header:verb}", "headers": {"x-user": "{json:user.id}"},
                         "sign": {"key": "k", "header": "x-hub-signature-256"}}"#;
        let request = request(config, &Message::test(r#"{"user":{"id":7}}"#).with_header("verb", "put"));
        assert_eq!((request.method.as_str(), header(&request, "x-user")), ("PUT", vec!["7".to_owned()]));
        let signature = header(&request, "x-hub-signature-256");
        assert!(
            signature.len() == 1 && signature[0].starts_with("sha256=") && signature[0].len() == 71,
            "{signature:?}"
        );
    }

    #[test]
    fn statuses_mean_what_the_config_says() {
        let mut plugin = plugin(r#"{"url": "http://x/", "done": [409], "retry": ["404"], "reject": ["5xx"]}"#).unwrap();
        let mut judge = |status| plugin.answered(&Message::test(""), &[Reply::test(status, "")]);
        assert_eq!(judge(409), Ok(Vec::new()));
        assert!(judge(404).unwrap_err().is_retry() && !judge(503).unwrap_err().is_retry());
        assert!(judge(429).unwrap_err().is_retry());
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
