//! Dead letters against a real server: found, filtered, replayed, dropped and forgotten.

use super::{Changes, DeadLetters, Error, Filter, Letter, Place};
use crate::{
    config::{self, From},
    message::Trouble,
    source::{
        keys::Keys,
        lane::envelope::Envelope,
        tests::{Node, Server, eventually, pipeline_of},
    },
};
use bytes::Bytes;
use std::time::Duration;

impl Server {
    /// Buries a message at `entry` in the stream beside the list `source`.
    async fn bury(&self, source: &str, entry: &str, pipeline: &str, envelope: &Envelope) -> String {
        self.bury_in(&Keys::new(source).dead(), source, entry, pipeline, envelope).await
    }

    async fn bury_in(&self, stream: &str, source: &str, entry: &str, pipeline: &str, envelope: &Envelope) -> String {
        let mut add = redis::cmd("XADD");
        add.arg(stream).arg(entry).arg("pipeline").arg(pipeline).arg("source").arg(source);
        add.arg("envelope").arg(envelope.line()).arg("payload").arg(b"the \xff bytes");
        add.query_async(&mut self.redis().await).await.unwrap()
    }

    async fn letters(&self, pipelines: &[(&str, From)]) -> DeadLetters {
        let places = pipelines.iter().map(|(name, from)| place(name, from.clone())).collect();
        DeadLetters::open(&self.connector(), places).await.unwrap()
    }

    /// What waits in a list for another attempt.
    async fn retried(&self, list: &str) -> Vec<(Envelope, Bytes)> {
        let sealed: Vec<Vec<u8>> = self.ask(&["LRANGE", list, "0", "-1"]).await;
        sealed.into_iter().map(|sealed| Envelope::open(&sealed.into()).unwrap()).collect()
    }
}

fn lists(names: &[&str]) -> From {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    From::Lists(config::Lists { names, weights: None, pushed: config::End::Right })
}

fn resque(queues: &[&str]) -> From {
    let queues = queues.iter().map(|&queue| queue.to_owned()).collect();
    From::Resque(config::Resque { queues, namespace: "r".into(), host: None, scheduler: false })
}

fn pipeline(from: From) -> config::Pipeline {
    pipeline_of(from, 8)
}

fn place(name: &str, from: From) -> Place {
    Place::of(name, &pipeline(from)).unwrap()
}

fn envelope(id: &str, plugin: &str, reason: &str) -> Envelope {
    let trouble = |attempt, reason: &str| Trouble {
        attempt,
        plugin: Some(plugin.into()),
        digest: None,
        broke: false,
        limit: None,
        reason: reason.into(),
    };
    Envelope {
        id: id.into(),
        attempts: 2,
        crashes: 1,
        received_ms: 7,
        topic: Some("news".into()),
        headers: vec![("user".into(), "Mia".into()), ("Replayed-From".into(), "older".into())],
        item: Some("foreign".into()),
        place: None,
        troubles: vec![trouble(1, "at first"), trouble(2, reason)],
        succeeded: vec!["hook".into()],
    }
}

async fn ids(letters: &DeadLetters, filter: Filter) -> Vec<String> {
    let mut walk = letters.walk(filter).await.unwrap();
    let mut ids = Vec::new();
    while let Some(letter) = walk.next().await.unwrap() {
        ids.push(letter.id);
    }
    ids
}

