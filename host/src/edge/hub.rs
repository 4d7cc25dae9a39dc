//! All channels of this node: who listens to which, what is kept of each, and the one order in which messages are published.
//!
//! One lock is held for about half a microsecond for each message, so that a subscriber of several channels can tell by one
//! number what it has seen of all of them.

use super::{
    history::History,
    message::{self, Message},
};
use crate::{
    command::Pattern,
    config::{self, HistoryBounds},
    random,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap},
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
/// Histories whose age one sweep looks at.
const SWEPT: usize = 1_000;

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

#[derive(Debug)]
struct State {
    /// Of the message published last.
    sequence: u64,
    channels: HashMap<Arc<str>, Channel>,
    /// Which channel has the message with this sequence as its oldest.
    oldest: BTreeMap<u64, Arc<str>>,
    /// What all histories hold.
    bytes: usize,
    /// The sequence up to which messages may be missing from channels that are not here.
    forgotten: u64,
    /// Where the next sweep begins.
    sweep: u64,
    bounds: Bounds,
}

#[derive(Debug)]
struct Bounds {
    channels: usize,
    bytes: usize,
    usual: config::Channel,
    by_pattern: Vec<(Pattern, config::Channel)>,
}

#[derive(Debug)]
struct Channel {
    history: History,
    bounds: HistoryBounds,
    /// Subscribers on each shard.
    listeners: Vec<u32>,
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
    /// The node ends.
    #[error("the node ends")]
    Ended,
}

impl Hub {
    /// For so many shards, whose orders come out of what is returned.
    pub(super) fn new(shards: usize, settings: &config::Edge) -> (Self, Vec<mpsc::Receiver<Order>>) {
        let room = UNDER_WAY as usize + OTHERS;
        let (senders, receivers) = (0..shards).map(|_| mpsc::channel(room)).unzip();
        let state = State {
            sequence: 0,
            channels: HashMap::new(),
            oldest: BTreeMap::new(),
            bytes: 0,
            forgotten: 0,
            sweep: 0,
            bounds: Bounds::of(settings),
        };
        let hub = Self {
            epoch: random::unique(),
            state: Mutex::new(state),
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
        check_name(channel)?;
        let kib = u32::try_from(data.len() / 1_024 + 1).unwrap_or(UNDER_WAY).min(UNDER_WAY);
        let permit = Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| Refused::Ended)?;
        let sequence = self.lock().publish(channel, event, data, Arc::new(permit), &self.shards)?;
        Ok(message::id(&self.epoch, sequence))
    }

    /// From now on the shard is told what is published to `channels`, until it leaves each.
    pub(super) fn join(&self, shard: usize, channels: &[Arc<str>], start: &Start) -> Result<Joined, Refused> {
        let after = match start {
            Start::After(id) => message::sequence(&self.epoch, id),
            Start::Now | Start::Last(_) => None,
        };
        self.lock().join(shard, channels, start, after, self.shards.len())
    }

    /// One subscriber of the shard does not listen any more.
    pub(super) fn leave(&self, shard: usize, channel: &str) {
        let mut state = self.lock();
        if let Some(channel) = state.channels.get_mut(channel)
            && let Some(listeners) = channel.listeners.get_mut(shard)
        {
            *listeners = listeners.saturating_sub(1);
        }
        state.forget_if_idle(channel);
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

/// Names stand in URLs, answers and logs.
pub(super) fn check_name(name: &str) -> Result<(), Refused> {
    let fits = !name.is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(Refused::Name) }
}

impl Bounds {
    fn of(settings: &config::Edge) -> Self {
        let mut by_pattern = settings.channels.clone();
        by_pattern.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.as_str().len()));
        Self {
            channels: settings.limits.channels,
            bytes: settings.limits.history_bytes,
            usual: config::Channel::default(),
            by_pattern,
        }
    }

    fn of_channel(&self, name: &str) -> &config::Channel {
        let found = self.by_pattern.iter().find(|(pattern, _)| pattern.matches(name.as_bytes()));
        found.map_or(&self.usual, |(_, channel)| channel)
    }
}

impl State {
    fn configure(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        let now = Instant::now();
        for name in self.channels.keys().cloned().collect::<Vec<_>>() {
            let bounds = self.bounds.of_channel(&name).history;
            self.change(&name, |channel| {
                channel.bounds = bounds;
                channel.history.shrink(&bounds, now);
            });
        }
        self.shrink();
    }

