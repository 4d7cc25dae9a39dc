//! Connections to Redis: how they are opened, and what their errors mean.
//!
//! All keys of one source lie in one slot, so whoever works for it talks to one server: the only one, the master the
//! sentinels name, or the one with that slot in a Cluster. Which one that is, is found anew for every connection.

mod address;
mod cluster;
mod dial;
mod facts;
mod files;
mod find;
mod needed;
mod place;
#[cfg(test)]
mod tests;
mod tokens;
mod trouble;

use crate::config::Tls;
use address::{Address, without_password};
use dial::{Listener, Login, Manner};
use facts::Told;
use find::{Finder, Servers};
use place::{Place, SILENCE};
use redis::{
    RedisError, Value,
    aio::{AsyncPushSender, MultiplexedConnection},
};
use std::{
    fmt::{self, Debug},
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use trouble::Trouble;

pub use address::Fault;
pub use files::FileFault;
pub(crate) use files::Files;
pub(crate) use needed::{Needed, is_full};
pub use place::Since;
pub(crate) use tokens::{Leases, Tokens};

/// A Redis that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one.
    #[error("`{url}` is not a Redis address")]
    Address {
        /// Without its password.
        url: String,
        /// What is wrong with it.
        #[source]
        cause: Fault,
    },
    /// A file that TLS needs cannot be used.
    #[error("TLS to `{url}` cannot be set up")]
    Tls {
        /// Without its password.
        url: String,
        /// What is wrong with it.
        #[source]
        cause: FileFault,
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
    /// Something answers, and refuses.
    #[error("the Redis at `{url}` cannot be used: {advice}")]
    Unusable {
        /// Without its password.
        url: String,
        /// What it is, and what to do.
        advice: String,
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

/// What an error of a single command means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The user may not do that.
    Denied,
    /// The command itself is wrong.
    Invalid,
    /// It may succeed later.
    Later,
}

/// How Redis is reached, as the configuration says it.
#[derive(Clone, Default)]
pub struct Access {
    /// `redis://`, `rediss://`, `unix://`, `redis+sentinel://` (or `rediss+`), `redis+cluster://` (or `rediss+`).
    pub url: String,
    /// For the addresses that begin with `rediss`.
    pub tls: Tls,
    /// For sentinels that want one; user and password in the address are for the servers they watch.
    pub sentinel_user: Option<String>,
    /// Belongs to it, or stands alone.
    pub sentinel_password: Option<String>,
}

/// Opens connections to the server that is the right one at the time.
#[derive(Clone, Debug)]
pub struct Connector {
    finder: Arc<Finder>,
    shown: Arc<str>,
    /// What decides which server of a Cluster it is; any master without it.
    slot: Option<u16>,
    /// Shared by all that talk to this server.
    place: Arc<Place>,
}

/// Longer than any wait of ours on the server's side, and than a busy server's hiccups.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(10);

impl Connector {
    /// For the servers at `url`, with nothing but what the address says.
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::with(&Access { url: url.to_owned(), ..Access::default() })
    }

    /// For the servers that `access` leads to. Nothing is connected yet, but the files for TLS are looked at.
    pub fn with(access: &Access) -> Result<Self, Error> {
        let shown = without_password(&access.url);
        let address = Address::parse(&access.url).map_err(|cause| Error::Address { url: shown.clone(), cause })?;
        Files::read(&access.tls).map_err(|cause| Error::Tls { url: shown.clone(), cause })?;
        let (servers, login) = Servers::new(address);
        let sentinel = Login { user: access.sentinel_user.clone(), password: access.sentinel_password.clone(), db: 0 };
        Ok(Self {
            finder: Arc::new(Finder { servers, login, sentinel, tls: access.tls.clone() }),
            shown: shown.into(),
            slot: None,
            place: Arc::default(),
        })
    }

    /// The same for the server that holds `key`, and with it all keys of the same hash tag.
    #[must_use]
    pub fn at(&self, key: &str) -> Self {
        self.at_slot(Some(crate::slot::of(key)))
    }

    /// The same for the server that holds `slot`; for any, if it does not matter which.
    #[must_use]
    pub fn at_slot(&self, slot: Option<u16>) -> Self {
        Self { slot, place: Arc::default(), ..self.clone() }
    }

    /// The address, without its password.
    pub fn url(&self) -> &str {
        &self.shown
    }

    /// A connection for commands that answer at once; it may be cloned and shared.
    pub async fn shared(&self) -> Result<MultiplexedConnection, RedisError> {
        Ok(self.shared_since().await?.0)
    }

    /// The same, and which server it leads to.
    pub(super) async fn shared_since(&self) -> Result<(MultiplexedConnection, Since), RedisError> {
        self.open(Manner { listener: None, connect: CONNECT, answer: Some(ANSWER) }).await
    }

    /// A connection for commands that block on the server's side; the caller watches the time and drops the connection.
    pub(super) async fn blocking(&self) -> Result<(MultiplexedConnection, Since), RedisError> {
        self.open(Manner { listener: None, connect: CONNECT, answer: None }).await
    }

    /// A connection that hands what is published to `listener`, which must not block. It speaks RESP3: commands keep
    /// their answers while messages come, and sharded channels need it.
    pub(super) async fn listening(&self, listener: impl AsyncPushSender) -> Result<MultiplexedConnection, RedisError> {
        let listener = Some(Listener(Arc::new(listener)));
        Ok(self.open(Manner { listener, connect: CONNECT, answer: Some(ANSWER) }).await?.0)
    }

    async fn open(&self, manner: Manner) -> Result<(MultiplexedConnection, Since), RedisError> {
        let (connection, server) = self.finder.find(self.slot, manner).await?;
        Ok((connection, self.place.found(&server)))
    }

    /// Whether a connection still leads to the server that is the right one, as far as is known.
    pub(super) fn is_current(&self, since: Since) -> bool {
        self.place.is_current(since)
    }

    /// A command that was sent at `sent` has been answered. Whether what it says can be relied on: after a silence in which
    /// another server may have taken its place, who knows is asked.
    pub(super) async fn is_answered_by(&self, since: Since, sent: Instant, wait: Duration) -> bool {
        if sent.elapsed() <= wait + SILENCE {
            self.heard();
        }
        self.assure().await;
        self.is_current(since)
    }

    /// Waits for an answer, at most for so long; no longer once another server is known to have taken the place of this one. While
    /// it is silent, that is asked of those who know.
    pub(super) async fn answer<T>(
        &self,
        since: Since,
        most: Duration,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, RedisError> {
        let (mut answer, begun) = (pin!(answer), Instant::now());
        let step = if self.may_have_moved() { SILENCE * 2 } else { most };
        loop {
            if let Ok(answered) = tokio::time::timeout(step, &mut answer).await {
                return answered;
            }
            self.assure().await;
            if !self.is_current(since) || begun.elapsed() >= most {
                return Err(io::Error::from(io::ErrorKind::TimedOut).into());
            }
        }
    }

    /// Makes sure that the right server is known, where it was silent for long; where nobody answers, it is as it was.
    pub(super) async fn assure(&self) {
        if !self.may_have_moved() || !self.place.is_silent(Instant::now()) {
            return;
        }
        if let Some(server) = self.finder.look(self.slot).await {
            let _since = self.place.found(&server);
        }
        self.heard();
    }

    fn heard(&self) {
        if self.may_have_moved() {
            self.place.heard(Instant::now());
        }
    }

    /// Whether a connection that gave `error` is of no more use, and the server is to be found anew.
    /// Otherwise the connection is good, and the same command may succeed later.
    pub fn is_lost(&self, error: &RedisError) -> bool {
        Trouble::of(error).ends_connection()
    }

    /// Whether another server can take the place of the one that a connection leads to.
    fn may_have_moved(&self) -> bool {
        !matches!(self.finder.servers, Servers::Single(_))
    }

    /// Whether servers share the keys between them.
    pub fn is_cluster(&self) -> bool {
        matches!(self.finder.servers, Servers::Cluster(_))
    }

    /// What `error`, of a command that a plugin asked for, means to the plugin.
    pub fn verdict(&self, error: &RedisError) -> Verdict {
        let trouble = Trouble::of(error);
        match trouble {
            Trouble::Forbidden => Verdict::Denied,
            Trouble::WrongType | Trouble::CrossSlot | Trouble::Other => Verdict::Invalid,
            _ => Verdict::Later,
        }
    }

    /// What `error` is, and what an operator can do about it. `source` is what is taken from.
    pub fn advice(&self, error: &RedisError, source: &str) -> String {
        Trouble::of(error).advice(error, &self.finder.servers, source)
    }

    /// Makes sure that a server answers and knows the commands we need, and says what may be lost there.
    /// In a Cluster all masters are asked, but not all have to answer.
    pub async fn check(&self) -> Result<(), Error> {
        let manner = Manner { listener: None, connect: CONNECT, answer: Some(ANSWER) };
        let connections = self.finder.find_all(manner).await.map_err(|cause| self.unusable(cause))?;
        let mut told = Vec::new();
        for mut connection in connections {
            told.push(Told::by(&mut connection).await.map_err(|cause| self.unusable(cause))?);
        }
        if let Some(version) = told.iter().find_map(|told| told.older_than((6, 2))) {
            return Err(Error::TooOld { url: self.shown.to_string(), version: version.to_owned() });
        }
        facts::warn(&told, &self.shown);
        Ok(())
    }

    /// Whether a server answers at all, whatever it says.
    pub async fn answers(&self) -> Result<(), Error> {
        let asked = async { redis::cmd("TIME").exec_async(&mut self.shared().await?).await };
        match asked.await {
            Err(error) if self.is_lost(&error) => Err(self.unusable(error)),
            _ => Ok(()),
        }
    }

    fn unusable(&self, cause: RedisError) -> Error {
        let url = self.shown.to_string();
        match Trouble::of(&cause) {
            Trouble::Connection => Error::Unreachable { url, cause },
            _ => Error::Unusable { url, advice: self.advice(&cause, "the source"), cause },
        }
    }
}

impl Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("url", &without_password(&self.url))
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// The first server error in a pipeline's replies.
pub(super) fn server_error(replies: &[Value]) -> Option<RedisError> {
    replies.iter().find_map(|reply| match reply {
        Value::ServerError(error) => Some(error.clone().into()),
        _ => None,
    })
}
