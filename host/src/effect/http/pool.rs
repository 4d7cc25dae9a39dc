//! Connections that are kept for the next request, by HTTP/1.1 and HTTP/2.

mod http2;
mod watch;

pub(super) use http2::Shared;
pub(super) use watch::Watch;

use super::{
    connection::Connection,
    dial::{Dial, Error},
    outgoing::port,
};
use futures_util::FutureExt;
use hyper::{
    Uri,
    http::uri::{Authority, Scheme},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Unused connections kept for one server; more are closed as they become free.
const IDLE_PER_SERVER: usize = 1024;

/// The connections that one [`Dial`] has made and nobody uses.
pub(super) struct Pool {
    dial: Dial,
    servers: Mutex<HashMap<Server, Kept>>,
}

/// A server as URLs name it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Server {
    secure: bool,
    host: Authority,
    port: u16,
}

/// The connections to one server.
#[derive(Default)]
struct Kept {
    /// Those used last stand last.
    resting: Vec<Resting>,
    shared: Option<Shared>,
}

struct Resting {
    connection: Connection,
    since: Instant,
}

/// A connection for one exchange.
pub(super) enum Lent {
    /// For this one alone.
    Alone(Connection),
    /// With others.
    Shared(Shared),
}

impl Pool {
    /// Empty, and told by `watch` what becomes of those that it keeps.
    pub(super) fn new(dial: Dial, watch: &Watch) -> Arc<Self> {
        let pool = Arc::new(Self { dial, servers: Mutex::default() });
        watch.add(&pool);
        pool
    }

    /// A connection to the server of `uri` that was used before, if there is one; newly used ones first, as others may be closed soon.
    pub(super) async fn kept(&self, uri: &Uri) -> Option<Lent> {
        let server = Server::of(uri)?;
        poll_fn(|cx| Poll::Ready(self.take(cx, &server))).await
    }

    /// A new connection to it.
    pub(super) async fn dialled(&self, uri: &Uri) -> Result<Lent, Error> {
        // Boxed, as it is rare, and large.
        let stream = self.dial.clone().connected(uri.clone()).boxed().await?;
        if !stream.get_ref().speaks_http2() {
            return Ok(Lent::Alone(Connection::new(stream)));
        }
        let new = Shared::begin(stream).boxed().await?;
        let Some(server) = Server::of(uri) else { return Ok(Lent::Shared(new)) };
        Ok(Lent::Shared(self.join(server, new)))
    }

    /// Keeps `connection` to the server of `uri` for somebody else.
    pub(super) fn keep(&self, uri: &Uri, mut connection: Connection, watch: &Watch) {
        // The same task has just read all that was there, so what there is now will come to the ears of `watch`.
        if !connection.is_alive(&mut watch.context()) {
            return;
        }
        let Some(server) = Server::of(uri) else { return };
        connection.usage().rest();
        let mut servers = self.servers();
        let resting = &mut servers.entry(server).or_default().resting;
        if resting.len() < IDLE_PER_SERVER {
            resting.push(Resting { connection, since: Instant::now() });
        }
    }

    /// Lets go of what is gone, or unused for long.
    fn sweep(&self, cx: &mut Context<'_>, now: Instant) {
        let fresh = |since: Instant| now.saturating_duration_since(since) < IDLE;
        self.servers().retain(|_, kept| {
            kept.resting.retain_mut(|resting| fresh(resting.since) && resting.connection.is_alive(cx));
            if kept.shared.as_ref().is_some_and(|shared| !shared.is_open() || !fresh(shared.used())) {
                kept.shared = None;
            }
            !kept.resting.is_empty() || kept.shared.is_some()
        });
    }

    fn take(&self, cx: &mut Context<'_>, server: &Server) -> Option<Lent> {
        let mut servers = self.servers();
        let kept = servers.get_mut(server)?;
        if let Some(shared) = kept.shared.as_mut().filter(|shared| shared.is_open()) {
            return Some(Lent::Shared(shared.use_now()));
        }
        while let Some(Resting { mut connection, .. }) = kept.resting.pop() {
            if connection.is_alive(cx) {
                return Some(Lent::Alone(connection));
            }
        }
        None
    }

    /// `new`, or the one that somebody else has begun meanwhile.
    fn join(&self, server: Server, mut new: Shared) -> Shared {
        let mut servers = self.servers();
        let shared = match servers.entry(server) {
            Entry::Occupied(kept) => &mut kept.into_mut().shared,
            Entry::Vacant(none) => &mut none.insert(Kept::default()).shared,
        };
        match shared.as_mut().filter(|shared| shared.is_open()) {
            Some(shared) => shared.use_now(),
            None => {
                let used = new.use_now();
                *shared = Some(new);
                used
            }
        }
    }

    fn servers(&self) -> MutexGuard<'_, HashMap<Server, Kept>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    fn of(uri: &Uri) -> Option<Self> {
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        Some(Self { secure, host: uri.authority()?.clone(), port: port(uri) })
    }
}
