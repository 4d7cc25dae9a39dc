//! HTTP exchanges for plugins: granted, bounded in time and size, over pooled connections.

mod cause;
mod dial;
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
use bytes::Bytes;
use futures_util::future::{Either, select};
#[cfg(fuzzing)]
pub(super) use fuzz::fuzz;
use grant::Grants;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use incoming::Unusable;
use lookup::Lookups;
use outgoing::Outgoing;
pub(super) use outgoing::port;
use place::Place;
use reach::Reach;
use room::{Room, Usage};
use route::{Route, Routes};
use std::{pin::pin, sync::Arc, time::Duration};
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
        let outgoing = outgoing::prepare(&allowance.grants, secrets, idempotency_key, wanted);
        let Outgoing { place, mut request, secret } = outgoing.map_err(|failure| secrets::veiled(failure, secrets))?;
        let route = Arc::clone(self.routes.load().to(&place.uri));
        let forwarder = route.forwarder(&place.uri);
        if let Some(proxy) = forwarder {
            proxy.present(&place, request.headers_mut()).map_err(|failure| secrets::veiled(failure, secrets))?;
        }
        // Waiting for others is not the server's fault, so it is not of its time.
        let _exchange = self.net.room.exchange().await;
        let reply = self.round_trip(&place, &route, &allowance.reach, request, allowance.largest);
        let reply = match tokio::time::timeout(longest, reply).await {
            Ok(reply) => reply,
            Err(_) => {
                event::request_timed_out(Timeout::Whole);
                Err(place.unreachable(format_args!("no complete reply within {longest:?}")))
            }
        };
        let reply = reply.and_then(|reply| match forwarder {
            Some(proxy) if reply.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(place.unreachable(proxy.refused(StatusCode::PROXY_AUTHENTICATION_REQUIRED)))
            }
            _ => Ok(reply),
        });
        let reply = reply.map_err(|failure| secrets::veiled(failure, secrets))?;
        Ok(if secret { secrets::unsaid(reply, secrets) } else { reply })
    }

    async fn round_trip(
        &self,
        place: &Place,
        route: &Route,
        reach: &Arc<Reach>,
        request: Request<Full<Bytes>>,
        largest: usize,
    ) -> Result<HttpReply, Failure> {
        let mut response = self.head(place, route, reach, request).await?;
        let usage = response.extensions_mut().remove::<Arc<Usage>>();
        let reply = incoming::whole(response, largest).await.map_err(|why| match why {
            Unusable::TooLarge => place.too_large(format_args!("the reply is longer than {} KiB", largest / 1024)),
            Unusable::Broken(error) => cause::failure(place, &error),
        })?;
        if let Some(usage) = usage {
            usage.rest();
        }
        Ok(reply)
    }

    /// The reply as far as its head.
    async fn head(
        &self,
        place: &Place,
        route: &Route,
        reach: &Arc<Reach>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        let failed = |error| cause::failure(place, &error);
        let Some(longest) = route.said.settings.first_byte_timeout else {
            return route.send(&self.net, reach, request).await.map_err(failed);
        };
        let connection = capture_connection(&mut request);
        let response = route.send(&self.net, reach, request);
        match select(response, pin!(later(connection, longest))).await {
            Either::Left((response, _)) => response.map_err(failed),
            Either::Right(((), _)) => {
                event::request_timed_out(Timeout::FirstByte);
                Err(place.unreachable(format_args!("no reply began within {longest:?} (`first_byte_timeout`)")))
            }
        }
    }
}

/// When there has been a connection for so long.
async fn later(mut connection: CaptureConnection, time: Duration) {
    if connection.wait_for_connection_metadata().await.is_none() {
        // There is none, as the exchange itself tells.
        return std::future::pending().await;
    }
    tokio::time::sleep(time).await;
}
