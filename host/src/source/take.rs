//! Takes batches from a list into a lane, on a connection of its own.

use super::{
    connection::server_error,
    lane::{Content, Lane, Register},
    lease, settle,
    shared::{Backoff, Shared},
};
use crate::event;
use redis::{Pipeline, RedisError, Value, aio::MultiplexedConnection};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long the server waits for a message before it answers that there is none, in seconds.
const BLOCK: u64 = 1;
/// The same where there are fewer permits than takers, which then take turns.
const SHORT_BLOCK: f64 = 0.02;
/// A server that has not answered by then is taken for dead.
const WATCHDOG: Duration = Duration::from_secs(BLOCK + 9);
/// Messages of one round.
const MOST: usize = 128;
/// How long a busy taker waits for permits to gather, so that rounds stay large.
const GATHER: Duration = Duration::from_millis(2);

/// Takes until it is time to take nothing more. Every connection has a lane of its own.
pub(super) async fn run(shared: Arc<Shared>, content: Content) {
    let mut backoff = Backoff::new();
    while !shared.shutdown.quiet().is_cancelled() {
        match connect(&shared).await {
            Ok(connection) => {
                let mut taker = Taker::new(&shared, content, connection);
                match taker.register().await {
                    Ok(()) => taker.run(&mut backoff).await,
                    Err(error) => shared.failed(&error).await,
                }
            }
            Err(error) => shared.failed(&error).await,
        }
        if !shared.shutdown.quiet().is_cancelled() {
            shared.pause(backoff.next()).await;
        }
    }
}

struct Connection {
    redis: MultiplexedConnection,
    id: lease::ClientId,
}

async fn connect(shared: &Shared) -> Result<Connection, RedisError> {
    let mut redis = shared.connector.blocking().await?;
    let name = format!("gristmill:{}:{:x}", shared.node, shared.next_lane());
    let named = redis::pipe().cmd("CLIENT").arg("SETNAME").arg(&name).ignore().cmd("CLIENT").arg("ID").to_owned();
    let (id,): (i64,) = within(named.query_async(&mut redis)).await?;
    Ok(Connection { redis, id: lease::ClientId { id, name } })
}

struct Taker<'a> {
    shared: &'a Arc<Shared>,
    from: String,
    lane: Arc<Lane>,
    connection: Connection,
    /// How many messages to ask for: doubles while rounds come back full.
    want: usize,
}

impl<'a> Taker<'a> {
    fn new(shared: &'a Arc<Shared>, content: Content, connection: Connection) -> Self {
        let (from, letter) = match content {
            Content::Raw => (shared.keys.list.to_string(), 'q'),
            Content::Sealed => (shared.keys.retry(), 'r'),
        };
        let key = shared.keys.lane(&shared.node, &format!("{letter}{:x}", shared.next_lane()));
        let register = Register { revision: 0, head: 0, origin: crate::random::unique(), takeovers: 0 };
        let lane = Lane::new(Arc::clone(shared), key, content, register);
        Self { shared, from, lane, connection, want: 1 }
    }

    /// Makes the lane known before anything is put into it, so that it is found if this node dies.
    async fn register(&mut self) -> Result<(), RedisError> {
        let mut pipe = redis::pipe();
        self.announce(&mut pipe);
        self.shared.begin(&self.lane.key);
        let registered = within(pipe.exec_async(&mut self.connection.redis)).await;
        registered.inspect_err(|_| self.shared.end(&self.lane.key))?;
        self.shared.shutdown.track_until_stop(settle::run(Arc::clone(self.shared), Arc::clone(&self.lane)));
        Ok(())
    }

    /// Takes round after round until the connection or the lane is of no more use.
    async fn run(&mut self, backoff: &mut Backoff) {
        while !self.shared.shutdown.quiet().is_cancelled() {
            let permits = self.permits().await;
            match self.round(permits).await {
                Ok(()) => backoff.reset(),
                Err(Trouble::Refused(error)) => {
                    self.shared.failed(&error).await;
                    self.shared.pause(backoff.next()).await;
                }
                Err(Trouble::Broken(error)) => {
                    self.shared.failed(&error).await;
                    return self.leave(lease::recover(
                        Arc::clone(self.shared),
                        Arc::clone(&self.lane),
                        self.connection.id.clone(),
                    ));
                }
                Err(Trouble::Lost) => {
                    event::lane_lost(&self.shared.source, &self.lane.key, self.lane.lose());
                    return self.leave(lease::abandon(Arc::clone(self.shared), self.lane.key.clone()));
                }
            }
        }
        self.lane.close();
    }

    fn leave(&self, rest: impl Future<Output = ()> + Send + 'static) {
        self.shared.shutdown.track_until_stop(rest);
    }

