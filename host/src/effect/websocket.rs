//! Messages over WebSockets (RFC 6455): one connection for each URL of a plugin, kept open, and made anew when it breaks.

mod handshake;
mod link;
mod links;
mod session;
#[cfg(test)]
mod tests;

use super::http::{self, Http, Refused};
use crate::{
    request::{Failure, HttpReply, WebSocketSend},
    shutdown::Shutdown,
};
use bytes::Bytes;
pub(super) use links::Links;
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::timeout};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// How long the connections have to take leave of their servers when the node ends.
const LEAVE: Duration = Duration::from_secs(1);

/// What came of a message: the answer, if one was expected.
pub(super) type Sent = Result<Option<Bytes>, Refused>;

/// What the connections of a node need; one for all of it.
#[derive(Clone)]
pub(super) struct Sockets {
    http: Arc<Http>,
    tasks: Shutdown,
}

/// What a connection is for: another handshake is another connection.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Target {
    url: String,
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
}

/// How patient a connection is.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// After which silence of the server it is asked for a sign of life; if none comes in twice that time, the connection is given up.
    ping: Duration,
    /// After which an unused connection is closed.
    idle: Duration,
    /// Between the first two attempts to connect, and between any two; a connection on which the server has said anything ends it.
    pause: (Duration, Duration),
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { ping: seconds(15), idle: seconds(600), pause: (Duration::from_millis(100), seconds(5)) }
    }
}

impl Sockets {
    pub(super) fn new(http: Arc<Http>) -> Self {
        Self { http, tasks: Shutdown::default() }
    }

    /// Takes leave of all servers; nothing is sent any more.
    pub(super) async fn finish(&self) {
        self.tasks.end(LEAVE).await;
    }
}

impl Links {
    /// Sends `wanted`: done when the server has read it, which the answer to a ping behind it tells, or if an answer is expected, when that
    /// is there.
    pub(super) async fn send(
        &self,
        sockets: &Sockets,
        allowance: &Arc<http::Allowance>,
        wanted: WebSocketSend,
    ) -> Sent {
        let longest = allowance.longest(wanted.timeout);
        let WebSocketSend { url, headers, subprotocols, body, binary, template, expect, .. } = wanted;
        let shown = shown(&url);
        let body = if template { allowance.revealed(body) } else { body };
        let message = message(body, binary).map_err(|why| Failure::Invalid(format!("{shown}: {why}")));
        let target = Arc::new(Target { url, headers, subprotocols });
        let sent = async { self.using(sockets, allowance, target).await.send(message?, expect).await };
        let late = |_| Err(Failure::Unreachable(format!("{shown}: {} within {longest:?}", late(expect))).into());
        let sent = timeout(longest, sent).await.unwrap_or_else(late);
        sent.map(|answer| answer.map(|answer| allowance.unsaid(answer)))
            .map_err(|Refused { failure, said }| Refused { failure: allowance.veiled(failure), said })
    }
}

/// Refuses a message whose handshake is not granted or cannot begin.
pub(super) fn test(allowance: &http::Allowance, wanted: &WebSocketSend) -> Result<(), Failure> {
    handshake::test(allowance, wanted)
}

/// What `sent` says of the server, in the words of HTTP.
pub(super) fn told(sent: &Sent) -> Result<HttpReply, Failure> {
    match sent {
        Ok(_) => Ok(HttpReply { status: 101, headers: Vec::new(), body: Bytes::new() }),
        Err(Refused { said: Some(reply), .. }) => Ok(reply.clone()),
        Err(Refused { failure, said: None }) => Err(failure.clone()),
    }
}

/// Where what came of a message is told.
type Answer = oneshot::Sender<Sent>;

fn message(body: Bytes, binary: bool) -> Result<Message, &'static str> {
    if binary {
        return Ok(Message::Binary(body));
    }
    let text = Utf8Bytes::try_from(body).map_err(|_| "a message of text has to be UTF-8, send this one as binary")?;
    Ok(Message::Text(text))
}

fn late(expect: bool) -> &'static str {
    if expect { "no answer" } else { "the server has not confirmed the message" }
}

/// A URL as failures name it: without what may hold a secret.
fn shown(url: &str) -> String {
    const SHOWN: usize = 200;
    let url = if url.contains('@') { "…" } else { url.split(['?', '#']).next().unwrap_or_default() };
    url.chars().take(SHOWN).collect::<String>().escape_debug().to_string()
}
