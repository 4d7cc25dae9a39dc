//! What is kept of one channel: bounded by count, bytes and age, and honest about what is missing.

use super::{
    message::Message,
    push_stream::{Begins, Since},
};
use crate::config::HistoryBounds;
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// See the module; oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    /// The sequence up to which messages may be missing.
    lost: u64,
}

impl History {
    /// Of a channel of which messages up to `lost` may have been known once.
    pub(super) fn since(lost: u64) -> Self {
        Self { lost, ..Self::default() }
    }

    /// What it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The sequence of the oldest message.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.messages.front().map(|message| message.sequence)
    }

    /// The sequence up to which messages may be missing.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Keeps `message`, the newest, and lets go what is beyond `bounds`.
    pub(super) fn push(&mut self, message: &Arc<Message>, bounds: &HistoryBounds, now: Instant) {
        self.bytes += message.weight();
        self.messages.push_back(Arc::clone(message));
        self.shrink(bounds, now);
    }

    /// Lets go what is beyond `bounds`.
    pub(super) fn shrink(&mut self, bounds: &HistoryBounds, now: Instant) {
        let beyond = |history: &Self, oldest: &Message| {
            history.messages.len() > bounds.messages
                || history.bytes > bounds.bytes
                || now.saturating_duration_since(oldest.at) > bounds.age
        };
        while self.messages.front().is_some_and(|oldest| beyond(self, oldest)) {
            self.forget_oldest();
        }
    }

    /// Lets the oldest message go.
    pub(super) fn forget_oldest(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            self.bytes -= message.weight();
            self.lost = message.sequence;
        }
    }

    /// Everything behind the sequence `after`.
    pub(super) fn after(&self, after: u64) -> impl Iterator<Item = &Arc<Message>> {
        let first = self.messages.partition_point(|message| message.sequence <= after);
        self.messages.range(first..)
    }

    /// How many messages it holds.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// What comes behind the place that `since` names, if that can be told.
    pub(super) fn behind(&self, since: &Since) -> impl Iterator<Item = &Arc<Message>> {
        let begins = |(place, message): (usize, &Arc<Message>)| match since.begins(message)? {
            Begins::With => Some(place),
            Begins::Behind => Some(place + 1),
        };
        let first = self.messages.iter().enumerate().find_map(begins).unwrap_or(self.messages.len());
        self.messages.range(first..)
    }

    /// The last `count` messages.
    pub(super) fn last(&self, count: usize) -> impl Iterator<Item = &Arc<Message>> {
        self.messages.range(self.messages.len().saturating_sub(count)..)
    }

    /// Whether everything behind `after` is here.
    pub(super) fn is_whole_since(&self, after: u64) -> bool {
        after >= self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::message::Stamp;
    use bytes::Bytes;
    use std::time::Duration;

    const WIDE: HistoryBounds = HistoryBounds { messages: 100, bytes: 1 << 20, age: Duration::from_secs(60) };

    fn message(sequence: u64, at: Instant) -> Arc<Message> {
        let data = Bytes::from_static(b"0123456789");
        Arc::new(Message { sequence, channel: "c".into(), event: None, data, at, stamp: Stamp::default(), more: None })
    }

    fn sequences<'a>(messages: impl Iterator<Item = &'a Arc<Message>>) -> Vec<u64> {
        messages.map(|message| message.sequence).collect()
    }

    fn of(bounds: &HistoryBounds, count: u64) -> History {
        let now = Instant::now();
        let mut history = History::default();
        (1..=count).for_each(|sequence| history.push(&message(sequence * 10, now), bounds, now));
        history
    }

    #[test]
    fn what_comes_behind_a_place_is_told_and_whether_it_is_all() {
        let history = of(&HistoryBounds { messages: 3, ..WIDE }, 5);
        assert_eq!(sequences(history.after(0)), [30, 40, 50]);
        assert_eq!(sequences(history.after(35)), [40, 50]);
        assert_eq!(sequences(history.after(50)), [0; 0]);
        assert_eq!(sequences(history.last(2)), [40, 50]);
        assert_eq!(sequences(history.last(9)), [30, 40, 50]);
        assert!(!history.is_whole_since(19) && history.is_whole_since(20) && history.is_whole_since(99));
    }

    #[test]
    fn bytes_bound_it_too() {
        let weight = message(1, Instant::now()).weight();
        let history = of(&HistoryBounds { bytes: 2 * weight, ..WIDE }, 5);
        assert_eq!(sequences(history.after(0)), [40, 50]);
        assert_eq!(history.bytes(), 2 * weight);
        assert_eq!(sequences(of(&HistoryBounds { bytes: weight - 1, ..WIDE }, 5).after(0)), [0; 0]);
    }

    #[test]
    fn age_bounds_it_too() {
        let now = Instant::now();
        let mut history = History::default();
        history.push(&message(1, now), &WIDE, now);
        history.push(&message(2, now + Duration::from_secs(30)), &WIDE, now + Duration::from_secs(30));
        history.shrink(&WIDE, now + Duration::from_secs(61));
        assert_eq!((sequences(history.after(0)), history.lost()), (vec![2], 1));
    }

    #[test]
    fn without_any_nothing_is_whole_that_has_had_messages() {
        let history = of(&HistoryBounds { messages: 0, ..WIDE }, 2);
        assert_eq!((history.oldest(), history.bytes()), (None, 0));
        assert!(!history.is_whole_since(19) && history.is_whole_since(20));
    }
}
