//! What an operator says of the servers that requests go to, as types.

use super::{Rate, Tls};
use std::time::Duration;

/// How one server is to be treated, by all pipelines together.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// How fast requests are sent to it; as fast as it goes when absent.
    pub rate: Option<Rate>,
    /// Requests under way at once, 1 to 100,000.
    pub in_flight: usize,
    /// When it is left alone for failing; never when absent.
    pub breaker: Option<Breaker>,
    /// Whom to trust there, and who we are.
    pub tls: Tls,
    /// What requests go through; none when absent.
    pub proxy: Option<Proxy>,
    /// How the bodies of requests are packed; not at all when absent.
    pub compress: Option<Compress>,
    /// Until a connection is there, from looking up the name to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// From there to the head of the reply; as long as the whole exchange may take when absent.
    pub first_byte_timeout: Option<Duration>,
}

/// When a server that fails is left alone, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    /// At least so many requests failed within the window; 1 to 1,000,000.
    pub failures: u32,
    /// And at least this share of all, above 0, at most 1.
    pub share: f64,
    /// The time that is looked back.
    pub window: Duration,
    /// How long until one request is tried; doubles with each that fails, up to twelve times as long.
    pub pause: Duration,
}

/// How bodies are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compress {
    /// `content-encoding: gzip`.
    Gzip,
}

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// Who we are to it.
    pub login: Option<ProxyLogin>,
}

/// Who we are to a proxy.
#[derive(Clone, PartialEq)]
pub struct ProxyLogin {
    /// Without a colon.
    pub user: String,
    /// May be empty.
    pub password: String,
}

/// Without the password.
impl std::fmt::Debug for ProxyLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProxyLogin").field("user", &self.user).finish_non_exhaustive()
    }
}
