//! Takes batches from a list into a lane, on a connection of its own.

use super::{Content, Lane, lease, recover, register::Register, scripts, settle};
use crate::{
    config::End,
    event,
    source::{
        backoff::Backoff,
        connection::{Since, server_error},
        dialect::{Claim, Item},
        queue::{flow::Term, shared::Shared},
        script::is_full,
    },
};
use redis::{Pipeline, RedisError, Value, aio::MultiplexedConnection};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long the server waits for a message before it answers that there is none, in seconds.
pub(in crate::source) const BLOCK: u64 = 1;
/// The same where there are fewer permits than takers, which then take turns.
pub(in crate::source) const SHORT_BLOCK: f64 = 0.02;
/// How often an item is looked for where the server does not let us wait for it.
pub(in crate::source) const POLL: Duration = Duration::from_millis(50);
/// A server that has not answered by then is taken for dead.
pub(super) const WATCHDOG: Duration = Duration::from_secs(BLOCK + 9);
/// After a round of more bytes than that, the next one asks for a single message: the next may be as long.
const LARGE: usize = 4 << 20;

/// Takes until it is time to take nothing more. Every connection has a lane of its own.
pub(in crate::source) async fn run(shared: Arc<Shared>, content: Content) {
    shared.flow.join();
    take(&shared, content).await;
    shared.flow.leave();
}

async fn take(shared: &Arc<Shared>, content: Content) {
    let mut backoff = Backoff::new();
    let mut away = false;
    while !shared.shutdown.quiet().is_cancelled() {
        // Messages of another term are told from these by their lane.
        let opened = shared.shutdown.quiet().run_until_cancelled(shared.flow.opened()).await;
        let Some(term) = opened else { break };
        match connect(shared).await {
            Ok(connection) => {
                if std::mem::replace(&mut away, true) {
                    shared.flow.pace.restart();
                }
                let mut taker = Taker::new(shared, content, connection, term);
                match taker.register().await {
                    Ok(()) => taker.run(&mut backoff).await,
                    Err(error) => shared.failed(&error).await,
                }
            }
            Err(error) => {
                away = true;
                shared.failed(&error).await;
            }
        }
        if !shared.shutdown.quiet().is_cancelled() {
            shared.pause(backoff.next()).await;
        }
    }
}

/// A connection of one taker.
pub(in crate::source) struct Connection {
    pub(in crate::source) redis: MultiplexedConnection,
    pub(in crate::source) id: recover::ClientId,
    since: Since,
}

impl Connection {
    /// An answer to what was sent at `sent` has come. Whether the server may have been replaced before it gave it.
    pub(in crate::source) async fn is_outlasted(&self, shared: &Shared, sent: Instant) -> bool {
        !shared.link.connector.is_answered_by(self.since, sent, Duration::from_secs(BLOCK)).await
    }

    /// Sends commands of which one may wait for an item.
    pub(in crate::source) async fn answer(
        &mut self,
        shared: &Shared,
        commands: &Pipeline,
    ) -> Result<Vec<Value>, RedisError> {
        let answer = commands.query_async(&mut self.redis);
        shared.link.connector.answer(self.since, WATCHDOG, answer).await
    }

    /// Whether another server is known to have taken the place of the one that this leads to, after a silence, too.
    pub(in crate::source) async fn leads_astray(&self, shared: &Shared) -> bool {
        shared.link.connector.assure().await;
        !shared.link.connector.is_current(self.since)
    }
}

pub(in crate::source) async fn connect(shared: &Shared) -> Result<Connection, RedisError> {
    let (mut redis, since) = shared.link.connector.blocking().await?;
    let name = format!("gristmill:{}:{:x}", shared.node, shared.next_lane());
    let named = redis::pipe().cmd("CLIENT").arg("SETNAME").arg(&name).ignore().cmd("CLIENT").arg("ID").to_owned();
    let (id,): (i64,) = within(named.query_async(&mut redis)).await?;
    Ok(Connection { redis, id: recover::ClientId { id, name }, since })
}

