//! Reads batches of new entries as a consumer of its own, on a connection of its own.

use super::{
    Member,
    entry::{self, Id, Told},
    group, pending, scripts,
};
use crate::{
    event,
    source::{
        backoff::Backoff,
        lane::{
            Content, Lane,
            register::Register,
            settle,
            take::{BLOCK, Connection, POLL, SHORT_BLOCK, Trouble, connect, outlasted, within},
        },
        script::is_full,
    },
};
use redis::{RedisError, Value};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Reads until it is time to take nothing more.
pub(super) async fn run(member: Member) {
    let shared = &member.shared;
    shared.flow.join();
    let mut backoff = Backoff::new();
    let mut away = false;
    while !shared.shutdown.quiet().is_cancelled() {
        match Taker::open(&member).await {
            Ok(mut taker) => {
                if away {
                    shared.flow.pace.restart();
                }
                taker.run(&mut backoff).await;
            }
            Err(error) => shared.failed(&error).await,
        }
        away = true;
        if !shared.shutdown.quiet().is_cancelled() {
            shared.pause(backoff.next()).await;
        }
    }
    shared.flow.leave();
}

struct Taker<'a> {
    member: &'a Member,
    lane: Arc<Lane>,
    connection: Connection,
    consumer: String,
    /// The last entry that was handed out.
    read_to: Option<Id>,
    /// How many entries to ask for.
    want: usize,
}

impl<'a> Taker<'a> {
    /// A new connection as a new consumer, made known before anything is given to it.
    async fn open(member: &'a Member) -> Result<Self, RedisError> {
        let shared = &member.shared;
        let connection = connect(shared).await?;
        member.group.create(shared).await?;
        let key = shared.new_lane(Content::Pending);
        shared.begin(&key);
        let lane = Lane::new(Arc::clone(shared), key, Content::Pending, Register::fresh(0));
        let consumer = lane.consumer(shared);
        let mut taker = Self { member, lane, connection, consumer, read_to: None, want: 1 };
        taker.register(taker.lane.register().to_string()).await.inspect_err(|_| shared.end(&taker.lane.key))?;
        shared.shutdown.track_until_stop(settle::run(Arc::clone(shared), Arc::clone(&taker.lane)));
        Ok(taker)
    }

    /// Renews the lease and registers the consumer, also when Redis is full; tells whether it was not registered.
    async fn register(&mut self, register: String) -> Result<bool, RedisError> {
        let (shared, lane) = (&self.member.shared, &self.lane);
        let registered = scripts::REGISTER.run(&mut self.connection.redis, |registration| {
            let keys = &shared.keys;
            registration.key(keys.lanes()).key(&*lane.key).key(keys.lease(&shared.node));
            registration.arg(&*register).arg(shared.lease.as_millis() as u64);
        });
        within(registered).await
    }

    /// Reads round after round until the connection or the lane is of no more use.
    async fn run(&mut self, backoff: &mut Backoff) {
        let Member { shared, group } = self.member;
        while !shared.shutdown.quiet().is_cancelled() {
            // Waiting for a turn or for permits loses nothing, and may take long.
            let permits = shared.flow.permits(shared.ticket(), self.want);
            let Some(permits) = shared.shutdown.quiet().run_until_cancelled(permits).await else { break };
            match self.step(permits).await {
                Ok(()) => backoff.reset(),
                Err(Trouble::Refused(error)) => {
                    let healed = group::is_gone(&error) && group.create(shared).await.is_ok();
                    if !healed {
                        shared.failed(&error).await;
                    }
                    shared.pause(backoff.next()).await;
                }
                Err(Trouble::Broken(error)) => {
                    shared.failed(&error).await;
                    let (lane, client) = (Arc::clone(&self.lane), self.connection.id.clone());
                    let rest = pending::recover(self.member.clone(), lane, client, self.read_to);
                    if shared.ordered {
                        // What it has been given goes before what is read next.
                        return rest.await;
                    }
                    shared.shutdown.track_until_stop(rest);
                    return;
                }
                Err(Trouble::Lost) => {
                    // What it may have been given since is found by `reap`, as nobody cares for this consumer any more.
                    event::lane_lost(&shared.source, &self.lane.key, self.lane.lose());
                    return;
                }
            }
        }
        self.lane.close();
    }

    async fn step(&mut self, permits: usize) -> Result<(), Trouble> {
        let shared = &self.member.shared;
        if self.round(permits).await? == 0 && shared.flow.pace.is_set() {
            // Holding neither permits nor tokens, which others can use meanwhile.
            while !self.wait_for_entry().await.map_err(Trouble::Broken)?
                && !shared.shutdown.quiet().is_cancelled()
                && !self.lane.is_lost()
            {}
        }
        Ok(())
    }

