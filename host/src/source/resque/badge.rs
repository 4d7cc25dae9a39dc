//! What the workers of this node are called. In containers many a process has the same number, and where `host` is set, or host
//! names are the same, the same name; so a node that finds its name in use by one that is alive takes the next: `HOST.2`.

use crate::source::{keys::Keys, link::Link, script};
use redis::RedisError;
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Badge {
    host: String,
    /// As the configuration has them, with commas.
    pub(super) queues: String,
    /// This process, among all that share the namespace.
    pub(super) node: String,
    /// The how manyth of its name this is, from 1; 0 while that is not known.
    number: AtomicU32,
}

impl Badge {
    pub(super) fn new(host: String, queues: String, node: String) -> Self {
        Self { host, queues, node, number: AtomicU32::new(0) }
    }

    /// Whether the name is this node's alone.
    pub(super) fn is_claimed(&self) -> bool {
        self.number() > 0
    }

    /// The id of the worker in this place, from 0. It has three parts, as that of a Ruby worker: some programs can read no other.
    pub(super) fn id(&self, slot: u32) -> String {
        format!("{}-{}:{}", self.process(self.number()), slot + 1, self.queues)
    }

    /// What all ids have in common, and the name of the workers of this node among all that share the namespace.
    pub(super) fn group(&self) -> String {
        self.group_of(self.number())
    }

    /// Keeps the name for as long as `lease`, or takes another where it is another node's by now; true when it is a new one.
    pub(super) async fn claim(&self, link: &Link, keys: &Keys, lease: Duration) -> Result<bool, RedisError> {
        let mut redis = link.redis().await?;
        let known = self.number();
        let mut number = known.max(1);
        while !script::hold(&mut redis, &keys.lease(&self.group_of(number)), &self.node, lease).await? {
            number += 1;
        }
        self.number.store(number, Ordering::Relaxed);
        Ok(number != known)
    }

    fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    fn group_of(&self, number: u32) -> String {
        format!("{}:{}", self.process(number), self.queues)
    }

    fn process(&self, number: u32) -> String {
        let (host, pid) = (&self.host, std::process::id());
        match number {
            0 | 1 => format!("{host}:{pid}"),
            _ => format!("{host}.{number}:{pid}"),
        }
    }
}
