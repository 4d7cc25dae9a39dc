//! What our workers are shown to do, and how much they have done: kept here, and told to Redis as often as it can take.
//!
//! A worker that began and ended a job between two looks is never shown, but always counted.

use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// See the module.
#[derive(Debug)]
pub(super) struct Board {
    slots: Mutex<Slots>,
    changed: Notify,
}

#[derive(Debug)]
struct Slots {
    /// Workers without a job; the last goes first, so that few are seen to work where few would do.
    free: Vec<u32>,
    workers: Vec<Worker>,
    changes: BTreeMap<u32, Change>,
}

#[derive(Debug, Default)]
struct Worker {
    busy: Option<Busy>,
    /// Whether Redis has a job of it.
    shown: bool,
}

/// A job that is being processed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Busy {
    pub(super) queue: Arc<str>,
    /// In seconds since 1970.
    pub(super) since: u64,
    pub(super) job: Bytes,
}

/// What is new of one worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Change {
    pub(super) shows: Option<Shows>,
    /// Jobs, those that failed included.
    pub(super) processed: u64,
    pub(super) failed: u64,
}

/// What is to be seen of a worker.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shows {
    Idle,
    Busy(Busy),
}

impl Board {
    /// For so many workers.
    pub(super) fn new(count: u32) -> Self {
        let workers = (0..count).map(|_| Worker::default()).collect();
        let slots = Slots { free: (0..count).rev().collect(), workers, changes: BTreeMap::new() };
        Self { slots: Mutex::new(slots), changed: Notify::new() }
    }

    /// A job is begun with; returns the worker, if one is free to be shown with it.
    pub(super) fn begin(&self, busy: Busy) -> Option<u32> {
        let mut slots = self.slots();
        let slot = slots.free.pop()?;
        slots.set(slot, Some(busy));
        drop(slots);
        self.changed.notify_one();
        Some(slot)
    }

    /// It has ended.
    pub(super) fn end(&self, slot: u32) {
        let mut slots = self.slots();
        slots.set(slot, None);
        slots.free.push(slot);
        drop(slots);
        self.changed.notify_one();
    }

    /// The worker `slot` has processed a job.
    pub(super) fn count(&self, slot: u32, failed: bool) {
        let mut slots = self.slots();
        let change = slots.changes.entry(slot).or_default();
        change.processed += 1;
        change.failed += u64::from(failed);
        drop(slots);
        self.changed.notify_one();
    }

    /// Waits for something new.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// All that is new since the last look.
    pub(super) fn look(&self) -> BTreeMap<u32, Change> {
        let mut slots = self.slots();
        let mut changes = std::mem::take(&mut slots.changes);
        for (slot, change) in &mut changes {
            change.shows = slots.workers.get_mut(*slot as usize).and_then(Worker::show);
        }
        changes.retain(|_, change| *change != Change::default());
        changes
    }

    /// Nothing that was told can be seen any more, so what the workers do is new.
    pub(super) fn anew(&self) {
        let mut slots = self.slots();
        let Slots { workers, changes, .. } = &mut *slots;
        for (slot, worker) in (0..).zip(workers) {
            worker.shown = false;
            if worker.busy.is_some() {
                changes.entry(slot).or_default();
            }
        }
        drop(slots);
        self.changed.notify_one();
    }

    /// Redis could not be told of `changes`.
    pub(super) fn restore(&self, changes: BTreeMap<u32, Change>) {
        let mut slots = self.slots();
        for (slot, lost) in changes {
            if let Some(worker) = slots.workers.get_mut(slot as usize).filter(|_| lost.shows.is_some()) {
                // Whatever Redis has of it by now.
                worker.shown = true;
            }
            let change = slots.changes.entry(slot).or_default();
            change.processed += lost.processed;
            change.failed += lost.failed;
        }
        drop(slots);
        self.changed.notify_one();
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn set(&mut self, slot: u32, busy: Option<Busy>) {
        if let Some(worker) = self.workers.get_mut(slot as usize) {
            worker.busy = busy;
            self.changes.entry(slot).or_default();
        }
    }
}

impl Worker {
    fn show(&mut self) -> Option<Shows> {
        let was_shown = std::mem::replace(&mut self.shown, self.busy.is_some());
        match &self.busy {
            Some(busy) => Some(Shows::Busy(busy.clone())),
            None => was_shown.then_some(Shows::Idle),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(job: &'static str) -> Busy {
        Busy { queue: "q".into(), since: 0, job: Bytes::from_static(job.as_bytes()) }
    }

    #[test]
    fn a_job_between_two_looks_is_counted_and_not_shown() {
        let board = Board::new(2);
        let slot = board.begin(busy("{}")).unwrap();
        board.end(slot);
        board.count(slot, true);
        let change = Change { shows: None, processed: 1, failed: 1 };
        assert_eq!(board.look(), BTreeMap::from([(slot, change)]));
        assert_eq!(board.look(), BTreeMap::new());
    }

    #[test]
    fn a_job_at_which_a_worker_is_seen_is_shown_and_taken_away() {
        let board = Board::new(1);
        let slot = board.begin(busy("a")).unwrap();
        assert_eq!(board.begin(busy("b")), None, "one worker has one job");
        assert_eq!(board.look()[&slot].shows, Some(Shows::Busy(busy("a"))));
        board.end(slot);
        assert_eq!(board.begin(busy("c")), Some(slot));
        assert_eq!(board.look()[&slot].shows, Some(Shows::Busy(busy("c"))));
        board.end(slot);
        assert_eq!(board.look()[&slot].shows, Some(Shows::Idle));
    }

    #[test]
    fn what_can_be_seen_no_more_is_shown_anew() {
        let board = Board::new(2);
        let (busy_one, idle) = (board.begin(busy("a")).unwrap(), board.begin(busy("b")).unwrap());
        board.look();
        board.end(idle);
        board.anew();
        let changes = board.look();
        assert_eq!(changes[&busy_one].shows, Some(Shows::Busy(busy("a"))));
        assert!(!changes.contains_key(&idle), "there is nothing to take away: {changes:?}");
    }

    #[test]
    fn what_redis_was_not_told_is_told_again() {
        let board = Board::new(1);
        let slot = board.begin(busy("a")).unwrap();
        board.count(slot, false);
        let lost = board.look();
        board.end(slot);
        board.count(slot, true);
        board.restore(lost);
        assert_eq!(board.look()[&slot], Change { shows: Some(Shows::Idle), processed: 2, failed: 1 });
    }
}
