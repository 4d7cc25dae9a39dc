//! The connection for short commands of one queue, or of what is kept beside several, and what an operator is told of it.

mod health;

use super::connection::{Connector, Since};
use crate::event;
use health::Health;
use redis::{RedisError, aio::MultiplexedConnection};
use std::{sync::Arc, time::Instant};
use tokio::sync::Mutex;

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connector: Connector,
    /// What it is for, as the log names it.
    source: Arc<str>,
    redis: Mutex<Option<(MultiplexedConnection, Since)>>,
    health: Health,
    /// Where it is counted how that goes.
    tally: Option<Arc<event::SourceStory>>,
}

impl Link {
    pub(super) fn new(connector: Connector, source: Arc<str>) -> Self {
        Self { connector, source, redis: Mutex::new(None), health: Health::default(), tally: None }
    }

    /// The same, of a source whose trouble is counted.
    pub(super) fn counted(self, tally: Arc<event::SourceStory>) -> Self {
        Self { tally: Some(tally), ..self }
    }

    /// The connection, opened if there is none that leads to the right server.
    pub(super) async fn redis(&self) -> Result<MultiplexedConnection, RedisError> {
        Ok(self.redis_since().await?.0)
    }

    /// The same, and which server it leads to.
    pub(super) async fn redis_since(&self) -> Result<(MultiplexedConnection, Since), RedisError> {
        let mut redis = self.redis.lock().await;
        self.connector.assure().await;
        match &*redis {
            Some((connection, since)) if self.connector.is_current(*since) => Ok((connection.clone(), *since)),
            _ => Ok(redis.insert(self.connector.shared_since().await?).clone()),
        }
    }

    /// A command failed, here or on another connection to the same server: says so if that is news, and forgets a connection
    /// that is of no more use.
    pub(super) async fn failed(&self, error: &RedisError) {
        self.tally.iter().for_each(|tally| event::redis_failed(tally));
        let advice = self.connector.advice(error, &self.source);
        if self.health.failed(&advice, Instant::now()) {
            event::redis_trouble(&self.source, self.connector.url(), error, &advice);
        }
        if self.connector.is_lost(error) {
            *self.redis.lock().await = None;
        }
    }

    /// Something has done its work: proof of health.
    pub(super) fn healthy(&self) {
        self.tally.iter().for_each(|tally| event::redis_answered(tally));
        if self.health.is_troubled() && self.health.recovered(Instant::now()) {
            event::redis_back(&self.source);
        }
    }

    /// Looks at how a command went.
    pub(super) async fn judge<T>(&self, result: &Result<T, RedisError>) {
        match result {
            Ok(_) => self.healthy(),
            Err(error) => self.failed(error).await,
        }
    }
}
