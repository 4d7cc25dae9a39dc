//! The edge as clients meet it: real sockets, a client of its own that says and sees every byte.

use super::*;
use crate::{
    command::Pattern,
    config::{self, Channel, Slow},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use std::collections::BTreeSet;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

mod access;
mod bounds;
mod ends;
mod push_stream;
mod transports;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const SOON: Duration = Duration::from_secs(20);

/// Channels that begin with `open` may be read by anyone.
fn settings() -> config::Edge {
    let open = Channel { open: true, ..Channel::default() };
    config::Edge {
        threads: Some(2),
        token_secret: Some(SECRET.to_owned()),
        coalesce: Duration::ZERO,
        channels: vec![(Pattern::new("open*"), open)],
        ..config::Edge::default()
    }
}

fn start(settings: &config::Edge) -> Edge {
    let address = "127.0.0.1:0".parse().expect("an address");
    Edge::start(address, Settings::read(settings).expect("no files")).expect("listens")
}

fn token(claims: &serde_json::Value) -> String {
    let text =
        format!("{}.{}", URL_SAFE_NO_PAD.encode("{\"alg\":\"HS256\"}"), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn publish(edge: &Edge, channel: &str, data: &str) -> String {
    edge.publish(channel, None, Bytes::from(data.to_owned())).await.expect("is published")
}

/// A client, and what it has been sent and not looked at.
struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    async fn connect(edge: &Edge) -> Self {
        Self { stream: TcpStream::connect(edge.address()).await.expect("connects"), read: Vec::new() }
    }

    /// One whose system holds little for it.
    async fn narrow(edge: &Edge) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("is set");
        Self { stream: socket.connect(edge.address()).await.expect("connects"), read: Vec::new() }
    }

    async fn get(edge: &Edge, path: &str, headers: &str) -> Self {
        let mut client = Self::connect(edge).await;
        client.say(&format!("GET {path} HTTP/1.1\r\nhost: h\r\n{headers}\r\n")).await;
        client
    }

    async fn websocket(edge: &Edge, path: &str) -> Self {
        let headers = "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let mut client = Self::get(edge, path, headers).await;
        let head = client.until("\r\n\r\n").await;
        assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
        client
    }

    async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("is sent");
    }

    async fn more(&mut self) -> bool {
        let read = timeout(SOON, self.stream.read_buf(&mut self.read)).await;
        read.unwrap_or_else(|_| panic!("nothing more comes: {}", self.tail())).is_ok_and(|length| length > 0)
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// The end of what has come, for a person.
    fn tail(&self) -> String {
        String::from_utf8_lossy(&self.read[self.read.len().saturating_sub(500)..]).into_owned()
    }

    /// What comes up to `mark`, with it.
    async fn until(&mut self, mark: &str) -> String {
        let mut seen = 0;
        loop {
            let fresh = self.read.get(seen..).unwrap_or_default();
            if let Some(at) = fresh.windows(mark.len()).position(|window| window == mark.as_bytes()) {
                let rest = self.read.split_off(seen + at + mark.len());
                let taken = std::mem::replace(&mut self.read, rest);
                return String::from_utf8_lossy(&taken).into_owned();
            }
            seen = self.read.len().saturating_sub(mark.len());
            assert!(self.more().await, "the connection ended before {mark:?}: {}", self.tail());
        }
    }

    /// All that comes to the end.
    async fn rest(&mut self) -> String {
        while self.more().await {}
        self.shown()
    }

    /// The payload of the next frame, and its opcode.
    async fn frame(&mut self) -> (u8, String) {
        loop {
            let (length, head) = match self.read[..] {
                [_, 126, a, b, ..] => (usize::from(u16::from_be_bytes([a, b])), 4),
                [_, length @ ..126, ..] => (usize::from(length), 2),
                _ => (usize::MAX, 0),
            };
            if length != usize::MAX && self.read.len() >= head + length {
                let rest = self.read.split_off(head + length);
                let frame = std::mem::replace(&mut self.read, rest);
                return (frame[0] & 0x0f, String::from_utf8_lossy(&frame[head..]).into_owned());
            }
            assert!(self.more().await, "the connection ended: {}", self.shown());
        }
    }

    /// Sends a short frame, whose mask is zero.
    async fn send_frame(&mut self, opcode: u8, payload: &[u8]) {
        let head = [0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        self.stream.write_all(&[&head[..], payload].concat()).await.expect("is sent");
    }
}

/// The id of the last message in a text of events.
fn last_id(text: &str) -> String {
    let mut ids = text.lines().rev().filter_map(|line| line.strip_prefix("id: "));
    ids.next().expect("an id").to_owned()
}

/// The numbers that a text of events brings as data.
fn numbers(text: &str) -> Vec<u32> {
    text.lines().filter_map(|line| line.strip_prefix("data: ")?.trim().parse().ok()).collect()
}
