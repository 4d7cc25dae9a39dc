//! What publishers ask for, carried out: the only place where a plugin's wish becomes traffic.

mod file;
#[cfg(fuzzing)]
pub mod fuzz;
mod http;
mod redis;

use self::redis::{Allowance as RedisAllowance, Redis};
use crate::{
    config::{self, Reserved},
    connection::Connector,
    request::{Reply, Request},
};
use std::sync::Arc;

/// Carries requests out; one for the whole node, cheap to clone.
#[derive(Clone)]
pub struct Effects {
    http: Arc<http::Http>,
    redis: Arc<Redis>,
    files: Arc<file::Files>,
}

/// What one plugin may have carried out; built once from its table.
pub struct Allowance {
    http: http::Allowance,
    redis: RedisAllowance,
    files: file::Allowance,
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
        Ok(Self { http: Arc::new(http::Http::new(pem)?), redis: Arc::default(), files: Arc::default() })
    }

    /// The same with the Redis at the other end of `connector`, where commands of plugins are carried out; nothing is connected yet.
    #[must_use]
    pub fn with_redis(self, connector: Connector) -> Self {
        Self { redis: Arc::new(Redis::at(connector)), ..self }
    }

    /// From now on `reserved` are the keys that patterns in grants do not reach.
    pub fn reserve(&self, reserved: Reserved) {
        self.redis.reserve(reserved);
    }

    /// Carries `request` out as far as `allowance` goes; dropping the future cancels it.
    ///
    /// The `idempotency_key` should be the same in all attempts of the same request; what is no header's value is sent as its SHA-256.
    /// An HTTP exchange takes no longer than the plugin's `http_timeout`, and what is sent once is never sent again: that is for the pipeline to decide.
    pub async fn carry_out(&self, allowance: &Allowance, idempotency_key: &str, request: Request) -> Reply {
        match request {
            Request::Http(request) => Reply::Http(self.http.exchange(&allowance.http, idempotency_key, request).await),
            Request::Redis(words) => Reply::Redis(self.redis.carry_out(&allowance.redis, &words).await),
            Request::File(append) => Reply::File(self.files.append(&allowance.files, append).await),
        }
    }

    /// Does for ever what is due by itself: files are synced, and closed when they are not written to.
    pub async fn tend(self) {
        self.files.tend().await;
    }

    /// Syncs and closes files; nothing is asked for any more.
    pub async fn finish(&self) {
        self.files.finish().await;
    }
}

impl std::fmt::Debug for Effects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effects").finish_non_exhaustive()
    }
}

impl Allowance {
    /// What the operator grants in `settings`.
    pub fn new(settings: &config::Plugin) -> Self {
        Self {
            http: http::Allowance::new(settings),
            redis: RedisAllowance::new(settings),
            files: file::Allowance::new(settings),
        }
    }
}
