//! Connections that are kept and shared, by HTTP/1.1 and HTTP/2.

use super::{LARGEST_HEAD, dial::Dial};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use std::time::Duration;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Unused connections kept for one host; more are closed as they become free.
const IDLE_PER_HOST: usize = 1024;
/// What an HTTP/2 server may send ahead of us on one exchange, and on all of a connection, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// HTTP/2 connections with exchanges under way are probed this often, and given up if nothing comes back for as long.
const PROBE: Duration = Duration::from_secs(10);

/// See the module.
pub(super) type Pool = Client<Dial, Full<Bytes>>;

/// One whose connections `dial` makes.
pub(super) fn new(dial: Dial) -> Pool {
    // hyper goes on to another connection only if the pooled one turns out to be closed before a byte of the request was written.
    // What may have arrived is never repeated here: whether to is for the plugin to judge, under the same idempotency key.
    Client::builder(TokioExecutor::new())
        .retry_canceled_requests(true)
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .http1_max_buf_size(LARGEST_HEAD as usize)
        .http2_max_header_list_size(LARGEST_HEAD)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PROBE)
        .http2_keep_alive_timeout(PROBE)
        .build(dial)
}