struct Taker<'a> {
    shared: &'a Arc<Shared>,
    from: String,
    /// The end of it that is taken from.
    end: &'static str,
    lane: Arc<Lane>,
    connection: Connection,
    /// In which it takes.
    term: Term,
    /// How many messages to ask for.
    want: usize,
}

impl<'a> Taker<'a> {
    fn new(shared: &'a Arc<Shared>, content: Content, connection: Connection, term: Term) -> Self {
        let (from, end) = match content {
            Content::Raw => (shared.keys.list.to_string(), shared.end),
            Content::Sealed | Content::Pending => (shared.keys.retry(), End::Left),
        };
        let end = match end {
            End::Left => "LEFT",
            End::Right => "RIGHT",
        };
        let register = if shared.ordered { Register::of_term(term, shared.next_lane()) } else { Register::fresh(0) };
        let lane = Lane::new(Arc::clone(shared), shared.new_lane(content), content, register);
        Self { shared, from, end, lane, connection, term, want: 1 }
    }

    /// Makes the lane known before anything is put into it, so that it is found if this node dies.
    async fn register(&mut self) -> Result<(), RedisError> {
        self.shared.begin(&self.lane.key);
        let registered = self.take_at_once(0).await;
        registered.inspect_err(|_| self.shared.end(&self.lane.key))?;
        self.shared.shutdown.track_until_stop(settle::run(Arc::clone(self.shared), Arc::clone(&self.lane)));
        Ok(())
    }

