//! Finding the server to talk to: anew for every connection, because the one before may have been replaced.

use super::{
    address::Address,
    cluster::{View, beside},
    dial::{self, Login, Manner},
    trouble::Trouble,
};
use crate::config::Tls;
use redis::{ConnectionAddr, RedisError, aio::MultiplexedConnection};
use std::{
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Servers, who knows of them, and how they let us in.
#[derive(Debug)]
pub(super) struct Finder {
    pub(super) servers: Servers,
    pub(super) login: Login,
    /// To sentinels; what the address says is for the servers they watch.
    pub(super) sentinel: Login,
    pub(super) tls: Tls,
}

/// How servers are arranged.
#[derive(Debug)]
pub(super) enum Servers {
    /// It is always the same.
    Single(ConnectionAddr),
    /// One at a time.
    Sentinel(Guides, String),
    /// One for each slot.
    Cluster(Guides),
}

/// Servers that know where others are. Who has answered last is asked first.
#[derive(Debug)]
pub(super) struct Guides {
    configured: Vec<ConnectionAddr>,
    order: Mutex<Vec<ConnectionAddr>>,
}

/// Why there was no server to talk to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Astray {
    #[error("it is a replica")]
    Replica,
    #[error("no server of the cluster holds slot {0}")]
    Unassigned(u16),
    #[error("the cluster is down, says `{0}`")]
    ClusterDown(String),
    #[error("the sentinel watches no master `{0}`")]
    UnknownMaster(String),
    #[error("{}", list(.0))]
    Nowhere(Vec<(ConnectionAddr, RedisError)>),
}

/// A guide that has not answered by then is passed over.
const GUIDE: Manner = Manner { listener: None, connect: Duration::from_secs(2), answer: Some(Duration::from_secs(2)) };

/// A server that has needed longer to let us in may have been replaced meanwhile.
const PROMPT: Duration = Duration::from_millis(500);

impl Servers {
    pub(super) fn new(address: Address) -> (Self, Login) {
        match address {
            Address::Single(server, login) => (Self::Single(server), login),
            Address::Sentinel { sentinels, master, login } => (Self::Sentinel(Guides::new(sentinels), master), login),
            Address::Cluster { seeds, login } => (Self::Cluster(Guides::new(seeds)), login),
        }
    }
}

impl Finder {
    /// A connection to the master of `slot`, and which that is; to any master, if it does not matter which.
    pub(super) async fn find(
        &self,
        slot: Option<u16>,
        manner: Manner,
    ) -> Result<(MultiplexedConnection, ConnectionAddr), RedisError> {
        let guides = match &self.servers {
            Servers::Single(server) => return Ok((self.open(server, manner).await?, server.clone())),
            Servers::Sentinel(guides, _) | Servers::Cluster(guides) => guides,
        };
        let mut failed: Vec<(ConnectionAddr, RedisError)> = Vec::new();
        for guide in guides.all() {
            let master = match self.ask(guides, &guide, slot).await {
                Ok(master) => master,
                Err(error) => {
                    failed.push((guide, error));
                    continue;
                }
            };
            if failed.iter().any(|(server, _)| *server == master && master != guide) {
                continue;
            }
            let begun = Instant::now();
            match self.open_master(&master, manner.clone()).await {
                Ok(connection) if begun.elapsed() < PROMPT => return Ok((connection, master)),
                // One that was frozen for a while takes itself for the master still.
                Ok(connection) if self.ask(guides, &guide, slot).await.is_ok_and(|now| now == master) => {
                    return Ok((connection, master));
                }
                Ok(_) => failed.push((master, timed_out())),
                Err(error) => failed.push((master, error)),
            }
        }
        Err(Astray::Nowhere(failed).into())
    }

    /// Where the master is, as the first of those says that answers; nothing where none does, or there is no other.
    pub(super) async fn look(&self, slot: Option<u16>) -> Option<ConnectionAddr> {
        let (Servers::Sentinel(guides, _) | Servers::Cluster(guides)) = &self.servers else { return None };
        for guide in guides.all() {
            if let Ok(master) = self.ask(guides, &guide, slot).await {
                return Some(master);
            }
        }
        None
    }

