//! HTTP exchanges for plugins: granted, bounded in time and size, over pooled connections.

mod cause;
mod dial;
#[cfg(fuzzing)]
mod fuzz;
mod grant;
mod incoming;
mod lookup;
mod outgoing;
mod place;
mod reach;
mod room;
mod secrets;
#[cfg(test)]
mod tests;
mod tls;

use crate::{
    config::{self, Secrets},
    effect::Error,
    request::{Failure, HttpReply, HttpRequest},
};
use bytes::Bytes;
use dial::Dial;
#[cfg(fuzzing)]
pub(super) use fuzz::fuzz;
use grant::Grants;
use http_body_util::Full;
use hyper::Request;
use hyper_util::{
    client::legacy::{Client, ResponseFuture},
    rt::{TokioExecutor, TokioTimer},
};
use incoming::Unusable;
use lookup::Lookups;
use outgoing::Outgoing;
pub(super) use outgoing::port;
use place::Place;
use reach::Reach;
use room::{Room, Usage};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tls::Tls;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Unused connections kept for one host; more are closed as they become free.
const IDLE_PER_HOST: usize = 1024;
/// The largest head of a response, in bytes; HTTP/1 allows 100 headers in it besides, which is hyper's own limit.
const LARGEST_HEAD: u32 = 64 * 1024;
/// What an HTTP/2 server may send ahead of us on one exchange, and on all of a connection, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// HTTP/2 connections with exchanges under way are probed this often, and given up if nothing comes back for as long.
const PROBE: Duration = Duration::from_secs(10);
/// Pools at once. Only reloads that grant ever new private addresses get here; to start over costs them a few handshakes.
const POOLS: usize = 256;

type Pool = Client<Dial, Full<Bytes>>;

/// Carries HTTP requests out.
pub(super) struct Http {
    /// A connection is found again by its authority, not by its address. So that no plugin inherits one to an address that it could not have
    /// dialled itself, each distinct [`Reach`] has a pool of its own. Most plugins are granted names only and share one.
    pools: RwLock<HashMap<Arc<Reach>, Pool>>,
    lookups: Arc<Lookups>,
    tls: Arc<Tls>,
    room: Arc<Room>,
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
        let tls = Arc::new(Tls::new(additional_roots)?);
        Ok(Self {
            pools: RwLock::default(),
            lookups: Arc::new(Lookups::new()),
            tls,
            room: Arc::new(Room::of_this_process()),
        })
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
        let Outgoing { place, request, secret } = outgoing.map_err(|failure| secrets::veiled(failure, secrets))?;
        // Waiting for others is not the server's fault, so it is not of its time.
        let _exchange = self.room.exchange().await;
        let reply = round_trip(&place, self.send(&allowance.reach, request), allowance.largest);
        let reply = match tokio::time::timeout(longest, reply).await {
            Ok(reply) => reply,
            Err(_) => Err(place.unreachable(format_args!("no complete reply within {longest:?}"))),
        };
        let reply = reply.map_err(|failure| secrets::veiled(failure, secrets))?;
        Ok(if secret { secrets::unsaid(reply, secrets) } else { reply })
    }

    fn send(&self, reach: &Arc<Reach>, request: Request<Full<Bytes>>) -> ResponseFuture {
        if let Some(pool) = self.pools.read().unwrap_or_else(PoisonError::into_inner).get(reach) {
            return pool.request(request);
        }
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        if pools.len() >= POOLS {
            pools.clear();
        }
        pools.entry(reach.clone()).or_insert_with(|| self.pool(reach)).request(request)
    }

    fn pool(&self, reach: &Arc<Reach>) -> Pool {
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
            .build(Dial::new(reach.clone(), self.lookups.clone(), self.tls.clone(), self.room.clone()))
    }
}

async fn round_trip(place: &Place, response: ResponseFuture, largest: usize) -> Result<HttpReply, Failure> {
    let mut response = response.await.map_err(|error| cause::failure(place, &error))?;
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
