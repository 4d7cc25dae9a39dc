//! Connections to Redis: how they are opened, and what their errors mean.

use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, RedisError, Value,
    aio::{AsyncPushSender, MultiplexedConnection},
    io::tcp::TcpSettings,
};
use std::{sync::Arc, time::Duration};

/// A Redis that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one.
    #[error("`{url}` is not a Redis address")]
    Address {
        /// Without its password.
        url: String,
        /// What the client says of it.
        #[source]
        cause: RedisError,
    },
    /// No connection, or none that answers.
    #[error("no Redis answers at `{url}`; start it, or set `redis` in the configuration")]
    Unreachable {
        /// Without its password.
        url: String,
        /// What happened.
        #[source]
        cause: RedisError,
    },
    /// It lacks commands we need.
    #[error("the Redis at `{url}` is version {version}, but Gristmill needs 6.2 or later (or Valkey) for `BLMOVE`")]
    TooOld {
        /// Without its password.
        url: String,
        /// As the server tells it.
        version: String,
    },
    /// A command was refused.
    #[error("Redis refused a command")]
    Refused(#[from] RedisError),
}

/// Opens connections to one server.
#[derive(Clone, Debug)]
pub struct Connector {
    client: Client,
    shown: Arc<str>,
}

/// Longer than any wait of ours on the server's side, and than a busy server's hiccups.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(10);

impl Connector {
    /// For the server at `url`: `redis://…` or `unix://…`.
    pub fn new(url: &str) -> Result<Self, Error> {
        let shown = without_password(url);
        let refused = |cause| Error::Address { url: shown.clone(), cause };
        let info = url.into_connection_info().map_err(refused)?;
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info).map_err(refused)?;
        Ok(Self { client, shown: shown.into() })
    }

    /// The address, without its password.
    pub fn url(&self) -> &str {
        &self.shown
    }

    /// A connection for commands that answer at once; it may be cloned and shared.
    pub async fn shared(&self) -> Result<MultiplexedConnection, RedisError> {
        self.open(Some(ANSWER)).await
    }

    /// A connection for commands that block on the server's side; the caller watches the time and drops the connection.
    pub(super) async fn blocking(&self) -> Result<MultiplexedConnection, RedisError> {
        self.open(None).await
    }

    /// A connection that hands what is published to `listener`, which must not block. It speaks RESP3: commands keep
    /// their answers while messages come, and sharded channels need it.
    pub(super) async fn listening(&self, listener: impl AsyncPushSender) -> Result<MultiplexedConnection, RedisError> {
        let info = self.client.get_connection_info().clone();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_push_sender(listener);
        Client::open(info.set_redis_settings(settings))?.get_multiplexed_async_connection_with_config(&config).await
    }

    async fn open(&self, answer: Option<Duration>) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(answer);
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Makes sure that a server answers and knows the commands we need.
    pub async fn check(&self) -> Result<(), Error> {
        let unreachable = |cause| Error::Unreachable { url: self.shown.to_string(), cause };
        let mut connection = self.shared().await.map_err(unreachable)?;
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await.map_err(unreachable)?;
        match version(&info) {
            Some((version, known)) if known < (6, 2) => Err(Error::TooOld { url: self.shown.to_string(), version }),
            _ => Ok(()),
        }
    }
}

/// The version a server tells; a Valkey tells the Redis version it is compatible with.
fn version(info: &str) -> Option<(String, (u32, u32))> {
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"))?.trim();
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    Some((version.to_owned(), (parts.next()?, parts.next()?)))
}

fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://…@{host}"),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

/// The first server error in a pipeline's replies.
pub(super) fn server_error(replies: &[Value]) -> Option<RedisError> {
    replies.iter().find_map(|reply| match reply {
        Value::ServerError(error) => Some(error.clone().into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_password("redis://me:p@ss@host:1/0"), "redis://…@host:1/0");
        assert_eq!(without_password("unix:///tmp/r.sock"), "unix:///tmp/r.sock");
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(version("x:1\r\nredis_version:6.0.16\r\n"), Some(("6.0.16".into(), (6, 0))));
        assert!(version("redis_version:10.1.0").is_some_and(|(_, known)| known > (6, 2)));
    }
}