    /// Connections to all masters that can be reached; at least one.
    pub(super) async fn find_all(&self, manner: Manner) -> Result<Vec<MultiplexedConnection>, RedisError> {
        let mut found = vec![self.find(None, manner.clone()).await?.0];
        let Servers::Cluster(guides) = &self.servers else { return Ok(found) };
        let Some(guide) = guides.all().into_iter().next() else { return Ok(found) };
        for master in self.view(guides, &guide).await?.masters().iter().skip(1) {
            found.extend(self.open_master(master, manner.clone()).await);
        }
        Ok(found)
    }

    async fn open(&self, server: &ConnectionAddr, manner: Manner) -> Result<MultiplexedConnection, RedisError> {
        dial::open(server, &self.login, &self.tls, manner).await
    }

    /// What a guide says may be old news, so the server is asked itself.
    async fn open_master(&self, server: &ConnectionAddr, manner: Manner) -> Result<MultiplexedConnection, RedisError> {
        let connect = manner.connect;
        let mut connection = self.open(server, manner).await?;
        let command = redis::cmd("ROLE");
        let asked = command.query_async::<Vec<redis::Value>>(&mut connection);
        let role = tokio::time::timeout(connect, asked).await.unwrap_or_else(|_| Err(timed_out()));
        match role {
            Ok(role) => match role.first() {
                Some(redis::Value::BulkString(role)) if role != b"master" => Err(Astray::Replica.into()),
                _ => Ok(connection),
            },
            Err(error) if Trouble::of(&error) == Trouble::Forbidden => Ok(connection),
            Err(error) => Err(error),
        }
    }

    /// Where the master is, as `guide` knows it.
    async fn ask(
        &self,
        guides: &Guides,
        guide: &ConnectionAddr,
        slot: Option<u16>,
    ) -> Result<ConnectionAddr, RedisError> {
        match &self.servers {
            Servers::Sentinel(_, master) => {
                let mut connection = dial::open(guide, &self.sentinel, &self.tls, GUIDE).await?;
                let mut asked = redis::cmd("SENTINEL");
                asked.arg("get-master-addr-by-name").arg(master);
                let told: Option<(String, u16)> = asked.query_async(&mut connection).await?;
                let (host, port) = told.ok_or_else(|| Astray::UnknownMaster(master.clone()))?;
                guides.answered(guide, []);
                Ok(beside(guide, &host, port))
            }
            _ => Ok(self.view(guides, guide).await?.master(slot)?),
        }
    }

    async fn view(&self, guides: &Guides, guide: &ConnectionAddr) -> Result<View, RedisError> {
        let mut connection = self.open(guide, GUIDE).await?;
        let view = View::ask(guide, &mut connection).await?;
        guides.answered(guide, view.nodes());
        Ok(view)
    }
}

impl Guides {
    fn new(configured: Vec<ConnectionAddr>) -> Self {
        Self { order: Mutex::new(configured.clone()), configured }
    }

    fn all(&self) -> Vec<ConnectionAddr> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `guide` has answered, and named others that could be asked.
    fn answered(&self, guide: &ConnectionAddr, others: impl IntoIterator<Item = ConnectionAddr>) {
        let mut order = vec![guide.clone()];
        for server in others.into_iter().chain(self.configured.iter().cloned()) {
            if !order.contains(&server) {
                order.push(server);
            }
        }
        *self.order.lock().unwrap_or_else(PoisonError::into_inner) = order;
    }
}

impl From<Astray> for RedisError {
    fn from(astray: Astray) -> Self {
        io::Error::other(astray).into()
    }
}

fn timed_out() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

fn list(failed: &[(ConnectionAddr, RedisError)]) -> String {
    let each: Vec<String> = failed.iter().map(|(server, error)| format!("`{server}`: {error}")).collect();
    each.join("; ")
}
