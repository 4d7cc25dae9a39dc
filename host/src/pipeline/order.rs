//! Keeps messages of one key in order, where the configuration asks for it.

use super::lines::{Expected, Lines, Step};
use crate::{
    config::{self, OrderBy},
    message::{Message, Outcome},
    source::{Delivery, Waiting},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Of what may be in flight, one key has this part while it is slow.
const SHARE: usize = 4;
/// How often it is looked whether it is.
const LOOK: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Debug)]
pub(super) struct Order {
    by: OrderBy,
    /// Whether a message that waits for another attempt keeps its place.
    hold: bool,
    /// How many messages of one key may wait here while their line moves slowly.
    share: usize,
    lines: Mutex<Lines<Delivery>>,
    /// More of one key wait here.
    crowded: Notify,
}

impl Order {
    /// For a pipeline with so many messages in flight.
    pub(super) fn new(config: &config::Order, in_flight: usize) -> Self {
        let share = (in_flight / SHARE).max(1);
        let lines = Mutex::new(Lines::new(share));
        Self { by: config.by.clone(), hold: config.hold, share, lines, crowded: Notify::new() }
    }

    /// Sends away for ever what is beyond the share of its key, where those before it turn out to be slow.
    pub(super) async fn keep_thin(&self) {
        loop {
            self.crowded.notified().await;
            while self.lines().is_crowded() {
                tokio::time::sleep(LOOK).await;
                let steps = self.lines().thin_out(Instant::now());
                // None of them is to be processed.
                steps.into_iter().filter_map(run).for_each(drop);
            }
        }
    }

    /// Those of `batch` that may be processed now; the others stand in line.
    pub(super) fn enter(&self, batch: Vec<Delivery>) -> Vec<Delivery> {
        let now = Instant::now();
        let mut lines = self.lines();
        let enter = |delivery: Delivery| match self.key(&delivery.message) {
            None => Some(Step::Run(delivery)),
            Some(key) => {
                let id = delivery.message.id.clone();
                lines.arrive(key, &id, delivery, now)
            }
        };
        let steps: Vec<_> = batch.into_iter().filter_map(enter).collect();
        let crowded = lines.has_crowded();
        drop(lines);
        if crowded {
            self.crowded.notify_one();
        }
        steps.into_iter().filter_map(run).collect()
    }

    /// `message` has been processed; returns the one behind it.
    pub(super) fn finished(&self, message: &Message, outcome: &Outcome) -> Option<Delivery> {
        let key = self.key(message)?;
        let again = match outcome {
            Outcome::Retry { after, .. } | Outcome::Again { after, .. } if self.hold => Some(*after),
            _ => None,
        };
        let steps = self.lines().finished(&key, again, Instant::now());
        // There is at most one to run.
        steps.into_iter().filter_map(run).next()
    }

    /// Messages that wait in Redis, for another attempt or because their node has ended.
    pub(super) fn expect(&self, waiting: Vec<Waiting>) {
        let now = Instant::now();
        let mut lines = self.lines();
        // Others pass what waits for another attempt where nothing is held back, but not what was never tried to its end.
        for Waiting { message, place, due_in } in
            waiting.into_iter().filter(|one| self.hold || one.message.attempt == 1)
        {
            if let Some(key) = self.key(&message) {
                lines.expect(Expected { key, id: message.id, place, due: now + due_in });
            }
        }
    }

    /// These were to be tried again, and will not be; returns those behind them whose turn it is now.
    pub(super) fn gone(&self, messages: &[Message]) -> Vec<Delivery> {
        let now = Instant::now();
        let mut lines = self.lines();
        messages.iter().filter_map(|message| lines.give_up(&self.key(message)?, &message.id, now)).collect()
    }

    /// Another node takes now: what is known of the order here counts no more.
    pub(super) fn forget(&self) {
        *self.lines() = Lines::new(self.share);
    }

    fn key(&self, message: &Message) -> Option<String> {
        self.by.key(message)
    }

    fn lines(&self) -> MutexGuard<'_, Lines<Delivery>> {
        // Nothing panics while it holds the lock.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts back what is not to be processed now.
fn run(step: Step<Delivery>) -> Option<Delivery> {
    match step {
        Step::Run(delivery) => Some(delivery),
        Step::Away(delivery, after) => {
            delivery.settle(Outcome::Again { after, succeeded: Vec::new() });
            None
        }
    }
}
