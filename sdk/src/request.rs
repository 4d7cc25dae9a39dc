//! What a publisher asks the host for.

use crate::{FileAppend, Result, WebSocketSend};
use std::time::Duration;

/// Something for the host to carry out; the operator's grants and limits hold for it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Request {
    /// An HTTP request.
    Http(HttpRequest),
    /// A command of Redis and its arguments.
    Redis(Vec<Vec<u8>>),
    /// A line for the end of a file.
    File(FileAppend),
    /// A message over a WebSocket.
    WebSocket(WebSocketSend),
    /// A command of Redis and its arguments, carried out when the message is settled.
    RedisWithSettling(Vec<Vec<u8>>),
}

/// An HTTP request for the host to send.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HttpRequest {
    /// Such as `POST`.
    pub method: String,
    /// Absolute, `http` or `https`.
    pub url: String,
    /// In the order they were added.
    pub headers: Vec<(String, String)>,
    /// What it carries.
    pub body: Body,
    /// For the whole exchange; never longer than what the operator allows.
    pub timeout: Option<Duration>,
}

/// The bytes a request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The payload of the message, which the host has already: nothing is copied.
    Payload,
    /// These bytes.
    Bytes(Vec<u8>),
    /// None.
    Empty,
    /// These bytes, into which the host puts secrets in the places of their stand-ins.
    Template(Vec<u8>),
}

impl Request {
    /// An HTTP request that carries the message's payload, unless the method is one that carries nothing (`GET`, `HEAD`, `DELETE`).
    #[expect(clippy::new_ret_no_self, reason = "most requests are HTTP requests, which more is said about")]
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> HttpRequest {
        let method = method.into();
        let body = if matches!(method.as_str(), "GET" | "HEAD" | "DELETE") { Body::Empty } else { Body::Payload };
        HttpRequest { method, url: url.into(), headers: Vec::new(), body, timeout: None }
    }

    /// A `GET`.
    pub fn get(url: impl Into<String>) -> HttpRequest {
        Self::new("GET", url)
    }

    /// A `POST` that carries the message's payload unless it is given another body.
    pub fn post(url: impl Into<String>) -> HttpRequest {
        Self::new("POST", url)
    }

    /// A `PUT` that carries the message's payload unless it is given another body.
    pub fn put(url: impl Into<String>) -> HttpRequest {
        Self::new("PUT", url)
    }

    /// A `DELETE`.
    pub fn delete(url: impl Into<String>) -> HttpRequest {
        Self::new("DELETE", url)
    }

    /// A command of Redis and its arguments, such as `["SET", "cache:a", "1"]`, for the Redis that the node takes from. The command and
    /// every key have to be granted (`allow_redis`). It may be carried out more than once, as everything that is tried again.
    pub fn redis<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::Redis(words.into_iter().map(|word| word.as_ref().to_vec()).collect())
    }

    /// The same, carried out in the very step of Redis that settles the message as done: both come about, or neither, so that it happens
    /// once for each message, whatever ends or is cut off meanwhile.
    ///
    /// The reply is `QUEUED` ([`Reply::queued`](crate::Reply::queued) in tests): what Redis answers is known only when the message is settled,
    /// and nobody is asked any more. All commands that the publishers want for one message are carried out together, when all of them have
    /// succeeded; where another one needs a retry, none is, and they are asked for anew. Where Redis refuses one, those behind it and the
    /// settling do not come about, and the message is tried again or given up as if an ordinary command had failed; those before it are done,
    /// and will be again. So ask for one command, or for such as do no harm twice, or cannot fail.
    ///
    /// The command has to be plain data, and granted as ordinary ones are. In a Cluster its keys have to lie in the slot of what the message was taken
    /// from. Messages of channels and of Thoonk cannot be settled so: there the reply is [`Failure::Invalid`](crate::Failure::Invalid).
    pub fn redis_with_settling<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::RedisWithSettling(words.into_iter().map(|word| word.as_ref().to_vec()).collect())
    }

    /// A line for the end of the file at `path` in the directory that was granted as `dir`; the payload unless it is given another one.
    pub fn append(dir: impl Into<String>, path: impl Into<String>) -> FileAppend {
        FileAppend::new(dir.into(), path.into())
    }

    /// A message over the WebSocket at `url`, which is `ws` or `wss`: the payload, as text, unless it is told otherwise.
    pub fn websocket(url: impl Into<String>) -> WebSocketSend {
        WebSocketSend::new(url.into())
    }

    /// The message over a WebSocket, if it is one.
    pub fn as_websocket(&self) -> Option<&WebSocketSend> {
        match self {
            Self::WebSocket(send) => Some(send),
            _ => None,
        }
    }

    /// The HTTP request, if it is one.
    pub fn http(&self) -> Option<&HttpRequest> {
        match self {
            Self::Http(request) => Some(request),
            _ => None,
        }
    }

    /// The line for a file, if it is one.
    pub fn file(&self) -> Option<&FileAppend> {
        match self {
            Self::File(append) => Some(append),
            _ => None,
        }
    }
}