    /// Waits until there is an entry that the group was not given; false when there is none yet.
    async fn wait_for_entry(&mut self) -> Result<bool, RedisError> {
        let stream = &*self.member.shared.keys.list;
        let mut link = self.member.shared.link().await?;
        let Some(last) = self.member.group.delivered(stream, &mut link).await? else { return Ok(true) };
        let mut wait = redis::cmd("XREAD");
        wait.arg("COUNT").arg(1).arg("BLOCK").arg(BLOCK * 1_000).arg("STREAMS").arg(stream).arg(last);
        match within(wait.query_async::<Value>(&mut self.connection.redis)).await {
            Err(refused) if !refused.is_io_error() => {
                // What is wrong is told by the next round.
                self.member.shared.pause(POLL).await;
                Ok(true)
            }
            waited => Ok(!matches!(waited?, Value::Nil)),
        }
    }

    /// One round trip: renews the lease, waits for an entry unless there is a pace to keep, takes as many more as are there.
    /// Tells how many were taken.
    async fn round(&mut self, permits: usize) -> Result<usize, Trouble> {
        let _step = self.member.shared.step("taking from");
        let flow = Arc::clone(&self.member.shared.flow);
        if self.connection.leads_astray(&self.member.shared).await {
            flow.unused(permits);
            return Err(Trouble::Broken(outlasted()));
        }
        let sent = Instant::now();
        let replied = self.ask(permits).await;
        // A frozen process may read an old reply long after others have taken its entries over.
        let stale = sent.elapsed() > self.member.shared.lease.mul_f64(0.8) + Duration::from_secs(BLOCK);
        let (registered_anew, reply) = replied.inspect_err(|_| flow.unused(permits)).map_err(Trouble::Broken)?;
        if self.connection.is_outlasted(&self.member.shared, sent).await {
            flow.unused(permits);
            return Err(Trouble::Broken(outlasted()));
        }
        if registered_anew || self.lane.is_lost() || (stale && !self.is_still_ours().await) {
            flow.unused(permits);
            return Err(Trouble::Lost);
        }
        if let Value::ServerError(error) = reply {
            flow.unused(permits);
            let error = RedisError::from(error);
            let lost = self.member.shared.link.connector.is_lost(&error);
            return Err(if lost { Trouble::Broken(error) } else { Trouble::Refused(error) });
        }
        let told = entry::read(reply).inspect_err(|_| flow.unused(permits));
        let taken = self.accept(told.map_err(|error| Trouble::Broken(error.into()))?, permits);
        self.want = flow.next_want(self.want, permits, taken);
        self.member.shared.healthy();
        Ok(taken)
    }

    /// Whether the consumer had to be registered anew, and the answer to the reading.
    async fn ask(&mut self, count: usize) -> Result<(bool, Value), RedisError> {
        let pipe = self.pipeline(count);
        let replies = self.connection.answer(&self.member.shared, &pipe).await?;
        let mut replies = replies.into_iter();
        let registered_anew = match replies.next() {
            Some(Value::ServerError(error)) if is_full(&error.clone().into()) => {
                self.register(self.lane.anew()).await?
            }
            reply => matches!(reply, Some(Value::Int(1))),
        };
        Ok((registered_anew, replies.next().unwrap_or_default()))
    }

    fn pipeline(&self, count: usize) -> redis::Pipeline {
        let Member { shared, group } = self.member;
        let keys = &shared.keys;
        let mut pipe = redis::pipe();
        pipe.ignore_errors();
        let lease = shared.lease.as_millis() as u64;
        pipe.cmd("SET").arg(keys.lease(&shared.node)).arg(1).arg("PX").arg(lease).ignore();
        pipe.cmd("HSETNX").arg(keys.lanes()).arg(&*self.lane.key).arg(self.lane.anew());
        let seconds = if shared.flow.has_room_for_all() { BLOCK as f64 } else { SHORT_BLOCK };
        pipe.cmd("XREADGROUP").arg("GROUP").arg(group.name()).arg(&self.consumer).arg("COUNT").arg(count);
        if !shared.flow.pace.is_set() {
            pipe.arg("BLOCK").arg((seconds * 1000.0) as u64);
        }
        pipe.arg("STREAMS").arg(&*keys.list).arg(">");
        pipe
    }

    /// Whoever takes over removes the register.
    async fn is_still_ours(&mut self) -> bool {
        let mut exists = redis::cmd("HEXISTS");
        exists.arg(self.member.shared.keys.lanes()).arg(&*self.lane.key);
        within(exists.query_async(&mut self.connection.redis)).await.unwrap_or(false)
    }

    /// Hands on what was read, and gives back the permits that were not used.
    fn accept(&mut self, told: Vec<Told>, permits: usize) -> usize {
        let Member { shared, group } = self.member;
        let taken = told.len();
        shared.flow.unused(permits.saturating_sub(taken));
        if let Some(last) = told.last().and_then(|told| Id::parse(&told.id)) {
            self.read_to = Some(last);
            group.reached(last);
            let items = told.into_iter().map(|told| told.item(group)).collect();
            (shared.start)(self.lane.append(items));
        }
        taken
    }
}
