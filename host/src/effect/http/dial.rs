//! New connections: look the name up, check where it leads, connect, and speak TLS where the URL says so.

use super::{
    Net,
    leg::Legs,
    proxy::Proxy,
    reach::Reach,
    room::{Admitted, wants_descriptor},
    stream::Stream,
    tls::{NoRoots, Trust},
};
use crate::effect::endpoints::Said;
use hyper::{StatusCode, Uri};
use rustls::pki_types::ServerName;
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a place among the connections of the node is waited for.
const PLACE: Duration = Duration::from_secs(10);
/// How long a descriptor is waited for, and how long before the system is asked again.
const DESCRIPTOR: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(250);

/// Makes the connections of all plugins with one [`Reach`] to the servers of one table.
#[derive(Clone)]
pub(super) struct Dial(Arc<Shared>);

struct Shared {
    purpose: Purpose,
    way: Arc<Way>,
    reach: Arc<Reach>,
    net: Arc<Net>,
}

/// How connections to the servers of one table are made.
pub(super) struct Way {
    trust: Trust,
    pub(super) proxy: Option<Proxy>,
    /// For everything before the first request.
    pub(super) patience: Duration,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Exchanges, by HTTP/2 or HTTP/1.1.
    Exchanges,
    /// To become something else, which only HTTP/1.1 can, and only with nobody in between.
    Upgrade,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("`{0}` is not a public address, `allow_http` has to name it")]
    Private(SocketAddr),
    #[error("a proxy could take its host for an address, which has to be written as four numbers")]
    Obscure,
    #[error("the proxy `{proxy}`")]
    Proxy {
        proxy: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the proxy `{proxy}` answered {status}")]
    Refused { proxy: String, status: StatusCode },
    #[error("the name cannot be looked up")]
    Lookup(#[source] Arc<io::Error>),
    #[error("the name has no address")]
    NoAddress,
    #[error("no connection within {0:?} (`connect_timeout`)")]
    TimedOut(Duration),
    #[error("this node has no place for one more connection, raise its limit of file descriptors (`ulimit -n`)")]
    NoPlace,
    #[error("this node has no file descriptor left for a connection, raise its limit (`ulimit -n`)")]
    NoDescriptor,
    #[error(transparent)]
    NoRoots(#[from] NoRoots),
    /// Boxed because hyper's connectors keep their own error types to themselves.
    #[error(transparent)]
    Connect(Box<dyn std::error::Error + Send + Sync>),
}

impl Way {
    pub(super) fn new(said: &Said) -> Self {
        Self {
            trust: Trust::new(&said.files),
            proxy: said.settings.proxy.as_ref().and_then(Proxy::new),
            patience: said.settings.connect_timeout,
        }
    }
}

impl Dial {
    pub(super) fn new(purpose: Purpose, way: Arc<Way>, reach: Arc<Reach>, net: Arc<Net>) -> Self {
        Self(Arc::new(Shared { purpose, way, reach, net }))
    }

    /// A new connection to the server of `to`.
    pub(super) async fn connected(self, to: Uri) -> Result<Admitted<Stream>, Error> {
        let patience = PLACE + self.0.way.patience;
        timeout(patience, self.admitted(to)).await.unwrap_or(Err(Error::NoPlace))
    }

    /// One that has its place among all of the node.
    async fn admitted(self, to: Uri) -> Result<Admitted<Stream>, Error> {
        let ticket = self.0.net.room.connection().await;
        let began = Instant::now();
        loop {
            match self.in_time(&to).await {
                Ok(stream) => return Ok(ticket.admit(stream)),
                Err(error) if !wants_descriptor(&error) => return Err(error),
                Err(_) => self.0.net.room.exhausted(),
            }
            if began.elapsed() > DESCRIPTOR {
                return Err(Error::NoDescriptor);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn in_time(&self, to: &Uri) -> Result<Stream, Error> {
        let (began, patience) = (Instant::now(), self.0.way.patience);
        match timeout(patience, self.connect(to)).await {
            Ok(Err(_)) if began.elapsed() >= patience => Err(Error::TimedOut(patience)),
            Ok(connected) => connected,
            Err(_) => Err(Error::TimedOut(patience)),
        }
    }

    async fn connect(&self, to: &Uri) -> Result<Stream, Error> {
        let legs = Legs(self);
        legs.check(to)?;
        if to.scheme_str() != Some("https") {
            return Ok(Stream::Plain(legs.to(to).await?));
        }
        let config = self.0.net.tls.config(&self.0.way.trust, self.0.purpose).await?;
        let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
        let host = ServerName::try_from(host.to_owned()).map_err(|cause| Error::Connect(cause.into()))?;
        let tls = TlsConnector::from(config).connect(host, legs.to(to).await?).await;
        Ok(Stream::Secure(Box::new(tls.map_err(|cause| Error::Connect(cause.into()))?)))
    }
}

/// Where connections lead.
impl Dial {
    pub(super) fn way(&self) -> &Way {
        &self.0.way
    }

    pub(super) fn purpose(&self) -> Purpose {
        self.0.purpose
    }

    pub(super) fn check(&self, name: &str, address: SocketAddr) -> Result<SocketAddr, Error> {
        if self.0.reach.admits(name, address) { Ok(address) } else { Err(Error::Private(address)) }
    }

    /// The addresses of `name` that may be connected to. Others are passed over, so that a name with a public and a private face
    /// works by the public one; a name that has nothing else is refused by its first.
    pub(super) async fn admitted_addresses(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let mut refused = Error::NoAddress;
        let mut admitted = Vec::new();
        for address in self.addresses(name).await?.into_iter().rev() {
            match self.check(name, SocketAddr::new(address.ip(), port)) {
                Ok(address) => admitted.push(address),
                Err(error) => refused = error,
            }
        }
        admitted.reverse();
        if admitted.is_empty() { Err(refused) } else { Ok(admitted) }
    }

    /// All addresses of `name`, with the port 0: the connector knows which.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, Error> {
        let found = self.0.net.lookups.addresses(name).await.map_err(Error::Lookup)?;
        Ok(found.iter().map(|address| SocketAddr::new(*address, 0)).collect())
    }
}
