//! A Redis stream, read through a consumer group: what is in flight is what the group has pending.
//!
//! Every connection is a consumer of its own, `gristmill:<node>:c<n>`, registered in the hash `lanes` as the lanes of lists
//! are: whoever takes over removes the register, and with it the right to settle. Settling is one script: copies first,
//! then `XACK`. Messages that wait for another attempt, and dead letters, lie beside the stream in keys of the group.
//!
//! A message's id is its entry's, its headers are the entry's other fields, and it was received when it was added. Other
//! programs may read through the same group; what they hold is theirs unless `claim` says otherwise.

mod entry;
#[cfg(fuzzing)]
mod fuzz;
pub(super) mod group;
mod pending;
mod prey;
mod scripts;
mod take;
#[cfg(test)]
mod tests;
mod trim;
mod waiting;

use super::{
    Opening,
    dialect::Dialect,
    lane::{Lane, register::Register},
    queue::{
        Queue,
        flow::Flow,
        lead,
        shared::{Shared, Which},
        turns::{Sharing, Turns},
    },
};
use crate::config;
use redis::RedisError;
use std::{collections::HashMap, sync::Arc};

#[cfg(fuzzing)]
pub(super) use fuzz::fuzz;
pub(super) use group::Group;
pub(super) use pending::retire;
pub(super) use waiting::waiting;

/// Connections that read; two overlap client and server.
const TAKERS: usize = 2;

/// A stream that is being read.
#[derive(Debug)]
pub struct Stream {
    queue: Queue,
}

/// This node's part in a group.
#[derive(Clone, Debug)]
struct Member {
    shared: Arc<Shared>,
    group: Arc<Group>,
}

impl Stream {
    /// Starts to read.
    pub(super) fn open(opening: &Opening, stream: &config::Stream) -> Self {
        let group = Arc::new(Group::new(stream, opening.config.retry.attempts));
        let flow = Arc::new(Flow::new(opening, Turns::new(Sharing::Strict)));
        let dialect = Dialect::Stream(Arc::clone(&group));
        let which = Which { list: &stream.name, source: &stream.name, dialect, rank: 0, pushed: config::End::Right };
        let member = Member { shared: Shared::new(opening, &flow, which), group };
        let shutdown = opening.shutdown.clone();
        // Two would hand out in any order.
        let takers = if opening.ordered.is_none() { TAKERS } else { 1 };
        if let Some(ordered) = &opening.ordered {
            flow.shut();
            shutdown.track_until_stop(lead::run(vec![Arc::clone(&member.shared)], ordered.clone()));
        }
        for _ in 0..takers {
            shutdown.track_until_stop(take::run(member.clone()));
        }
        if let Some(idle) = stream.claim {
            shutdown.track_until_stop(prey::claim_idle(member.clone(), idle));
        }
        if stream.done == config::Done::Trim {
            shutdown.track_until_stop(trim::run(member.clone()));
        }
        Self { queue: Queue::tend(member.shared) }
    }

    /// Gives up what is left, once the takers have ended.
    pub async fn close(self) {
        self.queue.close().await;
    }

    /// Leaves everything as a killed process does.
    #[cfg(test)]
    pub(super) async fn forget(self) {
        self.queue.forget().await;
    }
}

/// The lanes of all consumers that are nodes, registered or not.
pub(super) async fn lanes(shared: &Shared, group: &Group) -> Result<Vec<String>, RedisError> {
    let consumers = consumers(shared, group).await?;
    Ok(consumers.into_iter().filter_map(|consumer| group::lane(&shared.keys, &consumer.name)).collect())
}

/// Whether no other node has anything pending.
pub(super) async fn is_clear(shared: &Shared, group: &Group) -> Result<bool, RedisError> {
    let mine = |lane: &String| shared.keys.holder(lane).is_some_and(|(node, _)| node == shared.node);
    let foreign = |consumer: &Consumer| group::lane(&shared.keys, &consumer.name).is_some_and(|lane| !mine(&lane));
    let consumers = consumers(shared, group).await?;
    Ok(!consumers.iter().any(|consumer| consumer.pending > 0 && foreign(consumer)))
}

/// Takes over what the consumer of `lane` has pending, as its node is gone.
pub(super) fn take_over(shared: &Arc<Shared>, group: &Arc<Group>, lane: String) {
    if shared.is_live(&lane) {
        // Somebody here is at it since an earlier look.
        return;
    }
    shared.begin(&lane);
    let member = Member { shared: Arc::clone(shared), group: Arc::clone(group) };
    shared.resumes();
    shared.shutdown.track_until_stop(async move {
        let shared = Arc::clone(&member.shared);
        prey::take_over(member, lane.clone()).await;
        shared.resumed();
        shared.end(&lane);
    });
}

/// A consumer as the group lists it.
struct Consumer {
    name: String,
    pending: usize,
}

async fn consumers(shared: &Shared, group: &Group) -> Result<Vec<Consumer>, RedisError> {
    let mut link = shared.link().await?;
    let mut info = redis::cmd("XINFO");
    info.arg("CONSUMERS").arg(&*shared.keys.list).arg(group.name());
    let told: Vec<HashMap<String, redis::Value>> = match info.query_async(&mut link).await {
        Err(error) if group::is_gone(&error) => return Ok(Vec::new()),
        told => told?,
    };
    let consumer = |mut told: HashMap<String, redis::Value>| {
        let mut tell = |field| told.remove(field).unwrap_or_default();
        let (name, pending) = (redis::from_redis_value(tell("name"))?, redis::from_redis_value(tell("pending"))?);
        Ok(Consumer { name, pending })
    };
    told.into_iter().map(consumer).collect()
}

impl Lane {
    /// The name of the consumer whose entries these are.
    fn consumer(&self, shared: &Shared) -> String {
        group::consumer(&shared.keys, &self.key).unwrap_or_default()
    }

    /// What registers it where it had been and somebody has taken it over: nothing of before can be settled under that.
    fn anew(&self) -> String {
        let register = self.register();
        Register { head: register.head + 1, ..register }.to_string()
    }
}
