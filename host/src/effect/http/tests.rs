//! Exchanges with servers on loopback that behave and misbehave.

mod connections;
mod grants;
mod limits;
mod packed;
mod proxy;
mod reach;
mod refusals;
mod secrets;
mod secure;
mod timeouts;
mod trust;
mod wire;

use crate::{
    config::{self, Endpoint, HostPattern, HttpGrant},
    effect::{Allowance, Effects, Endpoints},
    request::{Failure, HttpReply, HttpRequest, Reply, Request},
};
use bytes::Bytes;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A short reply.
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A listener at a free loopback port, gone with the test.
struct Server {
    address: SocketAddr,
    /// What was received, in one entry for each connection.
    heard: Arc<Mutex<Vec<String>>>,
    _accepting: JoinSet<()>,
}

impl Server {
    /// Hands each connection to `script`.
    async fn start<F: Future<Output = ()> + Send + 'static>(script: impl Fn(Peer) -> F + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = log.lock().unwrap().len();
                log.lock().unwrap().push(String::new());
                connections.spawn(script(Peer { stream, number, heard: log.clone() }));
            }
        });
        Self { address, heard, _accepting: accepting }
    }

    /// Answers every request with `reply` and keeps the connection.
    async fn answering(reply: &'static str) -> Self {
        Self::start(move |mut peer| async move {
            while peer.request().await {
                peer.say(reply).await;
            }
        })
        .await
    }

    /// Answers the first request of each connection with `reply` and closes it.
    async fn answering_once(reply: &'static str) -> Self {
        Self::start(move |mut peer| async move {
            peer.request().await;
            peer.say(reply).await;
        })
        .await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// The server's end of one connection.
struct Peer {
    stream: TcpStream,
    number: usize,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Reads one request with its body; false at the end of the connection.
    async fn request(&mut self) -> bool {
        let mut text = String::new();
        let mut piece = [0; 4096];
        loop {
            match self.stream.read(&mut piece).await {
                Ok(length @ 1..) => text.push_str(std::str::from_utf8(&piece[..length]).unwrap()),
                _ => return false,
            }
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && body.len() >= content_length(head)
            {
                self.heard.lock().unwrap()[self.number].push_str(&text);
                return true;
            }
        }
    }

    /// Writes `text`, whether or not anybody listens.
    async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.ok();
    }

    /// Waits until the other end hangs up.
    async fn hung_up(&mut self) {
        while let Ok(1..) = self.stream.read(&mut [0; 4096]).await {}
    }
}

fn content_length(head: &str) -> usize {
    head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |length| length.parse().unwrap())
}

fn exact(host: &str) -> HttpGrant {
    HttpGrant { host: HostPattern::Exact(host.into()), port: None }
}

fn below(suffix: &str) -> HttpGrant {
    HttpGrant { host: HostPattern::Below(suffix.into()), port: None }
}

fn at(port: u16, grant: HttpGrant) -> HttpGrant {
    HttpGrant { port: Some(port), ..grant }
}

fn any() -> HttpGrant {
    HttpGrant { host: HostPattern::Any, port: None }
}

fn settings(allow_http: Vec<HttpGrant>) -> config::Plugin {
    config::Plugin {
        allow_http,
        http_timeout: Duration::from_secs(5),
        http_response_kib: 64,
        ..config::Plugin::default()
    }
}

/// Of a plugin that may use every port of 127.0.0.1.
fn loopback() -> Allowance {
    Allowance::new(&settings(vec![exact("127.0.0.1")]))
}

fn request(method: &str, url: &str) -> HttpRequest {
    HttpRequest {
        method: method.into(),
        url: url.into(),
        headers: vec![],
        body: Bytes::new(),
        template: false,
        timeout: None,
    }
}

fn post(url: &str, body: &'static str) -> HttpRequest {
    HttpRequest { body: Bytes::from_static(body.as_bytes()), ..request("POST", url) }
}

async fn carry_out(effects: &Effects, allowance: &Allowance, request: HttpRequest) -> Result<HttpReply, Failure> {
    match effects.carry_out(allowance, "message-1/pusher", Ok(0), Request::Http(request), None).await {
        Reply::Http(reply) => reply,
        other => panic!("HTTP was asked for, and not {other:?}"),
    }
}

/// Says this of a server, or of all by the name `*`.
fn configure(effects: &Effects, name: &str, endpoint: Endpoint) {
    effects.configure(&Endpoints::read(&[(name.to_owned(), endpoint)].into()).unwrap());
}

/// A node that says so.
fn with_endpoint(name: &str, endpoint: Endpoint) -> Effects {
    let effects = Effects::new().unwrap();
    configure(&effects, name, endpoint);
    effects
}

/// What comes back to a plugin that may use every port of 127.0.0.1.
async fn reply_to(request: HttpRequest) -> Result<HttpReply, Failure> {
    carry_out(&Effects::new().unwrap(), &loopback(), request).await
}
