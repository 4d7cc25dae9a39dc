//! A server and the proxy before it, to be used as the server.

use super::Redis;
use crate::Proxy;
use std::ops::{Deref, DerefMut};

/// The server; what a test does itself goes past the proxy.
#[derive(Debug)]
pub struct Proxied {
    /// What stands before it.
    pub proxy: Proxy,
    redis: Redis,
}

impl Proxied {
    pub(super) fn new(redis: Redis) -> Self {
        Self { proxy: Proxy::to(redis.socket().as_path()), redis }
    }

    /// What goes behind `redis =` in a config: the address of the proxy.
    pub fn url(&self) -> String {
        self.proxy.url()
    }
}

impl Deref for Proxied {
    type Target = Redis;

    fn deref(&self) -> &Redis {
        &self.redis
    }
}

impl DerefMut for Proxied {
    fn deref_mut(&mut self) -> &mut Redis {
        &mut self.redis
    }
}
