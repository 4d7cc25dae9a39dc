//! What publishers ask for, carried out: the only place where a plugin's wish becomes traffic.

mod endpoints;
mod file;
#[cfg(fuzzing)]
pub mod fuzz;
mod http;
pub mod limit;
mod redis;
mod websocket;

pub use endpoints::{Endpoints, Unusable};

use self::redis::{Allowance as RedisAllowance, Redis};
use crate::{
    config::{self, Reserved},
    connection::Connector,
    request::{Failure, HttpReply, Reply, Request, Settling, WebSocketSend},
};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::Prepared;
use limit::{Admitted, Held, Limits, Most, Pass, Share, Shown};
use std::{future::ready, sync::Arc};
use tokio_util::sync::CancellationToken;
use websocket::{Links, Sockets};

/// Carries requests out; one for the whole node, cheap to clone.
#[derive(Clone)]
pub struct Effects {
    http: Arc<http::Http>,
    sockets: Sockets,
    redis: Arc<Redis>,
    files: Arc<file::Files>,
    limits: Arc<Limits>,
}

/// What one plugin may have carried out; built once from its table.
pub struct Allowance {
    http: Arc<http::Allowance>,
    redis: RedisAllowance,
    files: file::Allowance,
    websockets: Links,
}

/// Why a node cannot carry anything out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The TLS library refused its own settings.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// What should be PEM is not.
    #[error("the additional root certificates are not PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// Well-formed PEM that no certificate can be checked against.
    #[error("root certificate {number} of the additional ones is unusable")]
    Root {
        /// Counts from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        cause: rustls::Error,
    },
}

impl Effects {
    /// Trusts the system's root certificates, which are read when the first `https` request is made.
    pub fn new() -> Result<Self, Error> {
        Self::with_roots(b"")
    }

    /// Trusts the root certificates in `pem` beside the system's.
    pub fn with_roots(pem: &[u8]) -> Result<Self, Error> {
        let http = Arc::new(http::Http::new(pem)?);
        Ok(Self {
            sockets: Sockets::new(Arc::clone(&http)),
            http,
            redis: Arc::default(),
            files: Arc::default(),
            limits: Arc::default(),
        })
    }

    /// The same with the Redis at the other end of `connector`, where commands of plugins are carried out; nothing is connected yet.
    #[must_use]
    pub fn with_redis(self, connector: Connector) -> Self {
        Self { limits: Arc::new(Limits::with(connector.clone())), redis: Arc::new(Redis::at(connector)), ..self }
    }

    /// From now on `reserved` are the keys that patterns in grants do not reach.
    pub fn reserve(&self, reserved: Reserved) {
        self.redis.reserve(reserved);
    }

    /// From now on this is said of the servers that requests go to.
    pub fn configure(&self, endpoints: &Endpoints) {
        self.http.configure(endpoints);
        self.limits.configure(endpoints.settings());
    }

    /// The endpoints that are most worth a look.
    pub fn endpoints(&self) -> Vec<Shown> {
        self.limits.shown()
    }

    /// What the endpoints of one pipeline with so many messages in flight share, and how many of them may be put back because of one endpoint.
    pub fn share(&self, in_flight: usize, away: Most) -> Arc<Share> {
        Limits::share(in_flight, away)
    }

    /// Lets a message of which nothing was sent yet send the first of `requests`.
    ///
    /// # Errors
    /// Where its endpoint is not to be sent to for some time: then nothing is, and the message comes again. Once `quiet` is cancelled
    /// that is not waited for.
    pub async fn admit(
        &self,
        share: &Arc<Share>,
        requests: impl IntoIterator<Item = &Request>,
        quiet: &CancellationToken,
    ) -> Result<Admitted, Held> {
        self.limits.admit(share, requests, quiet).await
    }