    /// Takes round after round until the connection or the lane is of no more use.
    async fn run(&mut self, backoff: &mut Backoff) {
        while !self.shared.shutdown.quiet().is_cancelled() {
            // Waiting for a turn or for permits loses nothing, and may take long.
            let permits = self.shared.flow.permits(self.shared.ticket(), self.want);
            let Some(permits) = self.shared.shutdown.quiet().run_until_cancelled(permits).await else { break };
            if !self.shared.flow.is_term(self.term) {
                self.shared.flow.unused(permits);
                break;
            }
            match self.step(permits).await {
                Ok(()) => backoff.reset(),
                Err(Trouble::Refused(error)) => {
                    // Others need not wait for a queue that cannot be taken from.
                    self.shared.flow.turns.took(self.shared.ticket(), 0, false);
                    self.shared.failed(&error).await;
                    self.shared.pause(backoff.next()).await;
                }
                Err(Trouble::Broken(error)) => {
                    self.shared.flow.turns.took(self.shared.ticket(), 0, false);
                    self.shared.failed(&error).await;
                    let (lane, client) = (Arc::clone(&self.lane), self.connection.id.clone());
                    let rest = recover::recover(Arc::clone(self.shared), lane, client);
                    if self.shared.ordered {
                        // What lies there goes before what is taken next.
                        return rest.await;
                    }
                    return self.leave(rest);
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

    async fn step(&mut self, permits: usize) -> Result<(), Trouble> {
        let taken = self.round(permits).await?;
        if taken == 0 && self.shared.flow.pace.is_set() {
            // Holding neither permits nor tokens, which others can use meanwhile.
            while !self.wait_for_item().await.map_err(Trouble::Broken)? && self.may_wait() {}
        }
        Ok(())
    }

    fn may_wait(&self) -> bool {
        !self.shared.shutdown.quiet().is_cancelled() && self.shared.flow.is_term(self.term) && !self.lane.is_lost()
    }

    /// One round trip: renews the lease, waits for a message unless there is a pace to keep, takes as many more as are there.
    /// Tells how many were taken.
    async fn round(&mut self, permits: usize) -> Result<usize, Trouble> {
        let _step = self.shared.step("taking from");
        if self.connection.leads_astray(self.shared).await {
            self.shared.flow.unused(permits);
            return Err(Trouble::Broken(outlasted()));
        }
        let sent = Instant::now();
        let replied = self.ask(permits).await;
        // A frozen process may read an old reply long after others have taken its lane over.
        let stale = sent.elapsed() > self.shared.lease.mul_f64(0.8) + Duration::from_secs(BLOCK);
        let replies = replied.inspect_err(|_| self.shared.flow.unused(permits)).map_err(Trouble::Broken)?;
        if self.connection.is_outlasted(self.shared, sent).await {
            self.shared.flow.unused(permits);
            return Err(Trouble::Broken(outlasted()));
        }
        if registered_anew(&replies) || self.lane.is_lost() || (stale && !self.is_still_ours().await) {
            self.shared.flow.unused(permits);
            return Err(Trouble::Lost);
        }
        let refused = server_error(&replies);
        let taken = self.accept(replies, permits).await.map_err(Trouble::Broken)?;
        match refused {
            Some(error) if self.shared.link.connector.is_lost(&error) => Err(Trouble::Broken(error)),
            Some(error) => Err(Trouble::Refused(error)),
            None => {
                self.shared.healthy();
                Ok(taken)
            }
        }
    }

    /// The replies of one round: whether the lane was registered anew, then items and errors.
    async fn ask(&mut self, permits: usize) -> Result<Vec<Value>, RedisError> {
        if self.claim().is_some() {
            return self.ask_claiming(permits).await;
        }
        let pipe = self.pipeline(permits);
        let replies: Vec<Value> = self.connection.answer(self.shared, &pipe).await?;
        let full = server_error(&replies).filter(is_full);
        let Some(error) = full.filter(|_| !replies.iter().any(is_item)) else { return Ok(replies) };
        match self.take_at_once(permits).await {
            // With nothing there to take, waiting is up to the caller.
            Ok(taken) if !taken.iter().any(is_item) => Ok(replies),
            Err(broken) if broken.is_io_error() => Err(broken),
            Ok(taken) => Ok(taken),
            Err(_) => Err(error),
        }
    }

    /// The same where a script takes, which cannot wait: any error may hide messages that it has put into the lane.
    async fn ask_claiming(&mut self, permits: usize) -> Result<Vec<Value>, RedisError> {
        let taken = self.take_at_once(permits).await?;
        if taken.iter().any(is_item) || registered_anew(&taken) || self.shared.flow.pace.is_set() {
            return Ok(taken);
        }
        let _there = self.wait_for_item().await?;
        self.take_at_once(permits).await
    }

    /// Waits until there is an item to take, and leaves it where it is. False when there is none yet.
    async fn wait_for_item(&mut self) -> Result<bool, RedisError> {
        let mut wait = redis::cmd("BLMOVE");
        // From one end of a list to the same end of the same list: nothing moves.
        wait.arg(&*self.from).arg(&*self.from).arg(self.end).arg(self.end).arg(self.block());
        match within(wait.query_async::<Value>(&mut self.connection.redis)).await {
            Err(refused) if !refused.is_io_error() => {
                self.shared.pause(POLL).await;
                Ok(true)
            }
            waited => Ok(is_item(&waited?)),
        }
    }

    /// What claims, where taking is not enough.
    fn claim(&self) -> Option<Claim> {
        match self.lane.content {
            Content::Raw => self.shared.dialect.claim(),
            Content::Sealed | Content::Pending => None,
        }
    }

    /// Registers the lane and takes up to `most`, without waiting.
    async fn take_at_once(&mut self, most: usize) -> Result<Vec<Value>, RedisError> {
        let claim = self.claim();
        let (shared, lane) = (self.shared, &self.lane);
        let script = claim.as_ref().map_or(&*scripts::TAKE, |claim| claim.script);
        let taken = script.run(&mut self.connection.redis, |invocation| {
            let keys = &shared.keys;
            invocation.key(keys.lanes()).key(&*lane.key).key(keys.lease(&shared.node)).key(&*self.from);
            for key in claim.iter().flat_map(|claim| &claim.keys) {
                invocation.key(key);
            }
            invocation.arg(next_register(lane)).arg(shared.lease.as_millis() as u64).arg(most).arg(self.end);
        });
        within(taken).await
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
        let waits = !self.shared.flow.pace.is_set();
        if waits {
            pipe.cmd("BLMOVE").arg(&*self.from).arg(&*self.lane.key).arg(self.end).arg("RIGHT").arg(self.block());
        }
        for _ in usize::from(waits)..want {
            pipe.cmd("LMOVE").arg(&*self.from).arg(&*self.lane.key).arg(self.end).arg("RIGHT");
        }
        pipe
    }

    /// How long the server waits, in seconds.
    fn block(&self) -> f64 {
        if self.shared.flow.has_room_for_all() { BLOCK as f64 } else { SHORT_BLOCK }
    }

    /// Two commands: registers the lane where it is not (anew, if somebody has taken it), and renews the lease.
    fn announce(&self, pipe: &mut Pipeline) {
        let keys = &self.shared.keys;
        pipe.cmd("HSETNX").arg(keys.lanes()).arg(&*self.lane.key).arg(next_register(&self.lane));
        let lease = self.shared.lease.as_millis() as u64;
        pipe.cmd("SET").arg(keys.lease(&self.shared.node)).arg(1).arg("PX").arg(lease).ignore();
    }

    /// Hands on what was taken, and gives back the permits that were not used. An error means that what lies in the lane
    /// could not be read whole.
    async fn accept(&mut self, replies: Vec<Value>, permits: usize) -> Result<usize, RedisError> {
        let bulk = |reply| match reply {
            Value::BulkString(bytes) => Some(bytes),
            _ => None,
        };
        let items: Vec<Vec<u8>> = replies.into_iter().skip(1).filter_map(bulk).collect();
        let taken = items.len();
        self.shared.flow.unused(permits.saturating_sub(taken));
        self.adapt(taken, permits);
        if taken == 0 {
            return Ok(0);
        }
        let bytes: usize = items.iter().map(Vec::len).sum();
        if bytes > LARGE {
            self.want = 1;
        }
        let read = self.read(items).await.inspect_err(|_| self.shared.flow.unused(taken))?;
        (self.shared.start)(self.lane.append(read));
        Ok(taken)
    }

    async fn read(&mut self, items: Vec<Vec<u8>>) -> Result<Vec<Item>, RedisError> {
        match self.lane.content {
            Content::Raw => within(self.shared.dialect.read(&mut self.connection.redis, items)).await,
            Content::Sealed | Content::Pending => Ok(items.into_iter().map(Item::from).collect()),
        }
    }

    fn adapt(&mut self, taken: usize, asked: usize) {
        if self.lane.content == Content::Raw {
            self.shared.flow.turns.took(self.shared.ticket(), taken, taken == asked);
        }
        self.want = self.shared.flow.next_want(self.want, asked, taken);
    }
}

/// What registers `lane` where it is not: with everything up to now passed over.
fn next_register(lane: &Lane) -> String {
    Register { head: lane.tail(), done: Default::default(), ..lane.register() }.to_string()
}

fn is_item(reply: &Value) -> bool {
    matches!(reply, Value::BulkString(_))
}

/// Whether the first reply of a round says that somebody had taken the lane.
fn registered_anew(replies: &[Value]) -> bool {
    matches!(replies.first(), Some(Value::Int(1)))
}

/// Why a round came to nothing.
pub(in crate::source) enum Trouble {
    /// Redis answered with an error; the connection is good.
    Refused(RedisError),
    /// The connection is not.
    Broken(RedisError),
    /// The lane is no longer ours.
    Lost,
}

/// A server that was silent for long may have been replaced meanwhile without knowing.
pub(in crate::source) fn outlasted() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// Waits for an answer as long as a living server may need.
pub(in crate::source) async fn within<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    match tokio::time::timeout(WATCHDOG, answer).await {
        Ok(answered) => answered,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}
