//! A connection that speaks HTTP/2, which all exchanges with its server share.

use crate::effect::http::{LARGEST_HEAD, dial::Error, room::Admitted, stream::Stream};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::{
        TrySendError,
        http2::{Builder, SendRequest},
    },
    rt::Executor,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::time::{Duration, Instant};

/// What the server may send ahead of us on one exchange, and on all of a connection, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// Connections with exchanges under way are probed this often, and given up if nothing comes back for as long.
const PROBE: Duration = Duration::from_secs(10);

/// See the module. It ends when the last one who has it has dropped it.
pub(in crate::effect::http) struct Shared {
    sender: SendRequest<Full<Bytes>>,
    used: Instant,
}

impl Shared {
    /// Begins to speak over `stream`.
    pub(super) async fn begin(stream: Admitted<Stream>) -> Result<Self, Error> {
        let handshake = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(LARGEST_HEAD)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PROBE)
            .keep_alive_timeout(PROBE)
            .handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(|error| Error::Connect(error.into()))?;
        // How it ends, its exchanges tell.
        TokioExecutor::new().execute(async move { drop(connection.await) });
        Ok(Self { sender, used: Instant::now() })
    }

    /// Whether it takes requests.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// When it was last wanted.
    pub(super) fn used(&self) -> Instant {
        self.used
    }

    /// For one more exchange.
    pub(super) fn use_now(&mut self) -> Self {
        self.used = Instant::now();
        Self { sender: self.sender.clone(), used: self.used }
    }

    /// The reply as far as its head. A request that comes back with the error was not sent.
    pub(in crate::effect::http) async fn send(
        mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        self.sender.try_send_request(request).await
    }
}
