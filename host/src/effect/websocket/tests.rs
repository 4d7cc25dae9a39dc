//! WebSockets with servers on loopback that behave and misbehave.

mod bounds;
mod delivery;
mod faults;
mod secure;
mod ways;

use super::{Links, Pace, Sockets, handshake};
use crate::{
    config::{self, HostPattern, HttpGrant},
    effect::http::{Allowance, Http},
    request::{Failure, WebSocketSend},
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, future::join_all};
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
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

type Socket = WebSocketStream<TcpStream>;

/// A listener at a free loopback port, gone with the test.
struct Server {
    address: SocketAddr,
    /// The heads of the requests that came, one for each connection.
    heads: Arc<Mutex<Vec<String>>>,
    /// The messages that came.
    heard: Arc<Mutex<Vec<String>>>,
    _accepting: JoinSet<()>,
}

impl Server {
    /// Hands each connection to `script`, with its number.
    async fn raw<F: Future<Output = ()> + Send + 'static>(
        script: impl Fn(usize, TcpStream, String) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let log = heads.clone();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let head = head(&mut stream).await;
                let number = log.lock().unwrap().len();
                log.lock().unwrap().push(head.clone());
                connections.spawn(script(number, stream, head));
            }
        });
        Self { address, heads, heard: Arc::default(), _accepting: accepting }
    }

    /// Agrees to speak WebSocket, and does as `script` does.
    async fn start<F: Future<Output = ()> + Send + 'static>(
        script: impl Fn(usize, Socket, Arc<Mutex<Vec<String>>>) -> F + Send + Sync + 'static,
    ) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (heard.clone(), Arc::new(script));
        let server = Self::raw(move |number, mut stream, head| {
            let (log, script) = (log.clone(), script.clone());
            async move {
                stream.write_all(agreed(&head).as_bytes()).await.ok();
                script(number, WebSocketStream::from_raw_socket(stream, Role::Server, None).await, log).await;
            }
        })
        .await;
        Self { heard, ..server }
    }

    /// Answers each message with `re: ` in front.
    async fn echo() -> Self {
        Self::start(|_, mut socket, heard| async move {
            while let Some(message) = next(&mut socket, &heard).await {
                socket.send(Message::text(format!("re: {message}"))).await.ok();
            }
        })
        .await
    }

    /// Says nothing.
    async fn silent() -> Self {
        Self::start(|_, mut socket, heard| async move { while next(&mut socket, &heard).await.is_some() {} }).await
    }

    fn url(&self) -> String {
        format!("ws://{}/feed?token=t", self.address)
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// What it has heard when that are so many messages, or five seconds later.
    async fn hears(&self, many: usize) -> Vec<String> {
        for _ in 0..500 {
            if self.heard().len() >= many {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.heard()
    }

    fn connections(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

async fn head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.split_once(": ").filter(|(known, _)| known.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value)
}

fn agreed(head: &str) -> String {
    let accept = handshake::accept(value(head, "sec-websocket-key").unwrap());
    let subprotocol = value(head, "sec-websocket-protocol").map(|all| all.split(", ").last().unwrap());
    let subprotocol = subprotocol.map(|name| format!("sec-websocket-protocol: {name}\r\n")).unwrap_or_default();
    format!(
        "HTTP/1.1 101 x\r\nupgrade: WebSocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\n{subprotocol}\r\n"
    )
}

/// The next message, which is noted.
async fn next(socket: &mut Socket, heard: &Mutex<Vec<String>>) -> Option<String> {
    loop {
        let shown = match socket.next().await?.ok()? {
            Message::Text(text) => text.to_string(),
            Message::Binary(bytes) => format!("{bytes:?}"),
            Message::Close(_) => return None,
            _ => continue,
        };
        heard.lock().unwrap().push(shown.clone());
        return Some(shown);
    }
}

/// One plugin in one pipeline, which may use every port of 127.0.0.1.
struct Plugin {
    sockets: Sockets,
    allowance: Arc<Allowance>,
    links: Links,
}

impl Plugin {
    fn new() -> Self {
        Self::granted(anywhere())
    }

    fn granted(allow_http: Vec<HttpGrant>) -> Self {
        Self {
            sockets: Sockets::new(Arc::new(Http::new(b"").unwrap())),
            allowance: Arc::new(Allowance::new(&settings(allow_http))),
            links: Links::of(8, pace()),
        }
    }

    async fn send(&self, send: WebSocketSend) -> Result<Option<Bytes>, Failure> {
        self.links.send(&self.sockets, &self.allowance, send).await.map_err(|refused| refused.failure)
    }
}

/// Every port of this machine.
fn anywhere() -> Vec<HttpGrant> {
    ["127.0.0.1", "localhost"].map(|host| HttpGrant { host: HostPattern::Exact(host.into()), port: None }).into()
}

fn settings(allow_http: Vec<HttpGrant>) -> config::Plugin {
    config::Plugin {
        allow_http,
        http_timeout: Duration::from_secs(5),
        http_response_kib: 64,
        ..config::Plugin::default()
    }
}

fn pace() -> Pace {
    let pause = (Duration::from_millis(1), Duration::from_millis(20));
    Pace { ping: Duration::from_millis(200), idle: Duration::from_secs(60), pause }
}

fn text(url: &str, body: &str) -> WebSocketSend {
    WebSocketSend {
        url: url.into(),
        headers: vec![],
        subprotocols: vec![],
        body: Bytes::copy_from_slice(body.as_bytes()),
        binary: false,
        template: false,
        expect: false,
        timeout: None,
    }
}

fn asking(url: &str, body: &str) -> WebSocketSend {
    WebSocketSend { expect: true, ..text(url, body) }
}

#[tokio::test]
async fn messages_go_over_one_connection_in_their_order() {
    let server = Server::silent().await;
    let plugin = Plugin::new();
    let mut numbers: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    for number in &numbers {
        assert_eq!(plugin.send(text(&server.url(), number)).await, Ok(None));
    }
    let bytes = WebSocketSend { binary: true, body: Bytes::from_static(&[0xff]), ..text(&server.url(), "") };
    plugin.send(bytes).await.unwrap();
    numbers.push("b\"\\xff\"".to_owned());
    assert_eq!(server.hears(101).await, numbers);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_crowd_of_messages_is_sent_once_each() {
    let server = Server::silent().await;
    let plugin = Plugin::new();
    let numbers: Vec<String> = (1_000..2_000).map(|number| number.to_string()).collect();
    let sent = join_all(numbers.iter().map(|number| plugin.send(text(&server.url(), number)))).await;
    assert!(sent.iter().all(|sent| *sent == Ok(None)));
    let mut heard = server.hears(1_000).await;
    heard.sort_unstable();
    assert_eq!(heard, numbers);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn every_message_that_expects_one_gets_its_own_answer() {
    let server = Server::echo().await;
    let plugin = Plugin::new();
    let numbers: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let answers = join_all(numbers.iter().map(|number| plugin.send(asking(&server.url(), number)))).await;
    let expected = numbers.iter().map(|number| Ok(Some(Bytes::from(format!("re: {number}")))));
    assert!(answers.into_iter().eq(expected));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_was_not_asked_for_is_no_answer() {
    let server = Server::start(|_, mut socket, heard| async move {
        socket.send(Message::text("welcome")).await.ok();
        while let Some(message) = next(&mut socket, &heard).await {
            if message == "answer me" {
                socket.send(Message::text("here")).await.ok();
            }
        }
    })
    .await;
    let plugin = Plugin::new();
    plugin.send(text(&server.url(), "hello")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(plugin.send(asking(&server.url(), "answer me")).await, Ok(Some(Bytes::from_static(b"here"))));
}

#[tokio::test]
async fn the_handshake_has_what_the_plugin_wants_and_nothing_of_its_own_in_the_way() {
    let server = Server::echo().await;
    let plugin = Plugin::new();
    let wanted = WebSocketSend {
        headers: vec![("x-user".into(), "u".into())],
        subprotocols: vec!["one".into(), "two".into()],
        ..asking(&server.url(), "x")
    };
    plugin.send(wanted.clone()).await.unwrap();
    let head = server.heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET /feed?token=t HTTP/1.1\r\n"), "{head}");
    for (name, expected) in [
        ("host", server.address.to_string().as_str()),
        ("x-user", "u"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "one, two"),
    ] {
        assert_eq!(value(&head, name), Some(expected), "{head}");
    }
    assert_eq!(value(&head, "idempotency-key"), None, "a connection is no message");
    plugin.send(WebSocketSend { headers: vec![], ..wanted }).await.unwrap();
    assert_eq!(server.connections(), 2, "another handshake is another connection");
}