async fn only(letters: &mut DeadLetters, entry: &str) -> Letter {
    let mut found = letters.find(entry, &Filter::default()).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[tokio::test]
async fn letters_of_several_lists_are_read_page_by_page_in_order_of_their_deaths() {
    let server = Server::start().await;
    for n in 0..500 {
        let source = if n % 3 == 0 { "a" } else { "b" };
        server.bury(source, &format!("{}-{}", 1_000 + n / 5, n % 5), "jobs", &envelope(&n.to_string(), "p", "r")).await;
    }
    let letters = server.letters(&[("jobs", lists(&["b", "a", "empty"]))]).await;
    let expected: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    assert_eq!(ids(&letters, Filter::default()).await, expected);
}

#[tokio::test]
async fn a_letter_keeps_the_whole_story() {
    let server = Server::start().await;
    server.bury("a", "5-1", "jobs", &envelope("x", "p", "r")).await;
    let letter = only(&mut server.letters(&[("jobs", lists(&["a"]))]).await, "5-1").await;
    assert_eq!((&*letter.id, &*letter.pipeline, &*letter.source, letter.attempts), ("x", "jobs", "a", 3));
    assert_eq!((letter.reason(), letter.plugin(), letter.died_ms(), letter.received_ms), ("r", Some("p"), 5, 7));
    assert_eq!((&letter.payload[..], letter.troubles.len()), (&b"the \xff bytes"[..], 2));
}

#[tokio::test]
async fn a_walk_ends_with_what_was_there_when_it_began() {
    let server = Server::start().await;
    for n in 0..300 {
        server.bury("a", "*", "jobs", &envelope(&n.to_string(), "p", "r")).await;
    }
    let mut letters = server.letters(&[("jobs", lists(&["a"]))]).await;
    let mut walk = letters.walk(Filter::default()).await.unwrap();
    let mut seen = 0;
    while let Some(letter) = walk.next().await.unwrap() {
        assert!(letters.replay(&letter, &Changes::default()).await.unwrap().is_some());
        // It dies again at once.
        server.bury("a", "*", "jobs", &envelope(&letter.id, "p", "again")).await;
        seen += 1;
    }
    assert_eq!((seen, letters.count().await.unwrap()), (300, 300));
}

#[tokio::test]
async fn filters_let_through_what_they_say_by_the_clock_of_redis() {
    let server = Server::start().await;
    let seconds: u64 = server.ask::<(u64, u64)>(&["TIME"]).await.0;
    let at = |ago: u64| format!("{}-1", (seconds - ago) * 1_000);
    server.bury("a", &at(7_200), "jobs", &envelope("old", "http", "status 503")).await;
    server.bury("b", &at(3_000), "jobs", &envelope("middle", "http", "status 404")).await;
    server.bury("a", &at(60), "jobs", &envelope("young", "anonymize", "status 503")).await;
    let letters = server.letters(&[("jobs", lists(&["a", "b"]))]).await;
    let hour = Some(Duration::from_secs(3_600));
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        (Filter { older: hour, ..Filter::default() }, "old"),
        (Filter { newer: hour, ..Filter::default() }, "middle young"),
        (Filter { newer: hour, older: Some(Duration::from_secs(600)), ..Filter::default() }, "middle"),
        (Filter { older: Some(Duration::from_secs(86_400)), ..Filter::default() }, ""),
        (Filter { newer: Some(Duration::MAX), ..Filter::default() }, "old middle young"),
        (Filter { plugin: text("http"), ..Filter::default() }, "old middle"),
        (Filter { plugin: text("htt"), ..Filter::default() }, ""),
        (Filter { reason: text("503"), ..Filter::default() }, "old young"),
        (Filter { reason: text("at first"), ..Filter::default() }, ""),
        (Filter { source: text("b"), ..Filter::default() }, "middle"),
        (Filter { id: text("young"), ..Filter::default() }, "young"),
        (Filter { plugin: text("http"), reason: text("503"), newer: hour, ..Filter::default() }, ""),
        (Filter { pipeline: text("other"), ..Filter::default() }, ""),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&letters, filter.clone()).await.join(" "), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn pipelines_that_share_a_stream_have_their_own_letters_and_what_is_no_letter_is_passed_over() {
    let server = Server::start().await;
    for n in 0..150 {
        let pipeline = if n < 140 { "one" } else { "two" };
        server.bury_in("shared", "q", "*", pipeline, &envelope(&n.to_string(), "p", "r")).await;
        server.ask::<String>(&["XADD", "shared", "*", "something", "else"]).await;
    }
    let shared = |from| config::Pipeline { dead_letters: Some("shared".to_owned()), ..pipeline(from) };
    let places =
        vec![Place::of("one", &shared(lists(&["q"]))).unwrap(), Place::of("two", &shared(lists(&["r"]))).unwrap()];
    let letters = DeadLetters::open(&server.connector(), places).await.unwrap();
    let two = Filter { pipeline: Some("two".to_owned()), ..Filter::default() };
    assert_eq!(ids(&letters, two).await, (140..150).map(|n: u32| n.to_string()).collect::<Vec<_>>());
    assert_eq!(ids(&letters, Filter::default()).await.len(), 150, "the stream is read once");
}

#[tokio::test]
async fn entries_of_the_same_millisecond_in_two_streams_are_both_found() {
    let server = Server::start().await;
    server.bury("a", "5-0", "jobs", &envelope("x", "p", "r")).await;
    server.bury("b", "5-0", "jobs", &envelope("y", "p", "r")).await;
    let mut letters = server.letters(&[("jobs", lists(&["a", "b"]))]).await;
    assert_eq!(letters.find("5-0", &Filter::default()).await.unwrap().len(), 2);
    let of_b = Filter { source: Some("b".to_owned()), ..Filter::default() };
    let found = letters.find("5-0", &of_b).await.unwrap();
    assert_eq!((found.len(), &*found[0].id), (1, "y"));
    assert!(letters.drop(&found[0]).await.unwrap());
    assert!(!letters.drop(&found[0]).await.unwrap());
    assert_eq!(ids(&letters, Filter::default()).await, ["x"]);
    assert_eq!(server.ask::<u32>(&["EXISTS", &Keys::new("b").dead()]).await, 0, "nothing stays behind");
    for nonsense in ["5", "-", "+", "x-y", ""] {
        assert_eq!(letters.find(nonsense, &Filter::default()).await.unwrap(), [], "{nonsense}");
    }
}

#[tokio::test]
async fn a_letter_goes_back_beside_the_queue_it_came_from() {
    let server = Server::start().await;
    let mut letters = server.letters(&[("jobs", lists(&["a", "b"]))]).await;
    server.bury("b", "1-0", "jobs", &envelope("x", "p", "r")).await;
    let letter = only(&mut letters, "1-0").await;
    let replayed = letters.replay(&letter, &Changes::default()).await.unwrap().unwrap();
    assert_eq!((&*replayed.id, &*replayed.to), ("x", "jobs"));
    let past = Envelope { attempts: 0, crashes: 0, troubles: Vec::new(), ..envelope("x", "p", "r") };
    let expected = [(past, Bytes::from_static(b"the \xff bytes"))];
    assert_eq!(server.retried(&Keys::new("b").retry()).await, expected);
    assert_eq!(letters.replay(&letter, &Changes::default()).await.unwrap(), None, "once");
}

#[tokio::test]
async fn through_another_pipeline_all_its_publishers_run_and_the_id_stays() {
    let server = Server::start().await;
    let mut letters = server.letters(&[("jobs", lists(&["{t}a"]))]).await;
    // One in the same slot, one in another.
    for other in ["{t}other", "elsewhere"] {
        server.bury("{t}a", "1-0", "jobs", &envelope("x", "p", "r")).await;
        let letter = only(&mut letters, "1-0").await;
        let changes = Changes { to: Some(place("other", lists(&[other]))), payload: None };
        assert_eq!(letters.replay(&letter, &changes).await.unwrap().unwrap().to, "other");
        let retried = server.retried(&Keys::new(other).retry()).await;
        let past = &retried[0].0;
        assert_eq!((retried.len(), &*past.id, past.attempts), (1, "x", 0));
        assert_eq!((&past.item, past.succeeded.len()), (&None, 0));
        assert_eq!(letters.replay(&letter, &changes).await.unwrap(), None, "once");
        assert_eq!(letters.count().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn an_edited_letter_is_another_message_that_names_the_first() {
    let server = Server::start().await;
    let mut letters = server.letters(&[("jobs", lists(&["a"]))]).await;
    server.bury("a", "1-0", "jobs", &envelope("x", "p", "r")).await;
    let letter = only(&mut letters, "1-0").await;
    let changes = Changes { to: None, payload: Some(b"mended".to_vec()) };
    let replayed = letters.replay(&letter, &changes).await.unwrap().unwrap();
    let (past, payload) = server.retried(&Keys::new("a").retry()).await.remove(0);
    assert_eq!((&past.id, &payload[..]), (&replayed.id, &b"mended"[..]));
    assert_ne!(replayed.id, "x");
    assert_eq!(past.headers, [("user".into(), "Mia".into()), ("replayed-from".into(), "x".into())]);
    assert_eq!((past.succeeded.len(), past.item.as_deref()), (0, Some("foreign")));
}

#[tokio::test]
async fn the_same_bytes_again_are_no_edit() {
    let server = Server::start().await;
    let mut letters = server.letters(&[("jobs", lists(&["a"]))]).await;
    server.bury("a", "1-0", "jobs", &envelope("x", "p", "r")).await;
    let letter = only(&mut letters, "1-0").await;
    let changes = Changes { to: None, payload: Some(letter.payload.clone()) };
    assert_eq!(letters.replay(&letter, &changes).await.unwrap().unwrap().id, "x");
}

#[tokio::test]
async fn the_letter_of_a_pipeline_that_is_gone_needs_another_one() {
    let server = Server::start().await;
    let mut letters = server.letters(&[("jobs", lists(&["a"]))]).await;
    server.bury("a", "1-0", "former", &envelope("x", "p", "r")).await;
    let letter = only(&mut letters, "1-0").await;
    let refused = letters.replay(&letter, &Changes::default()).await.unwrap_err();
    assert!(matches!(&refused, Error::Homeless { pipeline, .. } if pipeline == "former"), "{refused}");
    let changes = Changes { to: Some(place("jobs", lists(&["a"]))), payload: None };
    assert_eq!(letters.replay(&letter, &changes).await.unwrap().unwrap().to, "jobs");
}

#[tokio::test]
async fn a_full_redis_still_replays_and_drops() {
    let server = Server::start().await;
    let mut letters = server.letters(&[("jobs", lists(&["a"]))]).await;
    server.bury("a", "1-0", "jobs", &envelope("x", "p", "r")).await;
    server.bury("a", "2-0", "jobs", &envelope("y", "p", "r")).await;
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let (one, other) = (only(&mut letters, "1-0").await, only(&mut letters, "2-0").await);
    assert!(letters.replay(&one, &Changes::default()).await.unwrap().is_some());
    assert!(letters.drop(&other).await.unwrap());
    assert_eq!(server.retried(&Keys::new("a").retry()).await.len(), 1);
}

fn retry_of(place: &Place, pipeline: &str, source: &str) -> Result<String, Error> {
    let trouble = envelope("x", "p", "r").troubles;
    place.retry(&Letter {
        entry: "1-0".into(),
        stream: "s".into(),
        id: "x".into(),
        pipeline: pipeline.into(),
        source: source.into(),
        attempts: 1,
        received_ms: 1,
        troubles: trouble,
        succeeded: Vec::new(),
        topic: None,
        headers: Vec::new(),
        item: None,
        payload: Vec::new(),
    })
}

#[test]
fn every_kind_of_source_takes_again_beside_itself() {
    let stream = From::Stream(config::Stream {
        name: "s".into(),
        group: "g".into(),
        start: config::Start::Oldest,
        payload: "payload".into(),
        done: config::Done::Keep,
        claim: None,
    });
    let thoonk = From::Thoonk(config::Thoonk {
        feed: "f".into(),
        kind: None,
        claim: Duration::from_secs(600),
        cancels: 3,
        result: false,
    });
    let cases = [
        (lists(&["a", "b"]), "b", Keys::new("b")),
        (lists(&["a", "b"]), "elsewhere", Keys::new("a")),
        (stream, "s", Keys::of_group("s", "g")),
        (thoonk, "f", Keys::new("feed.ids:f")),
        (resque(&["high", "low"]), "low", Keys::new("r:queue:low")),
        (resque(&["!x*", "*", "high"]), "elsewhere", Keys::new("r:queue:high")),
    ];
    for (from, source, keys) in cases {
        let place = place("jobs", from.clone());
        assert_eq!(retry_of(&place, "another", source).unwrap(), keys.retry(), "{from}");
    }
}

#[test]
fn a_resque_queue_found_by_pattern_takes_back_what_it_gave_up_and_nothing_else() {
    let place = place("jobs", resque(&["*"]));
    for source in ["new", "r:queue:new"] {
        assert_eq!(retry_of(&place, "jobs", source).unwrap(), Keys::new("r:queue:new").retry());
    }
    let refused = retry_of(&place, "another", "new").unwrap_err();
    assert!(matches!(refused, Error::NoQueue { .. }), "{refused}");
}

#[test]
fn channels_have_no_dead_letters() {
    let channels = config::Channels { kind: config::ChannelKind::Exact, names: vec!["news".into()] };
    let refused = Place::of("jobs", &pipeline(From::Channels(channels))).unwrap_err();
    assert!(refused.to_string().contains("`jobs` takes from channel `news`"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_letters_are_kept_than_allowed_and_none_for_longer() {
    let server = Server::start().await;
    let now_ms = server.ask::<(u64, u64)>(&["TIME"]).await.0 * 1_000;
    for (index, age_s) in [7_200, 3_700, 3_000, 2_000, 1_000].into_iter().enumerate() {
        let entry = format!("{}-0", now_ms - age_s * 1_000);
        server.bury("a", &entry, "jobs", &envelope(&index.to_string(), "p", "r")).await;
        server.bury("b", &entry, "jobs", &envelope(&index.to_string(), "p", "r")).await;
    }
    let most = config::KeepDead { most: 2, longest: Duration::from_secs(365 * 86_400) };
    expect_kept(&server, "a", most, &["3", "4"]).await;
    let longest = config::KeepDead { most: 1_000, longest: Duration::from_secs(3_600) };
    expect_kept(&server, "b", longest, &["2", "3", "4"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_stream_stays_for_a_group_that_reads_from_it_and_else_goes() {
    let server = Server::start().await;
    let mut letters = server.letters(&[("jobs", lists(&["a", "b"]))]).await;
    let exists = async |list: &str| server.ask::<bool>(&["EXISTS", &Keys::new(list).dead()]).await;
    for list in ["a", "b"] {
        server.bury(list, "1-0", "jobs", &envelope(list, "p", "r")).await;
    }
    server.ask::<String>(&["XGROUP", "CREATE", &Keys::new("a").dead(), "others", "$"]).await;
    for letter in letters.find("1-0", &Filter::default()).await.unwrap() {
        assert!(letters.drop(&letter).await.unwrap());
    }
    assert!(exists("a").await && !exists("b").await);
    for list in ["a", "b"] {
        server.bury(list, "2-0", "jobs", &envelope(list, "p", "r")).await;
        expect_kept(&server, list, config::KeepDead { most: 10, longest: Duration::from_secs(1) }, &[]).await;
    }
    assert!(exists("a").await && !exists("b").await);
}

/// Takes from `list` with these bounds until only these are left.
async fn expect_kept(server: &Server, list: &str, keep_dead: config::KeepDead, left: &[&str]) {
    let letters = server.letters(&[("jobs", lists(&[list]))]).await;
    let node = Node::with(server, "n", &config::Pipeline { keep_dead, ..pipeline(lists(&[list])) });
    eventually("few are kept", || async { ids(&letters, Filter::default()).await == left }).await;
    node.end().await;
}
