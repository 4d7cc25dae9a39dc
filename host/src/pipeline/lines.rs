//! Messages of one key stand in line: one is processed at a time, in the order in which they came.
//!
//! A message that waits for another attempt keeps its place, and those behind it wait where it does: where they came from, as `away`. There wait
//! also those at the end of a long line that moves slowly, so that one key does not take all that may be in flight.

mod line;

use line::Line;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Between messages that are put back together, so that they return in their order.
const APART: Duration = Duration::from_millis(1);
/// Beyond so many messages that are away, those of long lines wait here.
const MOST_AWAY: usize = 10_000;

/// What is to be done with a message now.
#[derive(Debug, PartialEq)]
pub(super) enum Step<T> {
    /// Process it.
    Run(T),
    /// Put it back untried for so long.
    Away(T, Duration),
}

/// All lines of a pipeline.
#[derive(Debug)]
pub(super) struct Lines<T> {
    by_key: HashMap<String, Line<T>>,
    /// Who was away before this process began, until the first has come.
    expected: Vec<Expected>,
    /// How many of one key may wait here while their line moves slowly.
    share: usize,
    /// How many messages are away.
    away: usize,
    /// Somebody has come to wait here beyond the share of his key.
    crowded: bool,
}

/// A message that is away already.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) key: String,
    pub(super) id: Arc<str>,
    /// Where it stood when it was taken first.
    pub(super) place: String,
    /// When it is to come back.
    pub(super) due: Instant,
}

impl<T> Lines<T> {
    pub(super) fn new(share: usize) -> Self {
        Self { by_key: HashMap::new(), expected: Vec::new(), share, away: 0, crowded: false }
    }

    /// A message has come, for the first time or back; nothing is to be done where it waits here.
    pub(super) fn arrive(&mut self, key: String, id: &Arc<str>, message: T, now: Instant) -> Option<Step<T>> {
        self.line_up();
        let line = self.by_key.entry(key).or_insert_with(|| Line::new(now));
        let before = line.away();
        let place = line.stand(id, now);
        let step = if line.is_running() {
            let spare = self.away + line.away() - before < MOST_AWAY && place > self.share;
            match line.wait(place, now).filter(|_| spare) {
                Some(after) => Some(line.send_away(id, place, message, after, now)),
                None => {
                    line.keep(id, place, message);
                    self.crowded |= line.here() > self.share;
                    None
                }
            }
        } else if place == 0 {
            line.run(now);
            Some(Step::Run(message))
        } else if let Some(first) = line.run_first(now) {
            // Those before it have been given up.
            line.keep(id, place, message);
            Some(Step::Run(first))
        } else {
            let after = line.due_in(now) + APART * place as u32;
            Some(line.send_away(id, place, message, after, now))
        };
        self.away = self.away + line.away() - before;
        step
    }

    /// The first of a line has been processed; `again` where it goes away for so long and keeps its place.
    pub(super) fn finished(&mut self, key: &str, again: Option<Duration>, now: Instant) -> Vec<Step<T>> {
        let Some(line) = self.by_key.get_mut(key) else { return Vec::new() };
        let before = line.away();
        line.rest(now);
        let steps = match again {
            Some(after) => {
                line.first_goes_away(now + after);
                line.send_all_away(0, after, now)
            }
            None => {
                line.leave(now);
                line.run_first(now).map(Step::Run).into_iter().collect()
            }
        };
        self.away = self.away + line.away() - before;
        if line.is_empty() {
            self.by_key.remove(key);
        }
        steps
    }

    /// A message that is away will not come back; returns the one behind it, where it is that one's turn now.
    pub(super) fn give_up(&mut self, key: &str, id: &Arc<str>, now: Instant) -> Option<T> {
        let line = self.by_key.get_mut(key)?;
        let before = line.away();
        let next = if line.give_up(id, now) { line.run_first(now) } else { None };
        self.away = self.away + line.away() - before;
        if line.is_empty() {
            self.by_key.remove(key);
        }
        next
    }

    /// Whether somebody has come to wait here beyond the share of his key, since this was asked last.
    pub(super) fn has_crowded(&mut self) -> bool {
        std::mem::take(&mut self.crowded)
    }

    /// Whether more messages of one key wait here than its share, in whatever line.
    pub(super) fn is_crowded(&self) -> bool {
        self.by_key.values().any(|line| line.here() > self.share)
    }

    /// Sends those away who are beyond the share of their key in lines that have come to move slowly.
    pub(super) fn thin_out(&mut self, now: Instant) -> Vec<Step<T>> {
        let mut steps = Vec::new();
        for line in self.by_key.values_mut().filter(|line| line.here() > self.share) {
            if self.away < MOST_AWAY
                && let Some(after) = line.wait(self.share, now)
            {
                let before = line.away();
                steps.extend(line.send_all_away(self.share + 1, after, now));
                self.away += line.away() - before;
            }
        }
        steps
    }

    /// A message that is away already; to be told before any arrives.
    pub(super) fn expect(&mut self, expected: Expected) {
        self.expected.push(expected);
    }

    /// Puts those that are expected into their lines, in the order in which they were taken.
    fn line_up(&mut self) {
        let mut expected = std::mem::take(&mut self.expected);
        expected.sort_by_cached_key(|one| {
            let (origin, number) = one.origin();
            (origin.to_owned(), number)
        });
        // What moved while it was read is told twice.
        expected.dedup_by(|one, before| one.id == before.id);
        for Expected { key, id, due, .. } in expected {
            self.by_key.entry(key).or_insert_with(|| Line::new(due)).expect(id, due);
            self.away += 1;
        }
    }
}

impl Expected {
    /// Messages of one origin are numbered, and origins are in their order: `origin-number`.
    fn origin(&self) -> (&str, u64) {
        let parts = self.place.rsplit_once('-');
        parts.and_then(|(origin, number)| Some((origin, number.parse().ok()?))).unwrap_or((&self.place, 0))
    }
}

#[cfg(test)]
mod tests;
