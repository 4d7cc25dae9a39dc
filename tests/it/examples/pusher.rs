//! Notifications through Pusher: what gathers while its server or the node is down reaches the page at a rate, and nothing is lost.

use super::{Example, SOON};
use gristmill_tests::{eventually, peers, process::Process, redis::free_port};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{SystemTime, UNIX_EPOCH},
};

/// What the configurations say: so many a second, so many at once after a pause, and so many taken before they are delivered.
const RATE: f64 = 50.0;
const BURST: f64 = 5.0;
const IN_FLIGHT: usize = 64;
const DAY: f64 = 86_400.0;

/// The example with ports of its own, and not as many notifications; nothing where soketi has not been fetched.
fn example() -> Option<Example> {
    peers::pusher()?;
    let port = free_port().to_string();
    let example = Example::of("notifications-pusher", &["pusher"])
        .instead("seq 500", "seq 200")
        .instead("> target/pushed", "> /dev/null")
        .env("SOKETI_PORT", &port)
        .env("SOKETI_METRICS_SERVER_PORT", &free_port().to_string())
        .env("PUSHER_PORT", &port)
        .env("PUSHER_URL", &format!("http://127.0.0.1:{port}"));
    Some(example)
}

fn soketi(example: &Example, command: &str) -> Process {
    example.start("soketi", command, "up and running")
}

/// As Ctrl-C does.
#[track_caller]
fn interrupt(process: &mut Process) {
    process.signal(Signal::INT);
    process.wait(SOON);
}

/// A page that listens.
struct Page(Process);

/// What a page has heard.
struct Hit {
    /// When, in seconds of its day.
    at: f64,
    views: u64,
}

impl Page {
    #[track_caller]
    fn open(example: &Example, command: &str) -> Self {
        Self(example.start("page", command, "listens to gauge-1"))
    }

    /// How often it has come to its channel.
    fn joined(&self) -> usize {
        self.0.log().matches("listens to gauge-1").count()
    }

    fn hits(&self) -> Vec<Hit> {
        self.0.log().lines().filter_map(Hit::read).collect()
    }

    /// Waits until it has heard all of these.
    #[track_caller]
    fn hears(&self, expected: &BTreeSet<u64>) -> Vec<Hit> {
        eventually(SOON, &format!("the page hears all {}", expected.len()), || {
            let hits = self.hits();
            let views: BTreeSet<u64> = hits.iter().map(|hit| hit.views).collect();
            (views == *expected).then_some(hits)
        })
    }
}

impl Hit {
    fn read(line: &str) -> Option<Self> {
        let (at, hit) = line.split_once(" hit ")?;
        let hit: Value = serde_json::from_str(hit).ok()?;
        let mut parts = at.split(':').map(|part| part.parse::<f64>());
        let (Some(Ok(hours)), Some(Ok(minutes)), Some(Ok(seconds))) = (parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        Some(Self { at: hours * 3_600.0 + minutes * 60.0 + seconds, views: hit["views"].as_u64()? })
    }
}

/// The time as pages tell it.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64().rem_euclid(DAY)
}

/// Wants no hit since `start` to be earlier than the rate allows; a busy machine makes them later, never earlier. When it began, `more` may
/// have been on their way.
#[track_caller]
fn never_too_fast(hits: &[Hit], start: f64, more: usize) {
    let mut passed: Vec<f64> =
        hits.iter().map(|hit| (hit.at - start).rem_euclid(DAY)).filter(|at| *at < DAY / 2.0).collect();
    passed.sort_by(f64::total_cmp);
    let mut seconds = BTreeMap::<u64, usize>::new();
    for at in &passed {
        *seconds.entry(*at as u64).or_default() += 1;
    }
    eprintln!("hits in each second: {seconds:?}");
    for (before, at) in passed.iter().enumerate() {
        // Milliseconds were cut off.
        let allowed = BURST + more as f64 + RATE * (at + 0.002);
        assert!(before as f64 <= allowed, "{before} came before one at {at:.3} s, where {allowed:.1} may: {seconds:?}");
    }
}

