//! What publishers ask the host to carry out, and what came of it. Knows neither Wasm nor a network.

mod batch;

pub use batch::{BatchAnswer, Batched, Fate};

use bytes::Bytes;
use std::time::Duration;

/// One thing to carry out.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// An HTTP exchange.
    Http(HttpRequest),
    /// A command of Redis and its arguments; nothing in it has been checked yet.
    Redis(Vec<Bytes>),
    /// A line for the end of a file.
    File(FileAppend),
    /// A message over a WebSocket.
    WebSocket(WebSocketSend),
    /// A command of Redis to be carried out in the step that settles the message; nothing in it has been checked yet.
    RedisWithSettling(Vec<Bytes>),
}

/// The slot of a Cluster in which a message is settled, where commands of Redis can be carried out in the same step; else why they cannot.
pub type Settling = Result<u16, &'static str>;

/// An HTTP exchange to carry out; nothing in it has been checked yet.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRequest {
    /// Such as `POST`.
    pub method: String,
    /// Absolute, `http` or `https`.
    pub url: String,
    /// As the plugin wrote them.
    pub headers: Vec<(String, String)>,
    /// The request's body, sent with a `content-length`.
    pub body: Bytes,
    /// Whether secrets are put into the body, too, and not only into URL and headers.
    pub template: bool,
    /// For the whole exchange; the operator's own limit holds beside it.
    pub timeout: Option<Duration>,
}

/// A line for the end of a file; nothing in it has been checked yet.
#[derive(Clone, Debug, PartialEq)]
pub struct FileAppend {
    /// The name of a granted directory.
    pub dir: String,
    /// Where in it.
    pub path: String,
    /// Without the line feed behind it.
    pub line: Bytes,
    /// When another file is begun.
    pub rotation: Rotation,
    /// When it is made to outlast a power cut.
    pub durability: Durability,
}

/// When a file is put aside and another one begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Before it would be longer than so many bytes.
    pub bytes: Option<u64>,
    /// At the first line of each such span of time, counted from 1970.
    pub every: Option<Duration>,
    /// How many that were put aside are kept; all if there is none.
    pub keep: Option<u32>,
}

/// When what was written is made to outlast a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the system thinks fit.
    Never,
    /// At the latest so long after it was written.
    Within(Duration),
    /// Before it counts as written.
    Always,
}

/// A message over a WebSocket; nothing in it has been checked yet.
#[derive(Clone, Debug, PartialEq)]
pub struct WebSocketSend {
    /// Absolute, `ws` or `wss`.
    pub url: String,
    /// Of the handshake, as the plugin wrote them.
    pub headers: Vec<(String, String)>,
    /// Of which the server has to choose one, if there are any.
    pub subprotocols: Vec<String>,
    /// What is sent.
    pub body: Bytes,
    /// As bytes rather than as text.
    pub binary: bool,
    /// Whether secrets are put into the body, too.
    pub template: bool,
    /// Whether what the server sends next is the answer, and waited for.
    pub expect: bool,
    /// For all of it; the operator's own limit holds beside it.
    pub timeout: Option<Duration>,
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Of an HTTP exchange.
    Http(Result<HttpReply, Failure>),
    /// Of a command of Redis.
    Redis(Result<RedisValue, Failure>),
    /// Of a line for a file.
    File(Result<(), Failure>),
    /// Of a message over a WebSocket: the answer, if one was expected.
    WebSocket(Result<Option<Bytes>, Failure>),
}

impl Request {
    /// Of the server that it goes to, if the operator can say how much that server gets.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Http(request) => Some(&request.url),
            Self::WebSocket(send) => Some(&send.url),
            Self::Redis(_) | Self::RedisWithSettling(_) | Self::File(_) => None,
        }
    }

    /// Its reply where it fails like this.
    pub fn failed(&self, failure: Failure) -> Reply {
        match self {
            Self::Http(_) => Reply::Http(Err(failure)),
            Self::Redis(_) | Self::RedisWithSettling(_) => Reply::Redis(Err(failure)),
            Self::File(_) => Reply::File(Err(failure)),
            Self::WebSocket(_) => Reply::WebSocket(Err(failure)),
        }
    }
}

impl Reply {
    /// Bytes of its body or value.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Http(Ok(reply)) => reply.body.len(),
            Self::Redis(Ok(value)) => value.bytes(),
            Self::WebSocket(Ok(answer)) => answer.as_ref().map_or(0, Bytes::len),
            Self::WebSocket(Err(_)) | Self::File(_) | Self::Http(Err(_)) | Self::Redis(Err(_)) => 0,
        }
    }

    /// Why the request was not granted, if it was not.
    pub fn denied(&self) -> Option<&str> {
        match self.failure() {
            Some(Failure::Denied(why)) => Some(why),
            _ => None,
        }
    }

    /// Why there is no reply, if there is none.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Http(reply) => reply.as_ref().err(),
            Self::Redis(value) => value.as_ref().err(),
            Self::File(done) => done.as_ref().err(),
            Self::WebSocket(answer) => answer.as_ref().err(),
        }
    }
}

/// A complete HTTP response.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpReply {
    /// From 100 to 999.
    pub status: u16,
    /// In the order received; values that are not text are left out.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// What Redis answered.
#[derive(Clone, Debug, PartialEq)]
pub enum RedisValue {
    /// There is nothing.
    Nil,
    /// A number.
    Number(i64),
    /// A string, or a status such as `OK`.
    Bytes(Bytes),
    /// Several.
    List(Vec<RedisValue>),
}

impl RedisValue {
    /// Stands for the answer to a command that is carried out later.
    pub fn queued() -> Self {
        Self::Bytes(Bytes::from_static(b"QUEUED"))
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Nil | Self::Number(_) => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::List(values) => values.iter().map(Self::bytes).sum(),
        }
    }
}

/// Why there is no reply to a request, or no answer to a lookup.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The operator did not grant it.
    #[error("{0}")]
    Denied(String),
    /// It cannot be sent or asked as it is.
    #[error("{0}")]
    Invalid(String),
    /// No connection, a broken one, or no answer in time, or a file that cannot be written to; another time there may be one.
    #[error("{0}")]
    Unreachable(String),
    /// The answer, or the question, is longer than the operator allows.
    #[error("{0}")]
    TooLarge(String),
}

impl Failure {
    /// The same with another text, made of its own.
    #[must_use]
    pub fn reworded(self, reword: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Denied(why) => Self::Denied(reword(&why)),
            Self::Invalid(why) => Self::Invalid(reword(&why)),
            Self::Unreachable(why) => Self::Unreachable(reword(&why)),
            Self::TooLarge(why) => Self::TooLarge(reword(&why)),
        }
    }
}
