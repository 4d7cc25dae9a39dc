//! The types of `gristmill:plugin@0.1.0` as they cross, and how they become the host's own.
//!
//! What a plugin answers is lifted into these; what it is told borrows from the host, so that nothing is copied twice.

use crate::message::{self, Message};
use crate::request;
use std::time::Duration;
use wasmtime::component::{ComponentType, Lift, Lower};

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Advice {
    #[component(name = "after-ms")]
    after_ms: Option<u32>,
    reason: String,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(super) enum Fault {
    #[component(name = "retry")]
    Retry(Advice),
    #[component(name = "reject")]
    Reject(String),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Change {
    topic: Option<String>,
    headers: Vec<(String, Option<String>)>,
    payload: Option<Vec<u8>>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(super) enum Verdict {
    #[component(name = "pass")]
    Pass,
    #[component(name = "replace")]
    Replace(Change),
    #[component(name = "split")]
    Split(Vec<Change>),
    #[component(name = "drop")]
    Drop(Option<String>),
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(super) enum Body {
    #[component(name = "payload")]
    Payload,
    #[component(name = "bytes")]
    Bytes(Vec<u8>),
    #[component(name = "empty")]
    Empty,
    #[component(name = "template")]
    Template(Vec<u8>),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct HttpRequest {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Body,
    #[component(name = "timeout-ms")]
    timeout_ms: Option<u32>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Rotation {
    bytes: Option<u64>,
    #[component(name = "every-s")]
    every_s: Option<u32>,
    keep: Option<u32>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(super) enum Sync {
    #[component(name = "never")]
    Never,
    #[component(name = "within-ms")]
    WithinMs(u32),
    #[component(name = "always")]
    Always,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct FileAppend {
    dir: String,
    path: String,
    line: Option<Vec<u8>>,
    rotation: Rotation,
    sync: Sync,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct WebSocketSend {
    url: String,
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
    body: Body,
    binary: bool,
    expect: bool,
    #[component(name = "timeout-ms")]
    timeout_ms: Option<u32>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(super) enum Request {
    #[component(name = "http")]
    Http(HttpRequest),
    #[component(name = "redis")]
    Redis(Vec<Vec<u8>>),
    #[component(name = "file")]
    File(FileAppend),
    #[component(name = "websocket")]
    WebSocket(WebSocketSend),
    #[component(name = "redis-with-settling")]
    RedisWithSettling(Vec<Vec<u8>>),
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct HttpReply<'a> {
    status: u16,
    headers: &'a [(String, String)],
    body: &'a [u8],
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum Failure<'a> {
    #[component(name = "denied")]
    Denied(&'a str),
    #[component(name = "invalid")]
    Invalid(&'a str),
    #[component(name = "unreachable")]
    Unreachable(&'a str),
    #[component(name = "too-large")]
    TooLarge(&'a str),
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum RedisValue<'a> {
    #[component(name = "nil")]
    Nil,
    #[component(name = "number")]
    Number(i64),
    #[component(name = "bytes")]
    Bytes(&'a [u8]),
    #[component(name = "items")]
    Items(u32),
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum Reply<'a> {
    #[component(name = "http")]
    Http(Result<HttpReply<'a>, Failure<'a>>),
    #[component(name = "redis")]
    Redis(Result<Vec<RedisValue<'a>>, Failure<'a>>),
    #[component(name = "file")]
    File(Result<(), Failure<'a>>),
    #[component(name = "websocket")]
    WebSocket(Result<Option<&'a [u8]>, Failure<'a>>),
}

#[expect(dead_code, reason = "only ever made by lifting a number")]
#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

impl Fault {
    pub(super) fn into_host(self) -> message::Fault {
        match self {
            Self::Retry(advice) => message::Fault::Retry {
                after: advice.after_ms.map(|ms| Duration::from_millis(ms.into())),
                reason: advice.reason,
            },
            Self::Reject(reason) => message::Fault::Reject { reason },
        }
    }
}

impl Change {
    fn into_host(self) -> message::Change {
        message::Change { topic: self.topic, headers: self.headers, payload: self.payload.map(Into::into) }
    }
}

impl Verdict {
    pub(super) fn into_host(self) -> message::Verdict {
        match self {
            Self::Pass => message::Verdict::Pass,
            Self::Replace(change) => message::Verdict::Replace(change.into_host()),
            Self::Split(changes) => message::Verdict::Split(changes.into_iter().map(Change::into_host).collect()),
            Self::Drop(reason) => message::Verdict::Drop(reason),
        }
    }
}

impl Request {
    /// The request as the host knows it; a body that is the payload shares the bytes of `message`.
    pub(super) fn into_host(self, message: &Message) -> request::Request {
        match self {
            Self::Http(http) => request::Request::Http(http.into_host(message)),
            Self::Redis(words) => request::Request::Redis(words.into_iter().map(Into::into).collect()),
            Self::RedisWithSettling(words) => {
                request::Request::RedisWithSettling(words.into_iter().map(Into::into).collect())
            }
            Self::File(append) => request::Request::File(append.into_host(message)),
            Self::WebSocket(send) => request::Request::WebSocket(send.into_host(message)),
        }
    }
}

impl HttpRequest {
    fn into_host(self, message: &Message) -> request::HttpRequest {
        let (body, template) = self.body.into_host(message);
        request::HttpRequest {
            method: self.method,
            url: self.url,
            headers: self.headers,
            body,
            template,
            timeout: self.timeout_ms.map(|ms| Duration::from_millis(ms.into())),
        }
    }
}

impl Body {
    /// The bytes, and whether secrets are put into them.
    fn into_host(self, message: &Message) -> (bytes::Bytes, bool) {
        match self {
            Self::Payload => (message.payload.clone(), false),
            Self::Bytes(bytes) => (bytes.into(), false),
            Self::Template(bytes) => (bytes.into(), true),
            Self::Empty => (bytes::Bytes::new(), false),
        }
    }
}

impl WebSocketSend {
    fn into_host(self, message: &Message) -> request::WebSocketSend {
        let (body, template) = self.body.into_host(message);
        request::WebSocketSend {
            url: self.url,
            headers: self.headers,
            subprotocols: self.subprotocols,
            body,
            binary: self.binary,
            template,
            expect: self.expect,
            timeout: self.timeout_ms.map(|ms| Duration::from_millis(ms.into())),
        }
    }
}

impl FileAppend {
    fn into_host(self, message: &Message) -> request::FileAppend {
        let Rotation { bytes, every_s, keep } = self.rotation;
        request::FileAppend {
            dir: self.dir,
            path: self.path,
            line: self.line.map_or_else(|| message.payload.clone(), Into::into),
            rotation: request::Rotation { bytes, every: every_s.map(|s| Duration::from_secs(s.into())), keep },
            durability: match self.sync {
                Sync::Never => request::Durability::Never,
                Sync::WithinMs(ms) => request::Durability::Within(Duration::from_millis(ms.into())),
                Sync::Always => request::Durability::Always,
            },
        }
    }
}

impl<'a> From<&'a request::Reply> for Reply<'a> {
    fn from(reply: &'a request::Reply) -> Self {
        match reply {
            request::Reply::Http(Ok(reply)) => {
                Self::Http(Ok(HttpReply { status: reply.status, headers: &reply.headers, body: &reply.body }))
            }
            request::Reply::Http(Err(failure)) => Self::Http(Err(failure.into())),
            request::Reply::Redis(Ok(value)) => Self::Redis(Ok(flat(value))),
            request::Reply::Redis(Err(failure)) => Self::Redis(Err(failure.into())),
            request::Reply::File(done) => Self::File(done.as_ref().copied().map_err(Into::into)),
            request::Reply::WebSocket(answer) => {
                Self::WebSocket(answer.as_ref().map(Option::as_deref).map_err(Into::into))
            }
        }
    }
}

/// `value` and behind it all that it holds, as values that hold nothing: types of components cannot hold themselves.
fn flat(value: &request::RedisValue) -> Vec<RedisValue<'_>> {
    let mut values = Vec::new();
    let mut ahead = vec![value];
    while let Some(next) = ahead.pop() {
        values.push(match next {
            request::RedisValue::Nil => RedisValue::Nil,
            request::RedisValue::Number(number) => RedisValue::Number(*number),
            request::RedisValue::Bytes(bytes) => RedisValue::Bytes(bytes),
            request::RedisValue::List(list) => {
                ahead.extend(list.iter().rev());
                RedisValue::Items(u32::try_from(list.len()).unwrap_or(u32::MAX))
            }
        });
    }
    values
}

impl<'a> From<&'a request::Failure> for Failure<'a> {
    fn from(failure: &'a request::Failure) -> Self {
        match failure {
            request::Failure::Denied(why) => Self::Denied(why),
            request::Failure::Invalid(why) => Self::Invalid(why),
            request::Failure::Unreachable(why) => Self::Unreachable(why),
            request::Failure::TooLarge(why) => Self::TooLarge(why),
        }
    }
}
