//! The sockets behind a sink: one thread, one runtime, gone with all connections when dropped.

use super::{Answer, Received, Shared};
use crate::background::Background;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{LOCATION, RETRY_AFTER},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration, time::Instant};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Runtime,
    task::JoinSet,
};

const BACKLOG: u32 = 4096;

#[derive(Debug)]
pub(super) struct Running {
    address: SocketAddr,
    _background: Background,
}

impl Running {
    pub(super) fn start(address: SocketAddr, shared: Arc<Shared>) -> Self {
        let runtime = Background::runtime();
        let listener = listen(&runtime, address);
        let address = listener.local_addr().expect("a bound socket has an address");
        Self { address, _background: Background::start("sink", runtime, accept(listener, shared)) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn listen(runtime: &Runtime, address: SocketAddr) -> TcpListener {
    let bind = || {
        let socket = TcpSocket::new_v4()?;
        // A port that was just left must be free to listen at again.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let _inside = runtime.enter();
    crate::eventually(Duration::from_secs(10), "the sink's port is free", || bind().ok())
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(converse(stream, Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).ok();
    match shared.tls.clone() {
        None => serve(stream, shared).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, shared).await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    // A client that goes away, or `Answer::Close`, ends the connection with an error nobody needs.
    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.ok();
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let received = Received {
        method: head.method.to_string(),
        path: head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
        body,
        at: Instant::now(),
    };
    carry_out(shared.record(received)).await
}

async fn carry_out(answer: Answer) -> io::Result<Response<Full<Bytes>>> {
    match answer {
        Answer::Status(status) => Ok(response(status, Bytes::new())),
        Answer::Body(status, body) => Ok(response(status, body)),
        Answer::RetryAfter(status, seconds) => {
            let mut response = response(status, Bytes::new());
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            Ok(response)
        }
        Answer::With(status, name, value) => {
            let mut response = response(status, Bytes::new());
            response.headers_mut().insert(name, value.parse().expect("a test gives a real value"));
            Ok(response)
        }
        Answer::Moved(status, location) => {
            let mut response = response(status, Bytes::new());
            let location = location.parse().expect("a test names a real place");
            response.headers_mut().insert(LOCATION, location);
            Ok(response)
        }
        Answer::Late(pause) => {
            tokio::time::sleep(pause).await;
            Ok(response(200, Bytes::new()))
        }
        Answer::Hang => std::future::pending().await,
        Answer::Close => Err(io::Error::other("the test wants this connection closed")),
    }
}

fn response(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a test names a real status");
    response
}
