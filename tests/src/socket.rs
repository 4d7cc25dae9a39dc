//! A WebSocket server that records what it is sent, and refuses, answers and goes away as the test tells it.

use crate::{background::Background, eventually};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{SinkExt, StreamExt};
use sha1_smol::Sha1;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Runtime,
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role},
    },
};

const SOON: Duration = Duration::from_secs(10);

/// The server; gone with all of its connections when dropped.
#[derive(Debug)]
pub struct Sockets {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: Option<Background>,
}

/// A request to begin a WebSocket.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// On which connection, counted from 0 in the order in which they came.
    pub connection: usize,
    /// Whether it came as text.
    pub is_text: bool,
    /// What it says.
    pub payload: Vec<u8>,
}

#[derive(Default)]
struct State {
    handshakes: Vec<Handshake>,
    heard: Vec<Heard>,
    refusal: Option<String>,
    closing: Option<(usize, u16)>,
    answer: Option<Arc<Answer>>,
}

type Answer = Box<dyn Fn(&str) -> String + Send + Sync>;

#[derive(Default)]
struct Shared(Mutex<State>);

impl Sockets {
    /// A server at a free loopback port that reads and says nothing.
    pub fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let (address, running) = run(SocketAddr::from(([127, 0, 0, 1], 0)), &shared);
        Self { address, shared, running: Some(running) }
    }

    /// `ws://127.0.0.1:PORT`, without a slash behind.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// `127.0.0.1:PORT`, as a grant names it.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// From now on handshakes are answered with this status and these headers, each with its line end; with none they succeed again.
    pub fn refuse(&self, answer: Option<(u16, &str)>) {
        self.shared.state().refusal = answer.map(|(status, headers)| {
            format!("HTTP/1.1 {status} no\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n")
        });
    }

    /// From now on each connection is closed with `code` when it has read so many messages.
    pub fn close_after(&self, messages: usize, code: u16) {
        self.shared.state().closing = Some((messages, code));
    }

    /// From now on connections are kept.
    pub fn keep(&self) {
        self.shared.state().closing = None;
    }

    /// From now on each message is answered with what `rule` makes of it.
    pub fn answer_by(&self, rule: impl Fn(&str) -> String + Send + Sync + 'static) {
        self.shared.state().answer = Some(Arc::new(Box::new(rule)));
    }

    /// All that was asked for so far.
    pub fn handshakes(&self) -> Vec<Handshake> {
        self.shared.state().handshakes.clone()
    }

    /// All that was read so far, in its order.
    pub fn heard(&self) -> Vec<Heard> {
        self.shared.state().heard.clone()
    }

    /// The texts of that.
    pub fn texts(&self) -> Vec<String> {
        self.shared.state().heard.iter().map(|message| String::from_utf8_lossy(&message.payload).into_owned()).collect()
    }

    /// Refuses connections and cuts those it has, until `restart`.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Listens again at the same port.
    ///
    /// # Panics
    /// When it listens already.
    pub fn restart(&mut self) {
        assert!(self.running.is_none(), "the server is up already");
        self.running = Some(run(self.address, &self.shared).1);
    }
}

impl Handshake {
    /// The first value of the header `name`, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

fn run(address: SocketAddr, shared: &Arc<Shared>) -> (SocketAddr, Background) {
    let runtime = Background::runtime();
    let listener = listen(&runtime, address);
    let address = listener.local_addr().expect("a bound socket has an address");
    (address, Background::start("sockets", runtime, accept(listener, Arc::clone(shared))))
}

fn listen(runtime: &Runtime, address: SocketAddr) -> TcpListener {
    let bind = || {
        let socket = TcpSocket::new_v4()?;
        // A port that was just left must be free to listen at again.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(1024)
    };
    let _inside = runtime.enter();
    eventually(SOON, "the server's port is free", || bind().ok())
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, Arc::clone(&shared)));
    }
}

async fn connection(mut stream: TcpStream, shared: Arc<Shared>) {
    let Some(handshake) = handshake(&mut stream).await else { return };
    let accept = accepted(handshake.header("sec-websocket-key").unwrap_or_default());
    let subprotocol = handshake.header("sec-websocket-protocol").and_then(|offered| offered.split(", ").next());
    let subprotocol = subprotocol.map(|name| format!("sec-websocket-protocol: {name}\r\n")).unwrap_or_default();
    let (number, refusal) = {
        let mut state = shared.state();
        state.handshakes.push(handshake);
        (state.handshakes.len() - 1, state.refusal.clone())
    };
    let agreed = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {accept}\r\n{subprotocol}\r\n"
    );
    let is_refused = refusal.is_some();
    if stream.write_all(refusal.unwrap_or(agreed).as_bytes()).await.is_err() || is_refused {
        return;
    }
    converse(WebSocketStream::from_raw_socket(stream, Role::Server, None).await, number, &shared).await;
}

async fn converse(mut socket: WebSocketStream<TcpStream>, connection: usize, shared: &Shared) {
    let mut read = 0;
    while let Some(Ok(message)) = socket.next().await {
        if !message.is_text() && !message.is_binary() {
            continue;
        }
        read += 1;
        let text = String::from_utf8_lossy(&message.clone().into_data()).into_owned();
        let (answer, closing) = {
            let mut state = shared.state();
            let is_text = message.is_text();
            state.heard.push(Heard { connection, is_text, payload: message.into_data().to_vec() });
            (state.answer.clone(), state.closing)
        };
        if let Some(answer) = answer {
            socket.send(Message::text(answer(&text))).await.ok();
        }
        if let Some((_, code)) = closing.filter(|(messages, _)| read >= *messages) {
            socket.close(Some(CloseFrame { code: code.into(), reason: "enough".into() })).await.ok();
            // What was on its way is dropped unread, as by a server that ends.
            return;
        }
    }
}

async fn handshake(stream: &mut TcpStream) -> Option<Handshake> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    Some(Handshake { path, headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect() })
}

/// As RFC 6455 says in section 4.2.2.
fn accepted(key: &str) -> String {
    let mut hash = Sha1::from(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.digest().bytes())
}