/// How many notifications Redis holds, whether they wait, are in flight, or wait to be tried again.
fn held(example: &Example) -> usize {
    const HELD: &str = "local held = 0
for _, key in ipairs(redis.call('KEYS', '*notifications*')) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'list' then held = held + redis.call('LLEN', key) end
  if kind == 'zset' then held = held + redis.call('ZCARD', key) end
end
return held";
    example.redis.ask(&["EVAL", HELD, "0"])
}

#[test]
fn a_page_gets_all_that_gathered_while_the_server_or_the_node_was_down_and_never_too_fast() {
    let Some(example) = example() else { return };
    let [serve, listen, run, push, push_many, status, _] = example.commands();
    let mut server = soketi(&example, &serve);
    let page = Page::open(&example, &listen);
    let mut node = example.node("node", &run);
    example.run(&push);
    page.hears(&[12].into());
    assert!(page.0.log().contains(r#"hit {"title":"Home","views":12}"#), "without its channel, as ever");

    interrupt(&mut server);
    example.run(&push_many);
    eventually(SOON, "the server is left alone", || node.log().contains("the endpoint fails").then_some(()));
    eventually(SOON, "all that was pushed waits", || (held(&example) == 200).then_some(()));
    assert!(example.run(&status).contains(": failing, breaker "), "its state is shown");
    // What a server takes while a page is not connected the page never gets: the node waits until it is.
    node.signal(Signal::STOP);
    let _server = soketi(&example, &serve);
    eventually(SOON, "the page is back", || (page.joined() > 1).then_some(()));
    let back = now();
    node.signal(Signal::CONT);
    let all: BTreeSet<u64> = (1..=200).collect();
    let hits = page.hears(&all);
    never_too_fast(&hits[1..], back, IN_FLIGHT);
    assert_eq!(hits.len(), 201, "each of them once");
    eventually(SOON, "nothing is left", || (held(&example) == 0).then_some(()));

    // Twice as many, and the node dies over them.
    example.run(&push_many);
    eventually(SOON, "some have come", || (page.hits().len() > 220).then_some(()));
    node.kill9();
    let before = page.hits().len();
    example.run(&push_many);
    let start = now();
    let _node = example.node("another node", &run);
    eventually(SOON, "nothing is left", || (held(&example) == 0).then_some(()));
    let hits = eventually(SOON, "each is heard twice more", || {
        let hits = page.hits();
        let times = |views: u64| hits.iter().filter(|hit| hit.views == views).count();
        all.iter().all(|views| times(*views) >= 3).then_some(hits)
    });
    never_too_fast(&hits[before..], start, 0);
    assert!(hits.len() <= 601 + IN_FLIGHT, "only what was in flight may come twice: {}", hits.len());
}

#[test]
fn readers_who_want_the_newest_get_it_first_and_no_long_past() {
    let Some(example) = example() else { return };
    let [serve, listen, _, _, push_many, _, newest] = example.commands();
    let _server = soketi(&example, &serve);
    let page = Page::open(&example, &listen);
    example.run(&push_many);
    let start = now();
    let node = example.node("node", &newest);
    eventually(SOON, "nothing is left", || (held(&example) == 0).then_some(()));
    // Some may have been taken before the rest was dropped.
    let hits = eventually(SOON, "what was kept is heard", || Some(page.hits()).filter(|hits| hits.len() >= 100));
    never_too_fast(&hits, start, 0);
    let views: Vec<u64> = hits.iter().map(|hit| hit.views).collect();
    let oldest = views.iter().min().unwrap();
    assert!(views.contains(&200) && (80..=101).contains(oldest), "the newest are kept: {views:?}");
    // They overtake each other where the machine is busy: of all pairs few are the wrong way round.
    let pairs = (0..views.len()).flat_map(|one| (one + 1..views.len()).map(move |other| (one, other)));
    let wrong = pairs.filter(|&(one, other)| views[one] < views[other]).count();
    assert!(wrong < views.len() * views.len() / 8, "the newest come first: {views:?}");
    assert!(node.log().contains("dropped"), "it says what was dropped: {}", node.log());
}
