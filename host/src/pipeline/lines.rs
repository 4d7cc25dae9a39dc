//! Messages of one key stand in line: one is processed at a time, in the order in which they came.
//!
//! A message that waits for another attempt keeps its place, and those behind it wait where it does: in Redis, as `away`.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// A message that should have come back so long ago is not waited for any longer.
const GONE: Duration = Duration::from_secs(30);
/// Between messages that are put back together, so that they return in their order.
const APART: Duration = Duration::from_millis(1);

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

#[derive(Debug)]
struct Line<T> {
    /// Everybody in it, first come first.
    ids: VecDeque<Arc<str>>,
    /// Those who wait in this process.
    here: HashMap<Arc<str>, T>,
    /// How many are away.
    away: usize,
    /// Whether the first is being processed.
    running: bool,
    /// When the first is expected back, if it is away.
    due: Instant,
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), expected: Vec::new() }
    }
}

impl<T> Lines<T> {
    /// A message has come, for the first time or back; nothing is to be done where it waits here.
    pub(super) fn arrive(&mut self, key: String, id: &Arc<str>, message: T, now: Instant) -> Option<Step<T>> {
        self.line_up();
        let line = self.by_key.entry(key).or_insert_with(|| Line::new(now));
        if line.away > 0 && line.ids.contains(id) {
            line.away -= 1;
            line.give_up_waiting(id, now);
        } else {
            line.ids.push_back(Arc::clone(id));
        }
        if line.running {
            line.here.insert(Arc::clone(id), message);
            return None;
        }
        if line.ids.front() == Some(id) {
            line.running = true;
            return Some(Step::Run(message));
        }
        line.away += 1;
        let place = line.ids.iter().position(|known| known == id).unwrap_or_default();
        Some(Step::Away(message, line.due.saturating_duration_since(now) + APART * place as u32))
    }

