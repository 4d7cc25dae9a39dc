//! HTTP exchanges for plugins: granted, bounded in time and size, over pooled connections.

mod cause;
mod coding;
mod connection;
mod dial;
mod exchange;
#[cfg(fuzzing)]
mod fuzz;
mod grant;
mod incoming;
mod leg;
mod lookup;
mod outgoing;
mod place;
mod pool;
mod proxy;
mod reach;
mod room;
mod route;
mod secrets;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod upgrade;
mod wire;

use crate::{
    config::{self, Secrets},
    effect::{Error, endpoints::Endpoints},
    event::{self, Timeout},
    request::{Failure, HttpReply, HttpRequest},
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use exchange::Exchange;
#[cfg(fuzzing)]
pub(super) use fuzz::fuzz;
use grant::Grants;
use lookup::Lookups;
use outgoing::Outgoing;
#[cfg(test)]
pub(super) use outgoing::port;
use pool::Watch;
use reach::Reach;
use room::Room;
pub(super) use room::Usage;
use route::Routes;
pub(super) use route::spelled;
use std::{sync::Arc, time::Duration};
use tls::Tls;
pub(super) use upgrade::{Refused, Switched};

/// The largest head of a response, in bytes; HTTP/1 allows 100 headers in it besides, which is hyper's own limit.
const LARGEST_HEAD: u32 = 64 * 1024;
/// Carries HTTP requests out.
pub(super) struct Http {
    routes: ArcSwap<Routes>,
    net: Arc<Net>,
}

/// What all connections of the node share.
struct Net {
    lookups: Lookups,
    tls: Tls,
    room: Room,
    watch: Watch,
}

/// What one plugin may have sent and be sent.
pub(super) struct Allowance {
    grants: Grants,
    secrets: Secrets,
    reach: Arc<Reach>,
    longest: Duration,
    largest: usize,
}

/// A request that may be sent.
pub(super) struct Prepared {
    outgoing: Outgoing,
    longest: Duration,
}

impl Allowance {
    pub(super) fn new(settings: &config::Plugin) -> Self {
        Self {
            grants: Grants::new(&settings.allow_http),
            secrets: settings.secrets.clone(),
            reach: Arc::new(Reach::new(&settings.allow_http)),
            longest: settings.http_timeout,
            largest: usize::try_from(settings.http_response_kib).unwrap_or(usize::MAX).saturating_mul(1024),
        }
    }
}

impl Allowance {
    /// Refuses a request that is not granted or cannot be sent.
    pub(super) fn test(&self, wanted: HttpRequest) -> Result<(), Failure> {
        let prepared = outgoing::prepare(&self.grants, &self.secrets, None, wanted);
        prepared.map(drop).map_err(|failure| self.veiled(failure))
    }
}

/// What other effects that begin as HTTP share.
impl Allowance {
    /// How long all of one request may take that wishes so.
    pub(super) fn longest(&self, wish: Option<Duration>) -> Duration {
        wish.map_or(self.longest, |wish| wish.min(self.longest))
    }

    /// Of what comes back, in bytes.
    pub(super) fn largest(&self) -> usize {
        self.largest
    }

    /// `body` with secrets in the places of their stand-ins.
    pub(super) fn revealed(&self, body: Bytes) -> Bytes {
        self.secrets.reveal_bytes(&body).map_or(body, Bytes::from)
    }

    /// `failure` without secrets and stand-ins.
    pub(super) fn veiled(&self, failure: Failure) -> Failure {
        secrets::veiled(failure, &self.secrets)
    }

    /// What a server says, without the secrets that it may say back.
    pub(super) fn unsaid(&self, answer: Bytes) -> Bytes {
        self.secrets.hide_bytes(&answer).map_or(answer, Bytes::from)
    }
}

impl Http {
    /// Trusts the certificates in `additional_roots`, which are PEM, beside the system's.
    pub(super) fn new(additional_roots: &[u8]) -> Result<Self, Error> {
        let tls = Tls::new(additional_roots)?;
        let net = Net { lookups: Lookups::new(), tls, room: Room::of_this_process(), watch: Watch::new() };
        Ok(Self { routes: ArcSwap::from_pointee(Routes::new(&Endpoints::default(), None)), net: Arc::new(net) })
    }

    /// From now on servers are reached as `endpoints` say.
    pub(super) fn configure(&self, endpoints: &Endpoints) {
        let new = Routes::new(endpoints, Some(&self.routes.load()));
        self.routes.store(Arc::new(new));
    }

    /// Does for ever what is due by itself: lets go of connections that the server has closed, or nobody has used for long.
    pub(super) async fn tend(&self) {
        self.net.watch.tend().await;
    }

    /// `wanted` as it is sent.
    pub(super) fn prepare(
        &self,
        allowance: &Allowance,
        idempotency_key: &str,
        wanted: HttpRequest,
    ) -> Result<Prepared, Failure> {
        let longest = allowance.longest(wanted.timeout);
        let outgoing = outgoing::prepare(&allowance.grants, &allowance.secrets, Some(idempotency_key), wanted);
        Ok(Prepared { outgoing: outgoing.map_err(|failure| allowance.veiled(failure))?, longest })
    }

    /// The complete reply to what was `prepared` for this allowance. Redirects are replies like others: following one is for the plugin to
    /// ask for.
    pub(super) async fn exchange(&self, allowance: &Allowance, prepared: Prepared) -> Result<HttpReply, Failure> {
        let Prepared { mut outgoing, longest } = prepared;
        let route = Arc::clone(self.routes.load().to(&outgoing.place.uri));
        exchange::prepare(&route, &mut outgoing).await.map_err(|failure| allowance.veiled(failure))?;
        let Outgoing { place, request, secret, unpack } = outgoing;
        // Waiting for others is not the server's fault, so it is not of its time.
        let _exchange = self.net.room.exchange().await;
        let exchange = Exchange { net: &self.net, route: &route, allowance, place: &place, unpack };
        let reply = match tokio::time::timeout(longest, exchange.reply(request)).await {
            Ok(reply) => reply,
            Err(_) => {
                event::request_timed_out(Timeout::Whole);
                Err(place.unreachable(format_args!("no complete reply within {longest:?}")))
            }
        };
        let reply = reply.map_err(|failure| allowance.veiled(failure))?;
        Ok(if secret { secrets::unsaid(reply, &allowance.secrets) } else { reply })
    }
}

impl Prepared {
    /// Where it goes.
    pub(super) fn url(&self) -> String {
        self.outgoing.place.uri.to_string()
    }
}
