use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct Test {
    lines: Lines<&'static str>,
    now: Instant,
}

impl Test {
    fn new() -> Self {
        Self { lines: Lines::new(2), now: Instant::now() }
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
    test.now += SECOND + line::GONE;
    assert_eq!(test.arrive("b"), Some(Step::Run("b")));
    assert_eq!(test.finished(None), []);
    assert!(test.lines.by_key.is_empty());
}

impl Test {
    /// As many as `ids` come one behind the other.
    fn come(&mut self, ids: &[&'static str]) -> Vec<Option<Step<&'static str>>> {
        ids.iter().map(|id| self.arrive(id)).collect()
    }
}

#[test]
fn a_line_that_moves_fast_waits_here_however_long_it_is() {
    let mut test = Test::new();
    test.arrive("a");
    assert!(test.come(&["b", "c", "d", "e"]).iter().all(Option::is_none));
    test.now += Duration::from_millis(10);
    assert_eq!(test.finished(None), [Step::Run("b")]);
    assert_eq!(test.arrive("f"), None);
    assert!(test.lines.is_crowded());
    assert!(test.lines.thin_out(test.now).is_empty());
}

#[test]
fn of_a_line_that_moves_slowly_only_the_share_waits_here() {
    let mut test = Test::new();
    test.arrive("a");
    assert!(test.come(&["b", "c", "d", "e"]).iter().all(Option::is_none));
    // The first shows by itself that it is slow.
    test.now += SECOND;
    let away = test.lines.thin_out(test.now);
    let after = |place: u32| SECOND + APART * place;
    assert_eq!(away, [Step::Away("d", after(3)), Step::Away("e", after(4))]);
    assert!(!test.lines.is_crowded());
    assert_eq!(test.arrive("f"), Some(Step::Away("f", SECOND * 5 / 2)), "after half of what it has to wait");
    assert_eq!(test.lines.arrive("other".to_owned(), &"x".into(), "x", test.now), Some(Step::Run("x")));
    assert_eq!(test.finished(None), [Step::Run("b")]);
    // They come back before their turn, and in any order.
    assert_eq!(test.arrive("e"), Some(Step::Away("e", SECOND * 3 / 2)));
    assert_eq!(test.arrive("d"), None);
    assert_eq!(test.finished(None), [Step::Run("c")]);
    assert_eq!(test.finished(None), [Step::Run("d")]);
    assert_eq!(test.finished(None), [], "the next one is away");
    assert!(matches!(test.arrive("f"), Some(Step::Away("f", _))));
    assert_eq!(test.arrive("e"), Some(Step::Run("e")));
    assert_eq!(test.arrive("f"), None);
    assert_eq!(test.finished(None), [Step::Run("f")]);
    assert_eq!(test.finished(None), []);
    assert_eq!((test.lines.by_key.len(), test.lines.away), (1, 0));
}

#[test]
fn no_more_are_sent_away_for_being_many_than_can_be_remembered() {
    let mut test = Test::new();
    test.arrive("a");
    test.now += SECOND;
    let ids: Vec<Arc<str>> = (0..=MOST_AWAY + 2).map(|n| n.to_string().into()).collect();
    let away = ids.iter().filter(|id| test.lines.arrive("k".to_owned(), id, "x", test.now).is_some()).count();
    assert_eq!((away, test.lines.away), (MOST_AWAY, MOST_AWAY));
    assert_eq!(test.lines.by_key["k"].here(), 3, "the share, and one for which there is no other place");
}

#[test]
fn who_is_here_when_the_first_is_given_up_is_next() {
    let mut test = Test::new();
    test.arrive("a");
    test.arrive("b");
    test.finished(Some(SECOND));
    test.now += SECOND;
    test.arrive("a");
    // It waits here, behind one that is away.
    assert_eq!(test.arrive("c"), None);
    assert_eq!(test.finished(None), []);
    test.now += SECOND * 31;
    assert_eq!(test.arrive("d"), Some(Step::Away("d", APART * 2)), "it is new, and gives nobody up");
    assert_eq!(test.arrive("d"), Some(Step::Run("c")));
    assert_eq!(test.finished(None), [Step::Run("d")]);
}

#[test]
fn one_that_is_known_not_to_return_is_given_up_at_once() {
    let mut test = Test::new();
    test.arrive("a");
    test.come(&["b", "c", "d"]);
    test.finished(Some(SECOND));
    let gone = |test: &mut Test, id: &str| test.lines.give_up("k", &id.into(), test.now);
    assert_eq!(gone(&mut test, "c"), None, "there is one before it");
    assert_eq!(gone(&mut test, "c"), None, "it stands there no more");
    test.now += SECOND;
    assert_eq!(test.arrive("d"), Some(Step::Away("d", APART * 2)), "two are before it");
    assert_eq!(gone(&mut test, "a"), None, "the next one is away, too");
    assert_eq!(gone(&mut test, "x"), None);
    assert_eq!(test.arrive("d"), Some(Step::Away("d", APART * 2)), "b goes first");
    assert_eq!(test.arrive("b"), Some(Step::Run("b")));
    assert_eq!(gone(&mut test, "b"), None, "it is here");
    assert_eq!(gone(&mut test, "d"), None);
    assert_eq!(test.finished(None), []);
    assert_eq!((test.lines.by_key.len(), test.lines.away), (0, 0));
}

#[test]
fn who_waits_here_behind_one_that_is_given_up_is_next() {
    let mut test = Test::new();
    test.arrive("a");
    test.arrive("b");
    test.finished(Some(SECOND));
    test.now += SECOND;
    test.arrive("a");
    assert_eq!(test.arrive("c"), None);
    assert_eq!(test.finished(None), [], "b is away");
    assert_eq!(test.lines.give_up("k", &"b".into(), test.now), Some("c"));
    assert_eq!(test.finished(None), []);
    assert_eq!((test.lines.by_key.len(), test.lines.away), (0, 0));
}
