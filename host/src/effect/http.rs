//! HTTP exchanges for plugins: granted, bounded in time and size, over pooled connections.

mod cause;
mod coding;
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
#[cfg(test)]
mod tests;
mod tls;

use crate::{
    config::{self, Secrets},
    effect::{Error, endpoints::Endpoints},
    event::{self, Timeout},
    request::{Failure, HttpReply, HttpRequest},
};
use arc_swap::ArcSwap;
use exchange::Exchange;
#[cfg(fuzzing)]
pub(super) use fuzz::fuzz;
use grant::Grants;
use lookup::Lookups;
use outgoing::Outgoing;
#[cfg(test)]
pub(super) use outgoing::port;
use reach::Reach;
use room::Room;
use route::Routes;
pub(super) use route::spelled;
use std::{sync::Arc, time::Duration};
use tls::Tls;

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
}

/// What one plugin may have sent and be sent.
pub(super) struct Allowance {
    grants: Grants,
    secrets: Secrets,
    reach: Arc<Reach>,
    longest: Duration,
    largest: usize,
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

impl Http {
    /// Trusts the certificates in `additional_roots`, which are PEM, beside the system's.
    pub(super) fn new(additional_roots: &[u8]) -> Result<Self, Error> {
        let net = Net { lookups: Lookups::new(), tls: Tls::new(additional_roots)?, room: Room::of_this_process() };
        Ok(Self { routes: ArcSwap::from_pointee(Routes::new(&Endpoints::default(), None)), net: Arc::new(net) })
    }

    /// From now on servers are reached as `endpoints` say.
    pub(super) fn configure(&self, endpoints: &Endpoints) {
        let new = Routes::new(endpoints, Some(&self.routes.load()));
        self.routes.store(Arc::new(new));
    }

    /// The complete reply to `wanted`. Redirects are replies like others: following one is for the plugin to ask for.
    pub(super) async fn exchange(
        &self,
        allowance: &Allowance,
        idempotency_key: &str,
        wanted: HttpRequest,
    ) -> Result<HttpReply, Failure> {
        let longest = wanted.timeout.map_or(allowance.longest, |wish| wish.min(allowance.longest));
        let secrets = &allowance.secrets;
        let veiled = |failure| secrets::veiled(failure, secrets);
        let mut outgoing = outgoing::prepare(&allowance.grants, secrets, idempotency_key, wanted).map_err(veiled)?;
        let route = Arc::clone(self.routes.load().to(&outgoing.place.uri));
        exchange::prepare(&route, &mut outgoing).await.map_err(veiled)?;
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
        let reply = reply.map_err(veiled)?;
        Ok(if secret { secrets::unsaid(reply, secrets) } else { reply })
    }
}
