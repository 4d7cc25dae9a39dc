//! The connection for Resque's own books, apart from those that move messages.

use crate::{event, source::Connector};
use redis::{RedisError, aio::MultiplexedConnection};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    connector: Connector,
    /// What it is for, as the log names it.
    source: String,
    redis: Mutex<Option<MultiplexedConnection>>,
    troubled: AtomicBool,
}

impl Link {
    pub(super) fn new(connector: Connector, source: String) -> Self {
        Self { connector, source, redis: Mutex::new(None), troubled: AtomicBool::new(false) }
    }

    /// The connection, opened if there is none.
    pub(super) async fn redis(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut redis = self.redis.lock().await;
        match &*redis {
            Some(connection) => Ok(connection.clone()),
            None => Ok(redis.insert(self.connector.shared().await?).clone()),
        }
    }

    /// Looks at how a command went: says the first failure, forgets a connection that is of no more use.
    pub(super) async fn judge<T>(&self, result: &Result<T, RedisError>) {
        let Err(error) = result else {
            if self.troubled.load(Ordering::Relaxed) && self.troubled.swap(false, Ordering::Relaxed) {
                event::redis_back(&self.source);
            }
            return;
        };
        if !self.troubled.swap(true, Ordering::Relaxed) {
            let advice = self.connector.advice(error, &self.source);
            event::redis_trouble(&self.source, self.connector.url(), error, &advice);
        }
        if self.connector.is_lost(error) {
            *self.redis.lock().await = None;
        }
    }
}