impl HttpRequest {
    /// With this header, beside those it has.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With these bytes as the body.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Bytes(bytes.into());
        self
    }

    /// With these bytes as the body, into which the host puts secrets.
    ///
    /// Where its `config` says `${secret:NAME}`, the plugin holds a stand-in: a text that means nothing and that nobody can guess. The
    /// host puts the secret in its place in every URL, behind the host, and in every header; in a body only if it is given here, so
    /// that a payload is never searched for them.
    #[must_use]
    pub fn template(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Template(bytes.into());
        self
    }

    /// Without a body.
    #[must_use]
    pub fn without_body(mut self) -> Self {
        self.body = Body::Empty;
        self
    }

    /// With `value` as the body, in JSON, and a `content-type` that says so unless there is one.
    ///
    /// # Errors
    /// A rejection if `value` has no form in JSON, such as a map whose keys are not strings.
    pub fn json(self, value: &impl serde::Serialize) -> Result<Self> {
        let request = self.body(serde_json::to_vec(value)?);
        let typed = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        Ok(if typed { request } else { request.header("content-type", "application/json") })
    }

    /// With a limit on the whole exchange, to the millisecond; the operator's own limit holds beside it.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl From<HttpRequest> for Request {
    fn from(request: HttpRequest) -> Self {
        Self::Http(request)
    }
}

/// So that a publisher with one request ends in `Ok(request.into())`.
impl From<HttpRequest> for Vec<Request> {
    fn from(request: HttpRequest) -> Self {
        vec![request.into()]
    }
}

/// So that a publisher with one request ends in `Ok(request.into())`.
impl From<Request> for Vec<Request> {
    fn from(request: Request) -> Self {
        vec![request]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_carries_the_payload_and_a_get_nothing() {
        assert_eq!(Request::post("http://a/").body, Body::Payload);
        assert_eq!(Request::get("http://a/").body, Body::Empty);
    }

    #[test]
    fn a_command_is_made_of_texts_or_bytes() {
        let words = vec![b"GET".to_vec(), b"a".to_vec()];
        assert_eq!(Request::redis(["GET", "a"]), Request::Redis(words.clone()));
        assert_eq!(Request::redis([&b"GET"[..], b"a"]), Request::Redis(words.clone()));
        assert_eq!(Request::redis_with_settling(["GET", "a"]), Request::RedisWithSettling(words));
    }

    #[test]
    fn json_names_its_type_once() {
        let request = Request::post("http://a/").json(&[1]).unwrap();
        assert_eq!(request.body, Body::Bytes(b"[1]".to_vec()));
        assert_eq!(request.headers, [("content-type".to_owned(), "application/json".to_owned())]);
        let own = Request::post("http://a/").header("Content-Type", "application/ld+json").json(&[1]).unwrap();
        assert_eq!(own.headers.len(), 1);
    }
}
