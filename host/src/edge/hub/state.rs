//! What is known of all channels, in the hands of whoever holds the hub's lock.

use super::{Draft, Figures, Joined, Order, Refused, Start, check_name};
use crate::{
    calendar,
    command::Pattern,
    config::{self, HistoryBounds},
    edge::{
        history::History,
        message::{Message, Stamp},
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Histories whose age one sweep looks at.
const SWEPT: usize = 1_000;

#[derive(Debug)]
pub(super) struct State {
    /// Of the message published last.
    pub(super) sequence: u64,
    /// When that was, and how many there have been in that second.
    second: u64,
    tag: u32,
    pub(super) channels: HashMap<Arc<str>, Channel>,
    /// Which channel has the message with this sequence as its oldest.
    oldest: BTreeMap<u64, Arc<str>>,
    /// What all histories hold.
    pub(super) bytes: usize,
    /// The sequence up to which messages may be missing from channels that are not here.
    forgotten: u64,
    /// Where the next sweep begins.
    sweep: u64,
    pub(super) bounds: Bounds,
}

#[derive(Debug)]
pub(super) struct Bounds {
    channels: usize,
    bytes: usize,
    usual: config::Channel,
    by_pattern: Vec<(Pattern, config::Channel)>,
}

#[derive(Debug)]
pub(super) struct Channel {
    /// Messages that were published to it.
    published: u64,
    history: History,
    bounds: HistoryBounds,
    /// Subscribers on each shard.
    listeners: Vec<u32>,
}

impl Channel {
    pub(super) fn figures(&self) -> Figures {
        let subscribers = self.listeners.iter().map(|&listeners| u64::from(listeners)).sum();
        Figures { channels: 1, published: self.published, stored: self.history.len(), subscribers }
    }
}

impl Bounds {
    pub(super) fn of(settings: &config::Edge) -> Self {
        let mut by_pattern = settings.channels.clone();
        by_pattern.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.as_str().len()));
        Self {
            channels: settings.limits.channels,
            bytes: settings.limits.history_bytes,
            usual: config::Channel::default(),
            by_pattern,
        }
    }

    pub(super) fn of_channel(&self, name: &str) -> &config::Channel {
        let found = self.by_pattern.iter().find(|(pattern, _)| pattern.matches(name.as_bytes()));
        found.map_or(&self.usual, |(_, channel)| channel)
    }
}

impl State {
    /// Without any channel.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            sequence: 0,
            second: 0,
            tag: 0,
            channels: HashMap::new(),
            oldest: BTreeMap::new(),
            bytes: 0,
            forgotten: 0,
            sweep: 0,
            bounds,
        }
    }

    pub(super) fn configure(&mut self, bounds: Bounds) {
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

    pub(super) fn publish(
        &mut self,
        name: &str,
        draft: Draft,
        permit: Arc<OwnedSemaphorePermit>,
        shards: &[mpsc::Sender<Order>],
    ) -> Result<u64, Refused> {
        let name = self.channel(name, shards.len())?;
        let at = Instant::now();
        self.sequence += 1;
        let sequence = self.sequence;
        let stamp = self.stamp(&name);
        let Draft { event, data, more } = draft;
        let message = Arc::new(Message { sequence, channel: Arc::clone(&name), event, data, at, stamp, more });
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

    /// The next message of the channel is published. Its second is never before that of the last one, whatever the clock does.
    fn stamp(&mut self, name: &Arc<str>) -> Stamp {
        let now = calendar::now().as_secs();
        if now > self.second {
            (self.second, self.tag) = (now, 0);
        }
        self.tag = self.tag.saturating_add(1);
        let number = self.channels.get_mut(name).map_or(1, |channel| {
            channel.published += 1;
            channel.published
        });
        Stamp { second: self.second, tag: self.tag, number }
    }

    pub(super) fn join(
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
        for (place, name) in names.iter().enumerate() {
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
                    Start::PushStream(since) => match (since.back(place), after) {
                        (Some(back), _) => missed.extend(channel.history.last(back).cloned()),
                        (None, Some(after)) => missed.extend(channel.history.after(after).cloned()),
                        (None, None) => missed.extend(channel.history.behind(since).cloned()),
                    },
                }
            });
        }
        missed.sort_by_key(|message| message.sequence);
        let recovered = matches!(start, Start::After(_)).then_some(whole);
        Ok(Joined { sequence: self.sequence, missed, recovered })
    }

    pub(super) fn leave(&mut self, shard: usize, channel: &str) {
        if let Some(channel) = self.channels.get_mut(channel)
            && let Some(listeners) = channel.listeners.get_mut(shard)
        {
            *listeners = listeners.saturating_sub(1);
        }
        self.forget_if_idle(channel);
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
        let channel =
            Channel { published: 0, history: History::since(self.forgotten), bounds, listeners: vec![0; shards] };
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

    pub(super) fn sweep(&mut self, now: Instant) {
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