    /// The first of a line has been processed; `again` where it goes away for so long and keeps its place.
    pub(super) fn finished(&mut self, key: &str, again: Option<Duration>, now: Instant) -> Vec<Step<T>> {
        let Some(line) = self.by_key.get_mut(key) else { return Vec::new() };
        line.running = false;
        if let Some(after) = again {
            line.due = now + after;
            line.away += 1;
            return line.send_away(after);
        }
        line.ids.pop_front();
        line.due = line.due.max(now);
        let next = line.ids.front().and_then(|id| line.here.remove(id));
        line.running = next.is_some();
        if line.ids.is_empty() {
            self.by_key.remove(key);
        }
        next.map(Step::Run).into_iter().collect()
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
            let line = self.by_key.entry(key).or_insert_with(|| Line::new(due));
            line.ids.push_back(id);
            line.away += 1;
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

impl<T> Line<T> {
    fn new(due: Instant) -> Self {
        Self { ids: VecDeque::new(), here: HashMap::new(), away: 0, running: false, due }
    }

    fn send_away(&mut self, after: Duration) -> Vec<Step<T>> {
        let here = self.ids.iter().zip(0..).filter_map(|(id, place)| Some((self.here.remove(id)?, place)));
        let steps: Vec<_> = here.map(|(message, place)| Step::Away(message, after + APART * place)).collect();
        self.away += steps.len();
        steps
    }

    /// Somebody is back, so those before it who are long overdue will not come: they were dropped by hand.
    fn give_up_waiting(&mut self, back: &Arc<str>, now: Instant) {
        if self.running || now < self.due + GONE {
            return;
        }
        while self.ids.front().is_some_and(|first| first != back && !self.here.contains_key(first)) {
            self.ids.pop_front();
            self.away = self.away.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Test {
        lines: Lines<&'static str>,
        now: Instant,
    }

    impl Test {
        fn new() -> Self {
            Self { lines: Lines::default(), now: Instant::now() }
        }

        fn arrive(&mut self, id: &'static str) -> Option<Step<&'static str>> {
            self.lines.arrive("k".to_owned(), &id.into(), id, self.now)
        }

        fn expect(&mut self, id: &str, place: &str) {
            let (key, id, due) = ("k".to_owned(), id.into(), self.now + SECOND);
            self.lines.expect(Expected { key, id, place: place.to_owned(), due });
        }

        fn finished(&mut self, again: Option<Duration>) -> Vec<Step<&'static str>> {
            self.lines.finished("k", again, self.now)
        }
    }

    #[test]
    fn one_is_processed_at_a_time_in_the_order_of_arrival() {
        let mut test = Test::new();
        assert_eq!(test.arrive("a"), Some(Step::Run("a")));
        assert_eq!(test.arrive("b"), None);
        assert_eq!(test.arrive("c"), None);
        assert_eq!(test.lines.arrive("other".to_owned(), &"x".into(), "x", test.now), Some(Step::Run("x")));
        assert_eq!(test.finished(None), [Step::Run("b")]);
        assert_eq!(test.finished(None), [Step::Run("c")]);
        assert_eq!(test.finished(None), []);
        assert_eq!(test.lines.by_key.len(), 1, "only the other key is left");
    }

    #[test]
    fn those_behind_a_retry_go_where_it_goes_and_return_in_order() {
        let mut test = Test::new();
        test.arrive("a");
        test.arrive("b");
        assert_eq!(test.finished(Some(SECOND)), [Step::Away("b", SECOND + APART)]);
        assert_eq!(test.arrive("c"), Some(Step::Away("c", SECOND + APART * 2)));
        test.now += SECOND;
        // However they come back.
        assert_eq!(test.arrive("b"), Some(Step::Away("b", APART)));
        assert_eq!(test.arrive("a"), Some(Step::Run("a")));
        assert_eq!(test.arrive("c"), None);
        assert_eq!(test.arrive("b"), None);
        assert_eq!(test.finished(None), [Step::Run("b")]);
        assert_eq!(test.finished(None), [Step::Run("c")]);
        assert_eq!(test.finished(None), []);
        assert!(test.lines.by_key.is_empty());
    }

    #[test]
    fn the_next_is_waited_for_when_it_is_away() {
        let mut test = Test::new();
        test.arrive("a");
        test.arrive("b");
        test.finished(Some(SECOND));
        test.now += SECOND;
        assert_eq!(test.arrive("a"), Some(Step::Run("a")));
        assert_eq!(test.finished(None), []);
        assert!(matches!(test.arrive("c"), Some(Step::Away("c", _))), "b goes first");
        assert_eq!(test.arrive("b"), Some(Step::Run("b")));
    }

    #[test]
    fn what_was_away_before_this_process_began_keeps_its_place() {
        let mut test = Test::new();
        test.expect("a", "o-1");
        test.expect("b", "o-2");
        assert_eq!(test.arrive("c"), Some(Step::Away("c", SECOND + APART * 2)));
        test.now += SECOND;
        assert_eq!(test.arrive("a"), Some(Step::Run("a")));
    }

    #[test]
    fn who_is_expected_stands_in_the_order_in_which_it_was_taken() {
        let mut test = Test::new();
        // Of two lanes, and one that is told twice.
        for id in ["b-9", "a-10", "b-8", "a-9", "a-10"] {
            test.expect(id, id);
        }
        test.now += SECOND;
        for id in ["b-9", "b-8", "a-10"] {
            assert!(matches!(test.arrive(id), Some(Step::Away(..))), "{id}");
        }
        assert_eq!(test.arrive("a-9"), Some(Step::Run("a-9")));
        for id in ["b-9", "a-10", "b-8"] {
            assert_eq!(test.arrive(id), None, "it stands in line");
        }
        for id in ["a-10", "b-8", "b-9"] {
            assert_eq!(test.finished(None), [Step::Run(id)]);
        }
        assert_eq!(test.finished(None), []);
        assert!(test.lines.by_key.is_empty());
    }

    #[test]
    fn one_that_never_returns_is_given_up() {
        let mut test = Test::new();
        test.arrive("a");
        test.arrive("b");
        test.finished(Some(SECOND));
        test.now += SECOND + GONE;
        assert_eq!(test.arrive("b"), Some(Step::Run("b")));
        assert_eq!(test.finished(None), []);
        assert!(test.lines.by_key.is_empty());
    }
}
