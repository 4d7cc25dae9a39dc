//! The first leg of a connection: TCP to the server itself, or to a proxy and by its grace further on.

use super::{
    dial::{Dial, Error, Purpose},
    grant::literal,
    outgoing::port,
    proxy::{is_local, is_obscure},
};
use futures_util::{FutureExt, future::BoxFuture};
use hyper::Uri;
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::Name},
    rt::TokioIo,
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    task::{Context, Poll},
    vec,
};
use tokio::net::TcpStream;
use tower_service::Service;

/// Makes legs.
pub(super) struct Legs<'a>(pub(super) &'a Dial);

impl Legs<'_> {
    /// What the URL alone tells of where it leads. All that a name means is checked when it has been looked up, or by the proxy.
    pub(super) fn check(&self, to: &Uri) -> Result<(), Error> {
        let (host, port) = (to.host().unwrap_or_default(), port(to));
        let check = |address: IpAddr| self.0.check(host, SocketAddr::new(address, port)).map(drop);
        match literal(host) {
            // The connector asks its resolver about names only.
            Some(address) => check(address),
            None if self.0.way().proxy.is_none() => Ok(()),
            None if is_obscure(host) => Err(Error::Obscure),
            None if is_local(host) => check(Ipv4Addr::LOCALHOST.into()),
            None => Ok(()),
        }
    }

    /// One towards the server of `to`.
    pub(super) async fn to(&self, to: &Uri) -> Result<TcpStream, Error> {
        let (host, port) = (to.host().unwrap_or_default(), port(to));
        let Some(proxy) = &self.0.way().proxy else {
            let tcp = self.tcp(to.clone(), Some(port)).await.map_err(|cause| Error::Connect(cause.into()))?;
            return Ok(tcp.into_inner());
        };
        let tcp = self.tcp(proxy.uri.clone(), None).await.map_err(|cause| proxy.failed(cause))?;
        if to.scheme_str() != Some("https") && self.0.purpose() == Purpose::Exchanges {
            return Ok(tcp.into_inner());
        }
        Ok(proxy.tunnel(tcp, host, port).await?.into_inner())
    }

    async fn tcp(
        &self,
        to: Uri,
        checked: Option<u16>,
    ) -> Result<TokioIo<TcpStream>, <HttpConnector<Resolver> as Service<Uri>>::Error> {
        let mut tcp = HttpConnector::new_with_resolver(Resolver { dial: self.0.clone(), checked });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // All addresses of one family share it, so that a dead one leaves time for the next.
        tcp.set_connect_timeout(Some(self.0.way().patience));
        tcp.call(to).await
    }
}

/// Gives the connector only addresses that the grants admit at this port: the check stands between lookup and connection,
/// so that a name cannot mean one thing when checked and another when used.
#[derive(Clone)]
struct Resolver {
    dial: Dial,
    /// None for a proxy, which is where the operator says it is.
    checked: Option<u16>,
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { dial, checked } = self.clone();
        async move {
            let found = match checked {
                Some(port) => dial.admitted_addresses(name.as_str(), port).await?,
                None => dial.addresses(name.as_str()).await?,
            };
            Ok(found.into_iter())
        }
        .boxed()
    }
}
