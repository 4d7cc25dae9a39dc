//! How much of one source may be in flight, over all of its queues, and which queue goes first.

use super::turns::Turns;
use crate::source::{Opening, pace::Pace};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::sync::{Notify, Semaphore, watch};

/// Nothing more is taken while the payloads in flight together are longer than this, in bytes.
pub(in crate::source) const MOST_BYTES: usize = 256 << 20;

/// Messages of one round.
const MOST: usize = 128;
/// How long a busy taker waits for permits to gather, so that rounds stay large.
const GATHER: Duration = Duration::from_millis(2);

/// Since when this node takes, by the clock of Redis in milliseconds, where the order matters and one node at a time does.
pub(in crate::source) type Term = u64;

/// See the module.
#[derive(Debug)]
pub(in crate::source) struct Flow {
    /// Messages that may be taken and not settled in Redis at any time: what a crash repeats at most.
    pub(in crate::source) in_flight: usize,
    permits: Semaphore,
    /// How fast they may be taken.
    pub(in crate::source) pace: Pace,
    /// Connections that wait for messages, each with a permit in its hand.
    takers: AtomicUsize,
    pub(in crate::source) turns: Turns,
    bytes: AtomicUsize,
    lighter: Notify,
    /// In which term something may be taken, if it may at all.
    open: watch::Sender<Option<Term>>,
}

impl Flow {
    pub(in crate::source) fn new(opening: &Opening, turns: Turns) -> Self {
        let in_flight = opening.config.in_flight;
        Self {
            in_flight,
            permits: Semaphore::new(in_flight),
            pace: Pace::new(opening),
            takers: AtomicUsize::new(0),
            turns,
            bytes: AtomicUsize::new(0),
            lighter: Notify::new(),
            open: watch::Sender::new(Some(0)),
        }
    }

    /// From now on nothing is taken.
    pub(in crate::source) fn shut(&self) {
        self.open.send_replace(None);
    }

    /// It is taken again.
    pub(in crate::source) fn open(&self, term: Term) {
        self.open.send_replace(Some(term));
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.borrow().is_some()
    }

    /// Waits until something may be taken.
    pub(in crate::source) async fn opened(&self) -> Term {
        // The sender lives as long as this.
        let opened = self.open.subscribe().wait_for(Option::is_some).await.map(|open| *open);
        opened.ok().flatten().unwrap_or_default()
    }

    /// Whether it is still this term.
    pub(in crate::source) fn is_term(&self, term: Term) -> bool {
        *self.open.borrow() == Some(term)
    }

    /// One more waits for messages.
    pub(in crate::source) fn join(&self) {
        self.takers.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(in crate::source) fn leave(&self) {
        self.takers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether everyone who waits can have a permit in hand meanwhile.
    pub(in crate::source) fn has_room_for_all(&self) -> bool {
        self.in_flight > self.takers.load(Ordering::Relaxed)
    }

    /// How many permits are free now.
    pub(in crate::source) fn free(&self) -> usize {
        self.permits.available_permits()
    }

    /// Payloads of so many bytes are in flight.
    pub(in crate::source) fn carry(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// They no longer are.
    pub(in crate::source) fn put_down(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        if before > MOST_BYTES && before - bytes <= MOST_BYTES {
            self.lighter.notify_waiters();
        }
    }

    /// Waits until the payloads in flight leave room in memory.
    pub(in crate::source) async fn room(&self) {
        loop {
            let lighter = self.lighter.notified();
            if self.bytes.load(Ordering::Acquire) <= MOST_BYTES {
                return;
            }
            lighter.await;
        }
    }

    /// Waits for `count` permits.
    pub(in crate::source) async fn acquire(&self, count: usize) {
        // The semaphore is never closed.
        if let Ok(permits) = self.permits.acquire_many(count as u32).await {
            permits.forget();
        }
    }

    /// Up to `count` permits, without waiting.
    pub(in crate::source) fn acquire_free(&self, count: usize) -> usize {
        let count = count.min(self.free());
        match self.permits.try_acquire_many(count as u32) {
            Ok(permits) => {
                permits.forget();
                count
            }
            Err(_) => 0,
        }
    }

    /// Permits for the next round, when it is the turn of `ticket`: at least one, and as many as are wanted and there.
    pub(in crate::source) async fn permits(&self, ticket: u64, want: usize) -> usize {
        loop {
            self.opened().await;
            self.turns.wait(ticket).await;
            self.room().await;
            let permits =
                if self.pace.is_set() { self.paced_permits(want).await } else { self.free_permits(want).await };
            if self.is_open() && self.turns.is_on(ticket) {
                return permits;
            }
            self.unused(permits);
        }
    }

    /// Permits for one page of what lies in a lane already: one at least, more if they are free.
    pub(in crate::source) async fn page(&self, most: usize) -> usize {
        self.room().await;
        self.paced_permits(most).await
    }

    /// Permits that have their tokens. One is in hand before tokens are waited for, so that none are held while the node is
    /// busy, and not more, so that nobody waits for permits that wait for tokens.
    async fn paced_permits(&self, want: usize) -> usize {
        self.acquire(1).await;
        let tokens = self.pace.take(want).await;
        let permits = 1 + self.acquire_free(tokens - 1);
        self.pace.put_back(tokens - permits);
        permits
    }

    async fn free_permits(&self, want: usize) -> usize {
        let chunk = want.min(self.in_flight / 8).max(1);
        let mut held = chunk;
        if chunk == 1 || tokio::time::timeout(GATHER, self.acquire(chunk)).await.is_err() {
            held = 1;
            self.acquire(1).await;
        }
        held + self.acquire_free(want.saturating_sub(held))
    }

    /// How many messages to want next, where `want` was wanted, `asked` asked for and `taken` came: doubles while rounds
    /// come back full.
    pub(in crate::source) fn next_want(&self, want: usize, asked: usize, taken: usize) -> usize {
        if taken == asked {
            (want * 2).min(MOST).min(self.in_flight)
        } else if taken < want / 2 {
            (want / 2).max(1)
        } else {
            want
        }
    }

    /// So many permits were not used.
    pub(in crate::source) fn unused(&self, count: usize) {
        self.pace.put_back(count);
        self.release(count);
    }

    /// So many messages were settled in Redis.
    pub(in crate::source) fn release(&self, count: usize) {
        self.permits.add_permits(count);
    }
}
