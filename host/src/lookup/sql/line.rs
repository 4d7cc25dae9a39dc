//! The connections to one database: as many as its settings allow, each made when it is needed.

use super::{
    query::{Dialect, Limits, Trouble},
    relay::{Broken, Relay},
};
use crate::lookup::Failure;
use sqlx::Connection as _;
use std::{
    io,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A connection that was idle for longer may be none any more.
const IDLE: Duration = Duration::from_secs(1);
/// What an answer may take on its way beside its values: the names of columns, the session's own talk, TLS.
const AROUND: usize = 1 << 20;

/// How connections are made.
pub(super) trait Opening {
    type Dialect: Dialect;

    /// Carries a connection, where there is a server at its other end.
    fn relay(&self) -> Option<io::Result<Relay>>;

    /// Connects, to the socket of this name if there is one.
    fn open(
        &self,
        through: Option<&Path>,
    ) -> impl Future<Output = Result<<Self::Dialect as sqlx::Database>::Connection, sqlx::Error>> + Send;
}

/// See the module.
pub(super) struct Lines<O: Opening> {
    opening: O,
    room: Semaphore,
    /// The one that was used last is used next.
    free: Mutex<Vec<Line<O::Dialect>>>,
}

/// One connection; it is closed when it is dropped.
pub(super) struct Line<D: Dialect> {
    pub(super) connection: D::Connection,
    pub(super) relay: Option<Relay>,
    used: Instant,
}

impl<O: Opening> Lines<O> {
    pub(super) fn new(opening: O, connections: u32) -> Self {
        let room = Semaphore::new(connections.try_into().unwrap_or(Semaphore::MAX_PERMITS));
        Self { opening, room, free: Mutex::default() }
    }

    /// Waits for its turn.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, Trouble> {
        self.room.acquire().await.map_err(|_| Trouble::Away(sqlx::Error::PoolClosed))
    }

    /// A connection that answers; for whoever has a turn.
    pub(super) async fn line(&self, limits: &Limits) -> Result<Line<O::Dialect>, Trouble> {
        while let Some(mut line) = self.idle() {
            if line.used.elapsed() < IDLE {
                return Ok(line);
            }
            let Line { connection, relay, .. } = &mut line;
            if carried(relay.as_mut(), limits, async { connection.ping().await.map_err(Trouble::Away) }).await.is_ok() {
                return Ok(line);
            }
        }
        let mut relay = self.opening.relay().transpose().map_err(|error| Trouble::Away(error.into()))?;
        let through = relay.as_ref().map(|relay| relay.name().to_owned());
        let opened = async { self.opening.open(through.as_deref()).await.map_err(Trouble::Away) };
        let connection = carried(relay.as_mut(), limits, opened).await?;
        Ok(Line { connection, relay, used: Instant::now() })
    }

    fn idle(&self) -> Option<Line<O::Dialect>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps it for the next question.
    pub(super) fn keep(&self, line: Line<O::Dialect>) {
        let line = Line { used: Instant::now(), ..line };
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// Carries what goes between driver and server while `work` is done, and ends it where that is more than it may be.
pub(super) async fn carried<T>(
    relay: Option<&mut Relay>,
    limits: &Limits,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    let Some(relay) = relay else { return work.await };
    // An answer that is cut off row by row never gets as far as this.
    let longest = 2 * limits.bytes + 16 * limits.rows + AROUND;
    tokio::select! {
        biased;
        done = work => done,
        broken = relay.carry(longest) => Err(match broken {
            Broken::Long => Trouble::Cut(too_long(limits)),
            Broken::Away(error) => Trouble::Away(error.into()),
        }),
    }
}

/// What is said of an answer with more bytes than the database's settings allow.
pub(super) fn too_long(limits: &Limits) -> Failure {
    let most = limits.bytes;
    Failure::TooLarge(format!("the answer is longer than the database's `answer_kib` allows, {most} bytes"))
}
