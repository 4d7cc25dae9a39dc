//! What a source is opened with.

use super::{Connector, Delivery};
use crate::{config, message::Message, pulse::Pulse, shutdown::Shutdown};
use std::{sync::Arc, time::Duration};

/// What is done with a batch of deliveries; it must not block.
pub type Start = Arc<dyn Fn(Vec<Delivery>) + Send + Sync>;

/// What a source is opened with.
#[derive(Clone)]
pub struct Opening {
    /// The name of the pipeline.
    pub pipeline: String,
    /// Its table in the configuration.
    pub config: config::Pipeline,
    /// This process: letters, digits and `-`.
    pub node: String,
    /// How long it may be silent before others take over what it holds.
    pub lease: Duration,
    /// Where Redis is.
    pub connector: Connector,
    /// When to end.
    pub shutdown: Shutdown,
    /// Who is told of each step with Redis, which must end.
    pub pulse: Pulse,
    /// What to do with what is taken.
    pub start: Start,
    /// Where the order matters: whom to tell what else waits.
    pub ordered: Option<Ordered>,
}

/// What somebody who keeps an order must know beside what is taken.
#[derive(Clone)]
pub struct Ordered {
    /// Nothing that was known counts any more.
    pub lost: Arc<dyn Fn() + Send + Sync>,
    /// These wait for another attempt, in the order in which they will come; before anything is taken.
    pub waiting: Arc<dyn Fn(Vec<Waiting>) + Send + Sync>,
    /// These were to be tried again, and will not be.
    pub gone: Arc<dyn Fn(Vec<Message>) + Send + Sync>,
}

/// A message that will come again.
#[derive(Debug)]
pub struct Waiting {
    /// As it will be, but for its attempt.
    pub message: Message,
    /// Where it stood when it was taken first, `origin-number`: origins are in their order, as are the numbers of each.
    pub place: String,
    /// By the clock of Redis.
    pub due_in: Duration,
}
