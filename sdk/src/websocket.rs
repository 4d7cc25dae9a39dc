//! Messages over WebSockets.

use crate::{Body, Request, Result};
use std::time::Duration;

/// A message over a WebSocket, for the host to send over a connection that it keeps open.
///
/// Without [`WebSocketSend::expect`] a message counts as sent when the server has read it: WebSockets acknowledge nothing, but a server has to
/// answer the ping that the host sends behind messages. One that was not confirmed may have been read all the same.
///
/// ```
/// use gristmill_sdk::{Body, Request};
///
/// let send = Request::websocket("wss://example.com/feed").subprotocol("feed.v1").json(&[1, 2])?.expect();
/// assert_eq!((send.body, send.expect), (Body::Bytes(b"[1,2]".to_vec()), true));
/// # Ok::<(), gristmill_sdk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebSocketSend {
    /// Absolute, `ws` or `wss`; granted by `allow_http`.
    pub url: String,
    /// Of the handshake. Messages with other ones go over another connection.
    pub headers: Vec<(String, String)>,
    /// Of which the server has to choose one, if there are any.
    pub subprotocols: Vec<String>,
    /// What it carries.
    pub body: Body,
    /// Sent as bytes rather than as text.
    pub binary: bool,
    /// Whether the next message of the server is the answer, and waited for.
    pub expect: bool,
    /// For connecting, sending and the answer; never longer than what the operator allows.
    pub timeout: Option<Duration>,
}

impl WebSocketSend {
    pub(crate) fn new(url: String) -> Self {
        let (headers, subprotocols) = (Vec::new(), Vec::new());
        Self { url, headers, subprotocols, body: Body::Payload, binary: false, expect: false, timeout: None }
    }

    /// With this header of the handshake, beside those it has.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With this subprotocol for the server to choose, behind those it has.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// With this body instead of the payload.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// With `value` as the body, in JSON.
    ///
    /// # Errors
    /// A rejection if `value` has no form in JSON, such as a map whose keys are not strings.
    pub fn json(self, value: &impl serde::Serialize) -> Result<Self> {
        Ok(self.body(Body::Bytes(serde_json::to_vec(value)?)))
    }

    /// Sent as bytes rather than as text, which has to be UTF-8.
    #[must_use]
    pub fn binary(mut self) -> Self {
        self.binary = true;
        self
    }

    /// With the next message of the server as the reply. The server has to answer each message, in their order, and say nothing else.
    #[must_use]
    pub fn expect(mut self) -> Self {
        self.expect = true;
        self
    }

    /// With a limit on connecting, sending and the answer, to the millisecond; the operator's own limit holds beside it.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl From<WebSocketSend> for Request {
    fn from(send: WebSocketSend) -> Self {
        Self::WebSocket(send)
    }
}

/// So that a publisher with one request ends in `Ok(request.into())`.
impl From<WebSocketSend> for Vec<Request> {
    fn from(send: WebSocketSend) -> Self {
        vec![send.into()]
    }
}