    fn publish(
        &mut self,
        name: &str,
        event: Option<&str>,
        data: Bytes,
        permit: Arc<OwnedSemaphorePermit>,
        shards: &[mpsc::Sender<Order>],
    ) -> Result<u64, Refused> {
        let name = self.channel(name, shards.len())?;
        let at = Instant::now();
        self.sequence += 1;
        let sequence = self.sequence;
        let message =
            Arc::new(Message { sequence, channel: Arc::clone(&name), event: event.map(Into::into), data, at });
        if let Some(channel) = self.channels.get(&name) {
            for (_, shard) in channel.listeners.iter().zip(shards).filter(|(listeners, _)| **listeners > 0) {
                // There is room: permits are fewer. Only a shard that has ended does not take it.
                drop(shard.try_send(Order::Deliver(Arc::clone(&message), Arc::clone(&permit))));
            }
        }
        self.change(&name, |channel| {
            let bounds = channel.bounds;
            channel.history.push(&message, &bounds, at);
        });
        self.shrink();
        self.forget_if_idle(&name);
        Ok(sequence)
    }

    fn join(
        &mut self,
        shard: usize,
        names: &[Arc<str>],
        start: &Start,
        after: Option<u64>,
        shards: usize,
    ) -> Result<Joined, Refused> {
        let now = Instant::now();
        let fresh = names.iter().filter(|name| !self.channels.contains_key(*name)).count();
        if self.channels.len() + fresh > self.bounds.channels {
            return Err(Refused::Full);
        }
        let (mut missed, mut whole) = (Vec::new(), true);
        for name in names {
            let name = self.channel(name, shards)?;
            self.change(&name, |channel| {
                let bounds = channel.bounds;
                channel.history.shrink(&bounds, now);
                if let Some(listeners) = channel.listeners.get_mut(shard) {
                    *listeners += 1;
                }
                match start {
                    Start::Now => {}
                    Start::After(_) => {
                        whole &= after.is_some_and(|after| channel.history.is_whole_since(after));
                        missed.extend(channel.history.after(after.unwrap_or(0)).cloned());
                    }
                    Start::Last(count) => missed.extend(channel.history.last(*count).cloned()),
                }
            });
        }
        missed.sort_by_key(|message| message.sequence);
        let recovered = matches!(start, Start::After(_)).then_some(whole);
        Ok(Joined { sequence: self.sequence, missed, recovered })
    }

    /// The channel is there from now on.
    fn channel(&mut self, name: &str, shards: usize) -> Result<Arc<str>, Refused> {
        if let Some((name, _)) = self.channels.get_key_value(name) {
            return Ok(Arc::clone(name));
        }
        check_name(name)?;
        if self.channels.len() >= self.bounds.channels {
            return Err(Refused::Full);
        }
        let bounds = self.bounds.of_channel(name).history;
        let channel = Channel { history: History::since(self.forgotten), bounds, listeners: vec![0; shards] };
        let name: Arc<str> = name.into();
        self.channels.insert(Arc::clone(&name), channel);
        Ok(name)
    }

    /// Changes a channel, and with it what is known of all histories together.
    fn change(&mut self, name: &Arc<str>, change: impl FnOnce(&mut Channel)) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        let before = (channel.history.oldest(), channel.history.bytes());
        change(channel);
        let after = (channel.history.oldest(), channel.history.bytes());
        self.bytes = self.bytes + after.1 - before.1;
        if before.0 != after.0 {
            if let Some(oldest) = before.0 {
                self.oldest.remove(&oldest);
            }
            if let Some(oldest) = after.0 {
                self.oldest.insert(oldest, Arc::clone(name));
            }
        }
    }

    /// Lets go the oldest of all while histories together hold too much.
    fn shrink(&mut self) {
        while self.bytes > self.bounds.bytes {
            let Some(name) = self.oldest.values().next().cloned() else { return };
            self.change(&name, |channel| channel.history.forget_oldest());
            self.forget_if_idle(&name);
        }
    }

    fn sweep(&mut self, now: Instant) {
        let behind = self.oldest.range(self.sweep + 1..).take(SWEPT);
        let names: Vec<(u64, Arc<str>)> = behind.map(|(sequence, name)| (*sequence, Arc::clone(name))).collect();
        self.sweep = if names.len() < SWEPT { 0 } else { names.last().map_or(0, |(sequence, _)| *sequence) };
        for (_, name) in names {
            self.change(&name, |channel| {
                let bounds = channel.bounds;
                channel.history.shrink(&bounds, now);
            });
            self.forget_if_idle(&name);
        }
    }

    /// A channel that nobody listens to and of which nothing is kept needs no place.
    fn forget_if_idle(&mut self, name: &str) {
        let idle = |channel: &Channel| {
            channel.history.oldest().is_none() && channel.listeners.iter().all(|listeners| *listeners == 0)
        };
        if self.channels.get(name).is_some_and(idle)
            && let Some(channel) = self.channels.remove(name)
        {
            self.forgotten = self.forgotten.max(channel.history.lost());
        }
    }
}

#[cfg(test)]
mod tests;