    /// Permits and room for the next round: at least one, and as many as are wanted and there.
    async fn permits(&self) -> usize {
        let permits = self.free_permits().await;
        loop {
            let room = self.shared.reserve(permits);
            if room > 0 {
                self.shared.permits.add_permits(permits - room);
                return room;
            }
            // Settlers that wait for a slow message need not wait longer; one that is just about to is told again.
            self.shared.crowding.notify_waiters();
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Gives back what a round did not use.
    fn give_back(&self, unused: usize) {
        self.shared.permits.add_permits(unused);
        self.shared.release(unused);
    }

    async fn free_permits(&self) -> usize {
        let permits = &self.shared.permits;
        // The semaphore is never closed.
        let acquire = |count: usize| async move {
            permits.acquire_many(count as u32).await.map(|permit| permit.forget()).is_ok()
        };
        let chunk = self.want.min(self.shared.in_flight / 8).max(1);
        let mut held = chunk;
        if chunk == 1 || tokio::time::timeout(GATHER, acquire(chunk)).await.is_err() {
            held = 1;
            acquire(1).await;
        }
        let more = (self.want.saturating_sub(held)).min(permits.available_permits());
        match permits.try_acquire_many(more as u32) {
            Ok(extra) => {
                extra.forget();
                held + more
            }
            Err(_) => held,
        }
    }

    /// One round trip: renews the lease, waits for a message, takes as many more as are there.
    async fn round(&mut self, permits: usize) -> Result<(), Trouble> {
        let pipe = self.pipeline(permits);
        let sent = Instant::now();
        let replied = within(pipe.query_async::<Vec<Value>>(&mut self.connection.redis)).await;
        // A frozen process may read an old reply long after others have taken its lane over.
        let stale = sent.elapsed() > self.shared.lease.mul_f64(0.8) + Duration::from_secs(BLOCK);
        let replies = replied.inspect_err(|_| self.give_back(permits)).map_err(Trouble::Broken)?;
        let registered_anew = matches!(replies.first(), Some(Value::Int(1)));
        if registered_anew || self.lane.is_lost() || (stale && !self.is_still_ours().await) {
            self.give_back(permits);
            return Err(Trouble::Lost);
        }
        let refused = server_error(&replies);
        let taken = self.accept(replies, permits);
        match refused {
            Some(error) => Err(Trouble::Refused(error)),
            None => {
                self.adapt(taken, permits);
                self.shared.healthy();
                Ok(())
            }
        }
    }

    /// Whoever takes a lane over gives it another name.
    async fn is_still_ours(&mut self) -> bool {
        let mut exists = redis::cmd("HEXISTS");
        exists.arg(self.shared.keys.lanes()).arg(&*self.lane.key);
        within(exists.query_async(&mut self.connection.redis)).await.unwrap_or(false)
    }

    fn pipeline(&self, want: usize) -> Pipeline {
        let mut pipe = redis::pipe();
        pipe.ignore_errors();
        self.announce(&mut pipe);
        let block = if self.shared.in_flight > super::list::TAKERS { BLOCK as f64 } else { SHORT_BLOCK };
        pipe.cmd("BLMOVE").arg(&*self.from).arg(&*self.lane.key).arg("LEFT").arg("RIGHT").arg(block);
        for _ in 1..want {
            pipe.cmd("LMOVE").arg(&*self.from).arg(&*self.lane.key).arg("LEFT").arg("RIGHT");
        }
        pipe
    }

    /// Two commands: registers the lane where it is not (anew, if somebody has taken it), and renews the lease.
    fn announce(&self, pipe: &mut Pipeline) {
        let keys = &self.shared.keys;
        let register = Register { head: self.lane.tail(), ..self.lane.register() };
        pipe.cmd("HSETNX").arg(keys.lanes()).arg(&*self.lane.key).arg(register.to_string());
        let lease = self.shared.lease.as_millis() as u64;
        pipe.cmd("SET").arg(keys.lease(&self.shared.node)).arg(1).arg("PX").arg(lease).ignore();
    }

    /// Hands on what was taken, and gives back the permits that were not used.
    fn accept(&self, replies: Vec<Value>, permits: usize) -> usize {
        let bulk = |reply| match reply {
            Value::BulkString(bytes) => Some(bytes),
            _ => None,
        };
        let items: Vec<Vec<u8>> = replies.into_iter().skip(1).filter_map(bulk).collect();
        let taken = items.len();
        self.give_back(permits.saturating_sub(taken));
        if taken > 0 {
            (self.shared.start)(self.lane.append(items));
        }
        taken
    }

    fn adapt(&mut self, taken: usize, asked: usize) {
        if taken == asked {
            self.want = (self.want * 2).min(MOST).min(self.shared.in_flight);
        } else if taken < self.want / 2 {
            self.want = (self.want / 2).max(1);
        }
    }
}

enum Trouble {
    /// Redis answered with an error; the connection is good.
    Refused(RedisError),
    /// The connection is not.
    Broken(RedisError),
    /// The lane is no longer ours.
    Lost,
}

/// Waits for an answer as long as a living server may need.
async fn within<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    match tokio::time::timeout(WATCHDOG, answer).await {
        Ok(answered) => answered,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}
