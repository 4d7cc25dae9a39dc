//! Which of several queues may take while more than one holds messages.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::sync::Notify;

/// How queues share what may be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source) enum Sharing {
    /// A queue takes only while those before it are empty.
    Strict,
    /// Each takes in proportion to its weight.
    Weighted,
}

/// See the module.
#[derive(Debug)]
pub(in crate::source) struct Turns {
    sharing: Sharing,
    queues: Mutex<Vec<Queue>>,
    tickets: AtomicU64,
    /// Nobody takes for now.
    held: AtomicBool,
    changed: Notify,
}

#[derive(Debug)]
struct Queue {
    ticket: u64,
    /// Its place, or its weight.
    rank: u32,
    /// Whether it is known to hold messages that nobody has taken.
    waits: bool,
    /// Messages taken by weight, as far as they matter for who goes next.
    spent: f64,
}

/// How far, in messages of weight 1, a queue may run ahead of its share: the size of a large batch.
const AHEAD: f64 = 64.0;

impl Turns {
    pub(in crate::source) fn new(sharing: Sharing) -> Self {
        let (tickets, held) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { sharing, queues: Mutex::default(), tickets, held, changed: Notify::new() }
    }

    /// A queue that takes from now on; `rank` is its place (lower goes first) or its weight. Returns its ticket.
    pub(in crate::source) fn enter(&self, rank: u32) -> u64 {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let mut queues = self.queues();
        let spent = least(&queues).unwrap_or(0.0);
        // Until it has looked, it may hold messages.
        queues.push(Queue { ticket, rank, waits: true, spent });
        ticket
    }

    /// A queue that takes no more.
    pub(in crate::source) fn leave(&self, ticket: u64) {
        self.queues().retain(|queue| queue.ticket != ticket);
        self.changed.notify_waiters();
    }

    /// Changes the place of a queue.
    pub(in crate::source) fn place(&self, ticket: u64, rank: u32) {
        if let Some(queue) = self.queues().iter_mut().find(|queue| queue.ticket == ticket) {
            queue.rank = rank;
        }
        self.changed.notify_waiters();
    }

    /// Whether nobody may take from now on.
    pub(in crate::source) fn hold(&self, held: bool) {
        if self.held.swap(held, Ordering::Relaxed) != held {
            self.changed.notify_waiters();
        }
    }

    /// Whether it is this queue's turn.
    pub(super) fn is_on(&self, ticket: u64) -> bool {
        if self.held.load(Ordering::Relaxed) {
            return false;
        }
        let queues = self.queues();
        let Some(own) = queues.iter().find(|queue| queue.ticket == ticket) else { return true };
        let mut others = queues.iter().filter(|queue| queue.ticket != ticket && queue.waits);
        match self.sharing {
            Sharing::Strict => others.all(|other| other.rank >= own.rank),
            Sharing::Weighted => others.all(|other| own.spent <= other.spent + AHEAD / f64::from(own.rank)),
        }
    }

    /// Waits for this queue's turn.
    pub(in crate::source) async fn wait(&self, ticket: u64) {
        loop {
            let changed = self.changed.notified();
            if self.is_on(ticket) {
                return;
            }
            changed.await;
        }
    }

    /// A queue gave `taken` messages; `waits` where there were as many as asked for, and so probably more.
    pub(in crate::source) fn took(&self, ticket: u64, taken: usize, waits: bool) {
        let mut queues = self.queues();
        if queues.len() < 2 {
            return;
        }
        let least = least(&queues);
        let Some(queue) = queues.iter_mut().find(|queue| queue.ticket == ticket) else { return };
        if !queue.waits && waits {
            // What it did not use while it was empty is not owed to it.
            queue.spent = queue.spent.max(least.unwrap_or(0.0));
        }
        queue.spent += taken as f64 / f64::from(queue.rank.max(1));
        let changed = queue.waits != waits || self.sharing == Sharing::Weighted;
        queue.waits = waits;
        drop(queues);
        if changed {
            self.changed.notify_waiters();
        }
    }

    fn queues(&self) -> MutexGuard<'_, Vec<Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the hindmost of those that hold messages has had.
fn least(queues: &[Queue]) -> Option<f64> {
    queues.iter().filter(|queue| queue.waits).map(|queue| queue.spent).min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_waits_for_those_before_it_while_they_hold_messages() {
        let turns = Turns::new(Sharing::Strict);
        turns.enter(0);
        turns.enter(1);
        assert!(turns.is_on(0) && !turns.is_on(1), "until it is known that the first is empty");
        turns.took(0, 3, false);
        assert!(turns.is_on(1));
        turns.took(0, 8, true);
        assert!(!turns.is_on(1));
        turns.leave(0);
        assert!(turns.is_on(1));
    }

    #[test]
    fn while_all_are_held_nobody_takes() {
        let turns = Turns::new(Sharing::Strict);
        turns.enter(0);
        turns.hold(true);
        assert!(!turns.is_on(0));
        turns.hold(false);
        assert!(turns.is_on(0));
    }

    #[test]
    fn taking_turns_follows_the_weights() {
        let turns = Turns::new(Sharing::Weighted);
        turns.enter(3);
        turns.enter(1);
        let mut taken = [0, 0];
        for _ in 0..4_000 {
            for ticket in [0, 1] {
                if turns.is_on(ticket) {
                    turns.took(ticket, 8, true);
                    taken[ticket as usize] += 8;
                }
            }
        }
        let ratio = f64::from(taken[0]) / f64::from(taken[1]);
        assert!((2.9..3.1).contains(&ratio), "{taken:?}");
    }

    #[test]
    fn a_queue_that_was_empty_does_not_make_up_for_it() {
        let turns = Turns::new(Sharing::Weighted);
        turns.enter(1);
        turns.enter(1);
        turns.took(1, 0, false);
        turns.took(0, 100_000, true);
        turns.took(1, 1, true);
        turns.took(1, 200, true);
        assert!(turns.is_on(0), "the second has had its share since it has messages again");
    }

    #[tokio::test]
    async fn a_queue_is_woken_when_its_turn_comes() {
        let turns = Turns::new(Sharing::Strict);
        turns.enter(0);
        turns.enter(1);
        let changes = async { turns.took(0, 0, false) };
        futures_util::future::join(turns.wait(1), changes).await;
        assert!(turns.is_on(1));
    }
}