    /// Carries `request` out as far as `allowance` goes; dropping the future cancels it.
    ///
    /// The `idempotency_key` should be the same in all attempts of the same request; what is no header's value is sent as its SHA-256.
    /// A command for the settling of the message, which is said to be possible by `settling`, is only looked at: who settles carries it out.
    /// A request to a server without a pass waits for one first. It takes no longer than the plugin's `http_timeout`, and what is sent once is never sent again: that is for the pipeline to decide.
    pub fn carry_out<'a>(
        &'a self,
        allowance: &'a Allowance,
        idempotency_key: &str,
        settling: Settling,
        request: Request,
        pass: Option<Pass>,
    ) -> BoxFuture<'a, Reply> {
        match request {
            Request::Http(request) => {
                let prepared = self.http.prepare(&allowance.http, idempotency_key, request);
                async move { Reply::Http(self.exchange(allowance, prepared, pass).await) }.boxed()
            }
            Request::Redis(words) => {
                async move { Reply::Redis(self.redis.carry_out(&allowance.redis, &words).await) }.boxed()
            }
            Request::RedisWithSettling(words) => {
                ready(Reply::Redis(self.redis.queue(&allowance.redis, settling, &words))).boxed()
            }
            Request::WebSocket(send) => async move { Reply::WebSocket(self.send(allowance, send, pass).await) }.boxed(),
            Request::File(append) => {
                async move { Reply::File(self.files.append(&allowance.files, append).await) }.boxed()
            }
        }
    }

    /// Does for ever what is due by itself: files are synced, and closed when they are not written to, as are connections that nobody uses.
    pub async fn tend(self) {
        tokio::join!(self.files.tend(), self.http.tend());
    }

    /// Syncs and closes files, closes WebSockets; nothing is asked for any more.
    pub async fn finish(&self) {
        self.sockets.finish().await;
        self.files.finish().await;
    }
}

impl Effects {
    async fn exchange(
        &self,
        allowance: &Allowance,
        prepared: Result<Prepared, Failure>,
        mut pass: Option<Pass>,
    ) -> Result<HttpReply, Failure> {
        let reply = match prepared {
            Ok(prepared) => {
                if pass.is_none() {
                    // Boxed, as it is rare, and large.
                    pass = self.own_pass(&prepared.url()).boxed().await?;
                }
                self.http.exchange(&allowance.http, prepared).await
            }
            Err(failure) => Err(failure),
        };
        if let Some(pass) = pass {
            pass.answered(&reply);
        }
        reply
    }

    async fn send(
        &self,
        allowance: &Allowance,
        send: WebSocketSend,
        pass: Option<Pass>,
    ) -> Result<Option<Bytes>, Failure> {
        let pass = match pass {
            Some(pass) => Some(pass),
            None => self.own_pass(&send.url).await?,
        };
        let sent = allowance.websockets.send(&self.sockets, &allowance.http, send).await;
        if let Some(pass) = pass {
            pass.answered(&websocket::told(&sent));
        }
        sent.map_err(|refused| refused.failure)
    }

    /// A pass that was waited for, where one is needed.
    async fn own_pass(&self, url: &str) -> Result<Option<Pass>, Failure> {
        self.limits.pass(url).await.map_err(|Held { after }| {
            Failure::Unreachable(format!("not sent: nothing is sent to that server for another {after:.1?}"))
        })
    }
}

impl std::fmt::Debug for Effects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effects").finish_non_exhaustive()
    }
}

impl Admitted {
    /// The pass for the first request to a server; later ones wait for their own.
    pub fn take_pass(&mut self) -> Option<Pass> {
        self.pass.take()
    }
}

impl Allowance {
    /// What the operator grants in `settings`.
    pub fn new(settings: &config::Plugin) -> Self {
        Self {
            http: Arc::new(http::Allowance::new(settings)),
            redis: RedisAllowance::new(settings),
            files: file::Allowance::new(settings),
            websockets: Links::default(),
        }
    }

    /// Looks at `request` as [`Effects::carry_out`] does before anything is looked up or sent; patterns do not reach `reserved` keys.
    ///
    /// # Errors
    /// As its reply would have it: what is not granted, and what is no request.
    pub fn test(&self, request: &Request, reserved: &Reserved) -> Result<(), Failure> {
        match request {
            Request::Http(request) => self.http.test(request.clone()),
            Request::WebSocket(send) => websocket::test(&self.http, send),
            Request::Redis(words) => self.redis.test(words, reserved).map(drop),
            Request::RedisWithSettling(words) => self.redis.test_with_settling(words, reserved).map(drop),
            Request::File(append) => self.files.test(append),
        }
    }
}
