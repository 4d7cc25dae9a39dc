//! All channels of this node: who listens to which, what is kept of each, and the one order in which messages are published.
//!
//! One lock is held for about half a microsecond for each message, so that a subscriber of several channels can tell by one
//! number what it has seen of all of them.

mod state;

use super::{
    message::{self, Message, More},
    push_stream::Since,
};
use crate::{config, random};
use bytes::Bytes;
use state::{Bounds, Channel, State};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// KiB of messages that are published and not yet written to everybody who listens, beyond which publishers wait.
const UNDER_WAY: u32 = 64 << 10;
/// Orders beside messages that a shard may have waiting.
const OTHERS: usize = 16;
/// Of a channel's name, in bytes.
pub(super) const LONGEST_NAME: usize = 200;

/// See the module.
#[derive(Debug)]
pub(super) struct Hub {
    epoch: String,
    state: Mutex<State>,
    shards: Vec<mpsc::Sender<Order>>,
    room: Arc<Semaphore>,
}

/// What a shard is told.
#[derive(Debug)]
pub(super) enum Order {
    /// This was published to a channel that it listens to. The permit is free when every shard has written it.
    Deliver(Arc<Message>, Arc<OwnedSemaphorePermit>),
    /// Clients are to go, all within this time.
    Drain(Duration),
    /// Nothing comes any more.
    Stop,
}

/// Where a new subscriber begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// With what comes from now on.
    Now,
    /// Behind what it has seen, which this id names.
    After(String),
    /// With so many messages of each channel that are kept.
    Last(usize),
    /// As clients of push stream say it.
    PushStream(Since),
}

/// A message that is to be published.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) event: Option<Box<str>>,
    /// Text.
    pub(super) data: Bytes,
    pub(super) more: Option<Box<More>>,
}

/// How many there are of everything, of one channel or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Figures {
    pub(super) channels: usize,
    /// Messages since the channel is there.
    pub(super) published: u64,
    /// Messages that are kept.
    pub(super) stored: usize,
    pub(super) subscribers: u64,
}

/// What a new subscriber has to know.
#[derive(Debug)]
pub(super) struct Joined {
    /// Behind this, messages come by themselves.
    pub(super) sequence: u64,
    /// What it has missed, in order.
    pub(super) missed: Vec<Arc<Message>>,
    /// Whether that is all, where it said what it has seen.
    pub(super) recovered: Option<bool>,
}

/// Why nothing can be published or subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// There are as many channels as there may be.
    #[error("there are as many channels as `limits.channels` allows")]
    Full,
    /// No channel has such a name.
    #[error("a channel's name has 1 to {LONGEST_NAME} bytes and no control characters")]
    Name,
    /// Too much is under way.
    #[error("more is published than clients can be sent")]
    Busy,
    /// The node ends.
    #[error("the node ends")]
    Ended,
}

impl Hub {
    /// For so many shards, whose orders come out of what is returned.
    pub(super) fn new(shards: usize, settings: &config::Edge) -> (Self, Vec<mpsc::Receiver<Order>>) {
        let room = UNDER_WAY as usize + OTHERS;
        let (senders, receivers) = (0..shards).map(|_| mpsc::channel(room)).unzip();
        let hub = Self {
            epoch: random::unique(),
            state: Mutex::new(State::new(Bounds::of(settings))),
            shards: senders,
            room: Arc::new(Semaphore::new(UNDER_WAY as usize)),
        };
        (hub, receivers)
    }

    /// What tells places of this node from those of others.
    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// From now on this holds.
    pub(super) fn configure(&self, settings: &config::Edge) {
        self.lock().configure(Bounds::of(settings));
    }

    /// Whether anyone may read the channel.
    pub(super) fn is_open(&self, channel: &str) -> bool {
        self.lock().bounds.of_channel(channel).open
    }

    /// Publishes text to a channel, and returns the message's id. Waits while too much is under way.
    pub(super) async fn publish(&self, channel: &str, event: Option<&str>, data: Bytes) -> Result<String, Refused> {
        self.publish_draft(channel, Draft { event: event.map(Into::into), data, more: None }).await
    }

    /// Publishes as `publish` does.
    pub(super) async fn publish_draft(&self, channel: &str, draft: Draft) -> Result<String, Refused> {
        check_name(channel)?;
        let room = Arc::clone(&self.room).acquire_many_owned(kib(&draft));
        let permit = room.await.map_err(|_| Refused::Ended)?;
        let sequence = self.lock().publish(channel, draft, Arc::new(permit), &self.shards)?;
        Ok(message::id(&self.epoch, sequence))
    }

    /// Publishes now or not at all.
    pub(super) fn try_publish(&self, channel: &str, draft: Draft) -> Result<(), Refused> {
        check_name(channel)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib(&draft));
        let permit = room.map_err(|_| Refused::Busy)?;
        self.lock().publish(channel, draft, Arc::new(permit), &self.shards).map(drop)
    }

    /// Of one channel; nothing where there is none of this name.
    pub(super) fn figures(&self, channel: &str) -> Option<Figures> {
        self.lock().channels.get(channel).map(Channel::figures)
    }

    /// Of all channels together, and of each, by name.
    pub(super) fn all(&self) -> (Figures, Vec<(Arc<str>, Figures)>) {
        let state = self.lock();
        let each = state.channels.iter().map(|(name, channel)| (Arc::clone(name), channel.figures()));
        let mut each: Vec<_> = each.collect();
        let published = state.sequence;
        drop(state);
        each.sort();
        let mut all = Figures { published, channels: each.len(), ..Figures::default() };
        for (_, figures) in &each {
            all.stored += figures.stored;
            all.subscribers += figures.subscribers;
        }
        (all, each)
    }

    /// From now on the shard is told what is published to `channels`, until it leaves each.
    pub(super) fn join(&self, shard: usize, channels: &[Arc<str>], start: &Start) -> Result<Joined, Refused> {
        let after = match start {
            Start::After(id) => message::sequence(&self.epoch, id),
            Start::PushStream(since) => since.id().and_then(|id| message::sequence(&self.epoch, id)),
            Start::Now | Start::Last(_) => None,
        };
        self.lock().join(shard, channels, start, after, self.shards.len())
    }

    /// One subscriber of the shard does not listen any more.
    pub(super) fn leave(&self, shard: usize, channel: &str) {
        self.lock().leave(shard, channel);
    }

    /// Lets go what has become too old; looks at some histories each time.
    pub(super) fn sweep(&self) {
        self.lock().sweep(Instant::now());
    }

    /// Tells every shard.
    pub(super) fn order(&self, order: impl Fn() -> Order) {
        for shard in &self.shards {
            // One that has no room for this has ended, or is about to read that it should.
            drop(shard.try_send(order()));
        }
    }

    /// How many channels there are, and how many bytes all histories hold.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        let state = self.lock();
        (state.channels.len(), state.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much room it takes while it is under way.
fn kib(draft: &Draft) -> u32 {
    u32::try_from(draft.data.len() / 1_024 + 1).unwrap_or(UNDER_WAY).min(UNDER_WAY)
}

/// Names stand in URLs, answers and logs.
pub(super) fn check_name(name: &str) -> Result<(), Refused> {
    let fits = !name.is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(Refused::Name) }
}

#[cfg(test)]
mod tests;
