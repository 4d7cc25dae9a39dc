//! One line: who stands in it, who of them is here, and how fast it moves.

use super::{APART, Step};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// A message that should have come back so long ago is not waited for any longer.
pub(super) const GONE: Duration = Duration::from_secs(30);
/// A line moves slowly where somebody waits longer than this.
const PATIENCE: Duration = Duration::from_millis(100);
/// Who is sent away for that comes back after half of what he has to wait, and within these.
const SOONEST: Duration = Duration::from_millis(50);
const LATEST: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Line<T> {
    /// Everybody in it, first come first.
    ids: VecDeque<Arc<str>>,
    /// The number of the first; those behind it have the next ones.
    first: u64,
    /// Everybody but the one who is being processed.
    waiting: HashMap<Arc<str>, Waiting<T>>,
    /// How many of them are here.
    here: usize,
    /// Since when the first is being processed, if it is.
    running: Option<Instant>,
    /// Since when the first is the first.
    since: Instant,
    /// What the processing of one has taken lately.
    takes: Option<Duration>,
}

/// Somebody who waits.
#[derive(Debug)]
struct Waiting<T> {
    number: u64,
    at: At<T>,
}

#[derive(Debug)]
enum At<T> {
    /// In this process.
    Here(T),
    /// Where it came from, until then.
    Away(Instant),
}

impl<T> Line<T> {
    pub(super) fn new(since: Instant) -> Self {
        let (ids, waiting) = (VecDeque::new(), HashMap::new());
        Self { ids, first: 0, waiting, here: 0, running: None, since, takes: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// How many wait here.
    pub(super) fn here(&self) -> usize {
        self.here
    }

    /// How many are away.
    pub(super) fn away(&self) -> usize {
        self.waiting.len() - self.here
    }

    /// Somebody is away already.
    pub(super) fn expect(&mut self, id: Arc<str>, due: Instant) {
        let number = self.join(&id);
        self.waiting.insert(id, Waiting { number, at: At::Away(due) });
    }

    /// `id` has come; tells how many are before it.
    pub(super) fn stand(&mut self, id: &Arc<str>, now: Instant) -> usize {
        let number = match self.waiting.remove(id) {
            Some(Waiting { number, at }) => {
                self.here -= usize::from(matches!(at, At::Here(_)));
                self.give_up_waiting(id, now);
                number
            }
            None => self.join(id),
        };
        (number - self.first) as usize
    }

    fn join(&mut self, id: &Arc<str>) -> u64 {
        self.ids.push_back(Arc::clone(id));
        self.first + self.ids.len() as u64 - 1
    }

    /// The first is processed from now on.
    pub(super) fn run(&mut self, now: Instant) {
        self.running = Some(now);
    }

    /// The first, if it is here; from now on it is processed.
    pub(super) fn run_first(&mut self, now: Instant) -> Option<T> {
        let first = self.ids.front()?;
        match self.waiting.remove(first) {
            Some(Waiting { at: At::Here(message), .. }) => {
                self.here -= 1;
                self.run(now);
                Some(message)
            }
            Some(away) => {
                self.waiting.insert(Arc::clone(first), away);
                None
            }
            None => None,
        }
    }

    /// The first is no longer processed.
    pub(super) fn rest(&mut self, now: Instant) {
        if let Some(began) = self.running.take() {
            let took = now - began;
            self.takes = Some(self.takes.map_or(took, |takes| (takes * 3 + took) / 4));
        }
    }

    /// The first has gone for good.
    pub(super) fn leave(&mut self, now: Instant) {
        self.ids.pop_front();
        self.first += 1;
        self.since = now;
    }

    /// The first goes away and stays the first.
    pub(super) fn first_goes_away(&mut self, due: Instant) {
        if let Some(first) = self.ids.front() {
            self.waiting.insert(Arc::clone(first), Waiting { number: self.first, at: At::Away(due) });
        }
    }

    /// When the first is expected back, if it is away.
    fn due(&self) -> Option<Instant> {
        match self.waiting.get(self.ids.front()?)?.at {
            At::Away(due) => Some(due),
            At::Here(_) => None,
        }
    }

    pub(super) fn due_in(&self, now: Instant) -> Duration {
        self.due().map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }

    /// `message` waits here.
    pub(super) fn keep(&mut self, id: &Arc<str>, place: usize, message: T) {
        let number = self.first + place as u64;
        self.waiting.insert(Arc::clone(id), Waiting { number, at: At::Here(message) });
        self.here += 1;
    }

    /// `message` waits elsewhere.
    pub(super) fn send_away(
        &mut self,
        id: &Arc<str>,
        place: usize,
        message: T,
        after: Duration,
        now: Instant,
    ) -> Step<T> {
        let number = self.first + place as u64;
        self.waiting.insert(Arc::clone(id), Waiting { number, at: At::Away(now + after) });
        Step::Away(message, after)
    }

    /// All who are here with at least `from` before them wait elsewhere, the first in line for so long.
    pub(super) fn send_all_away(&mut self, from: usize, after: Duration, now: Instant) -> Vec<Step<T>> {
        let mut steps = Vec::new();
        for (id, place) in self.ids.iter().zip(0..).skip(from) {
            let after = after + APART * place;
            match self.waiting.get_mut(id) {
                Some(waiting) if matches!(waiting.at, At::Here(_)) => {
                    if let At::Here(message) = std::mem::replace(&mut waiting.at, At::Away(now + after)) {
                        steps.push(Step::Away(message, after));
                    }
                }
                _ => {}
            }
        }
        self.here -= steps.len();
        steps
    }

    /// How long whoever has `place` before him may be away, where his turn comes that late.
    pub(super) fn wait(&self, place: usize, now: Instant) -> Option<Duration> {
        let spent = now.saturating_duration_since(self.running?);
        let each = self.takes.unwrap_or(spent);
        let wait = each.saturating_mul(place as u32).max(spent);
        (wait >= PATIENCE).then(|| (wait / 2).clamp(SOONEST, LATEST))
    }

    /// `id`, if away, will not come. True where that was the first, so that the next one is.
    pub(super) fn give_up(&mut self, id: &Arc<str>, now: Instant) -> bool {
        let Some(Waiting { number, at: At::Away(_) }) = self.waiting.get(id) else { return false };
        let place = (*number - self.first) as usize;
        self.waiting.remove(id);
        if place == 0 {
            self.leave(now);
            return true;
        }
        self.ids.remove(place);
        for behind in self.ids.iter().skip(place) {
            self.waiting.entry(Arc::clone(behind)).and_modify(|waiting| waiting.number -= 1);
        }
        false
    }

    /// Somebody is back, so those before it who are long overdue will not come: they were dropped by hand.
    fn give_up_waiting(&mut self, back: &Arc<str>, now: Instant) {
        if self.is_running() {
            return;
        }
        while let Some(first) = self.ids.front().filter(|first| *first != back)
            && let Some(due) = self.due()
            && now >= due.max(self.since) + GONE
        {
            self.waiting.remove(first);
            self.ids.pop_front();
            self.first += 1;
        }
    }
}
