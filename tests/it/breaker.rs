//! What a server says of itself, or shows by failing, holds for all messages that go to it, and for no others.

use crate::jobs::{PATIENT, SOON, all_arrive, arrived, jobs, nothing_is_left, number, pipeline};
use gristmill_tests::{Answer, Dead, Mill, Redis, Sink, eventually, eventually::pause, holds_for};
use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// Of `[endpoint."$AUTHORITY"]`.
fn endpoint(keys: &str) -> String {
    format!("{PATIENT}\n[endpoint.\"$AUTHORITY\"]\n{keys}\n")
}

/// A mill whose messages are entries of the stream `events`, and say by their field `port` which of two servers they go to.
fn two(keys: &str, tables: &str) -> (Mill, Sink) {
    let other = Sink::start();
    let config = pipeline(keys, tables)
        .replace("{ list = \"jobs\" }", "{ stream = \"events\", group = \"g\" }")
        .replace("$SINK/hooks/{topic}", "http://127.0.0.1:{header:port}/hooks")
        .replace("[\"$AUTHORITY\"]", &format!("[\"$AUTHORITY\", \"{}\"]", other.authority()));
    (Mill::new().plugins(&["http"]).config(&config), other)
}

fn port(sink: &Sink) -> String {
    sink.authority().rsplit_once(':').unwrap().1.to_owned()
}

/// Adds messages that go to this server.
fn push_to(redis: &Redis, sink: &Sink, numbers: std::ops::Range<u64>) {
    let port = port(sink);
    let mut connection = redis.connect();
    let mut pipe = redis::pipe();
    for number in numbers {
        pipe.cmd("XADD")
            .arg("events")
            .arg("*")
            .arg("port")
            .arg(&port)
            .arg("payload")
            .arg(format!("{{\"id\":{number}}}"));
    }
    pipe.exec(&mut connection).unwrap();
}

fn direct(keys: &str, endpoint_keys: &str) -> Mill {
    Mill::new().plugins(&["http"]).config(&pipeline(keys, &endpoint(endpoint_keys)))
}

fn most_attempts(mill: &Mill) -> u64 {
    let letters = Dead::of(mill, "jobs").list();
    letters.iter().filter_map(|letter| letter["attempts"].as_u64()).max().unwrap_or(0)
}

#[test]
fn a_server_that_asks_for_a_pause_gets_nothing_while_others_do() {
    let (mill, other) = two("in_flight = 32\nretry = { attempts = 3, first = \"10ms\", longest = \"10ms\" }", PATIENT);
    mill.sink.answer_first(1, Answer::RetryAfter(429, 4));
    let node = mill.node();
    push_to(&mill.redis, &mill.sink, 0..1);
    eventually(SOON, "it has asked", || (mill.sink.count() == 1).then_some(()));
    node.says(&["asks to be left alone", &mill.sink.authority()]);
    let asked = Instant::now();
    // Many times what may be in flight, before those to the other.
    push_to(&mill.redis, &mill.sink, 1..400);
    push_to(&mill.redis, &other, 1_000..1_200);
    eventually(SOON, "the other has all of its own", || (other.count() == 200).then_some(()));
    let quick = asked.elapsed() < Duration::from_secs(3);
    assert!(!quick || mill.sink.count() == 1, "{} came within the pause", mill.sink.count());
    assert_eq!(all_arrive(&mill.sink, 0..400), 1, "one came twice, as it was refused");
    let second = mill.sink.received()[1].at;
    assert!(
        second >= mill.sink.received()[0].at + Duration::from_millis(3_950),
        "{:?}",
        second - mill.sink.received()[0].at
    );
    assert!(mill.redis.keys("*:dead").is_empty(), "no attempt was lost");
}

#[test]
fn every_way_of_asking_for_a_pause_is_heard() {
    let date = httpdate(Duration::from_secs(4));
    for (number, answer) in [
        Answer::With(429, "retry-after", date),
        Answer::With(503, "retry-after", "3".to_owned()),
        Answer::With(200, "ratelimit", "\"default\";r=0;t=3".to_owned()),
        Answer::With(200, "ratelimit", "limit=10, remaining=0, reset=3".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let mill = direct("retry = { attempts = 3, first = \"10ms\", longest = \"10ms\" }", "");
        mill.sink.answer_first(1, answer);
        let node = mill.node();
        mill.redis.push("jobs", jobs(0..1));
        node.says(&["asks to be left alone"]);
        mill.redis.push("jobs", jobs(1..50));
        all_arrive(&mill.sink, 0..50);
        let received = mill.sink.received();
        let waited = received[1].at - received[0].at;
        assert!(waited >= Duration::from_millis(1_950), "{number}: the second came after {waited:?}");
    }
}

/// A date so far from now, in whole seconds.
fn httpdate(from_now: Duration) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("+{} seconds", from_now.as_secs()), "+%a, %d %b %Y %H:%M:%S GMT"])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_dead_server_is_tried_by_one_request_at_a_time_and_nothing_that_waits_loses_an_attempt() {
    let keys = "breaker = { failures = 10, share = 0.5, window = \"60s\", pause = \"500ms\" }";
    let mill = direct("in_flight = 32\nretry = { attempts = 2, first = \"10ms\", longest = \"10ms\" }", keys);
    mill.sink.answer(Answer::Status(503));
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..500));
    node.says(&["the endpoint fails", &mill.sink.authority()]);
    pause(Duration::from_secs(1));
    let (seen, since) = (mill.sink.count(), Instant::now());
    assert!(seen <= 10 + 2 * 32, "{seen} were sent before it was left alone");
    pause(Duration::from_secs(3));
    let tried = mill.sink.count() - seen;
    let most = since.elapsed().as_millis() as usize / 500 + 1;
    assert!(tried <= most, "{tried} were tried within {:?}", since.elapsed());
    mill.sink.answer(Answer::Status(200));
    node.says(&["the endpoint is back"]);
    let buried = || Dead::of(&mill, "jobs").list().len();
    eventually(SOON, "all others have come", || (arrived_well(&mill, seen + tried) + buried() >= 500).then_some(()));
    nothing_but_letters(&mill);
    // Two attempts each for those that were really sent.
    assert!(buried() <= (seen + tried) / 2 + 1, "{} are dead of {} that were sent in vain", buried(), seen + tried);
    assert!(most_attempts(&mill) <= 2);
}

/// How many different jobs came behind the first so many requests.
fn arrived_well(mill: &Mill, before: usize) -> usize {
    mill.sink.received().iter().skip(before).map(number).collect::<HashSet<_>>().len()
}

fn nothing_but_letters(mill: &Mill) {
    eventually(SOON, "nothing waits", || {
        let waits: usize = mill.redis.ask(&["ZCARD", "gristmill:{jobs}:jobs:delayed"]);
        (waits == 0 && mill.redis.ask::<usize>(&["LLEN", "jobs"]) == 0).then_some(())
    });
}

#[test]
fn a_server_that_fails_now_and_then_is_not_left_alone() {
    let keys = "breaker = { failures = 5, share = 0.5, window = \"10s\", pause = \"1m\" }";
    let mill = direct("retry = { attempts = 20, first = \"10ms\", longest = \"10ms\" }", keys);
    let asked = AtomicUsize::new(0);
    mill.sink.answer_by(move |_| {
        let fails = asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(5);
        Answer::Status(if fails { 500 } else { 200 })
    });
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..400));
    all_arrive(&mill.sink, 0..400);
    nothing_is_left(&mill.redis);
    assert!(!node.log().contains("the endpoint fails"), "{}", node.log());
}

#[test]
fn a_breaker_that_is_off_lets_everything_try() {
    let mill = direct("retry = { attempts = 3, first = \"10ms\", longest = \"10ms\" }", "breaker.failures = \"never\"");
    mill.sink.answer(Answer::Status(500));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..60));
    eventually(SOON, "all are dead", || (Dead::of(&mill, "jobs").list().len() == 60).then_some(()));
    assert_eq!(mill.sink.count(), 180);
}

#[test]
fn requests_to_one_server_keep_to_its_rate_from_all_pipelines() {
    let second = "\n[pipeline.more]\nfrom = { list = \"more\" }\npublish = [\"http\"]\n";
    let tables = endpoint("rate = \"100/s\"\nburst = 5") + second;
    let mill = Mill::new().plugins(&["http"]).config(&pipeline("", &tables));
    let start = Instant::now();
    mill.redis.push("jobs", jobs(0..150));
    mill.redis.push("more", jobs(150..300));
    let _node = mill.node();
    assert_eq!(all_arrive(&mill.sink, 0..300), 0);
    let last = mill.sink.received().iter().map(|one| one.at).max().unwrap();
    assert!(last - start >= Duration::from_millis(2_940), "300 within {:?}", last - start);
    nothing_is_left(&mill.redis);
}

#[test]
fn nodes_share_the_rate_of_a_server() {
    let mill = direct("in_flight = 64", "rate = \"100/s\"\nburst = 5\nrate_scope = \"cluster\"");
    let start = Instant::now();
    mill.redis.push("jobs", jobs(0..300));
    let nodes = [mill.node_unready(), mill.node_unready()].map(gristmill_tests::Node::ready);
    assert_eq!(all_arrive(&mill.sink, 0..300), 0);
    let last = mill.sink.received().iter().map(|one| one.at).max().unwrap();
    assert!(last - start >= Duration::from_millis(2_940), "300 within {:?}", last - start);
    drop(nodes);
}

#[test]
fn a_server_never_gets_more_at_once_than_its_bound() {
    let mill = direct("in_flight = 64", "in_flight = 3");
    let each = Duration::from_millis(100);
    mill.sink.answer(Answer::Late(each));
    let start = Instant::now();
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..60));
    assert_eq!(all_arrive(&mill.sink, 0..60), 0);
    let last = mill.sink.received().iter().map(|one| one.at).max().unwrap();
    // Twenty rounds of three, the last of which is not waited for.
    assert!(last - start >= each * 19, "{:?}", last - start);
}

#[test]
fn a_slow_server_leaves_room_for_the_others_of_its_pipeline() {
    let (mill, slow) = two("in_flight = 16", "http_timeout = \"30s\"\ntimeout = \"20s\"\n");
    slow.answer(Answer::Late(Duration::from_secs(3)));
    let _node = mill.node();
    push_to(&mill.redis, &mill.sink, 0..20);
    assert_eq!(all_arrive(&mill.sink, 0..20), 0);
    // Both are known now, and the slow one would fill sixteen places for a minute.
    push_to(&mill.redis, &slow, 1_000..1_008);
    eventually(SOON, "it is slow", || (slow.count() == 8).then_some(()));
    pause(Duration::from_secs(1));
    push_to(&mill.redis, &slow, 1_008..1_200);
    push_to(&mill.redis, &mill.sink, 20..320);
    let start = Instant::now();
    assert_eq!(all_arrive(&mill.sink, 0..320), 0);
    assert!(slow.count() < 150, "{} to the slow one, {:?}", slow.count(), start.elapsed());
}

#[test]
fn the_state_of_a_server_is_shown() {
    let keys = "breaker = { failures = 3, share = 0.5, window = \"60s\", pause = \"1m\" }";
    let mill = direct("retry = { attempts = 9, first = \"10ms\", longest = \"10ms\" }", keys);
    mill.sink.answer(Answer::Status(500));
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    node.says(&["the endpoint fails", "it answered 500"]);
    let shown = || -> serde_json::Value { serde_json::from_str(&mill.run(&["status", "--json"]).stdout).unwrap() };
    let one = eventually(SOON, "some were put back", || {
        Some(shown()["endpoints"][0].clone()).filter(|one| one["put_back"].as_u64() >= Some(1))
    });
    assert_eq!((&one["name"], &one["breaker"]), (&mill.sink.authority().into(), &"open".into()), "{one}");
    let page = mill.run(&["status"]).stdout;
    assert!(page.contains(&format!("endpoint  {}: failing, breaker open", mill.sink.authority())), "{page}");
    let attempts = mill.sink.count();
    holds_for(Duration::from_secs(1), "nothing is sent", || mill.sink.count() == attempts);
}

/// Says something else of the server, to a node that runs.
fn reload(mill: &Mill, node: &gristmill_tests::Node, keys: &str, endpoint_keys: &str) {
    let seen = node.log().len();
    mill.write_config(&pipeline(keys, &endpoint(endpoint_keys)));
    node.sighup();
    node.says_after(seen, &["configuration reloaded"]);
}

#[test]
fn another_rate_of_a_server_holds_at_once_for_those_who_wait_and_those_who_come() {
    let mill = direct("in_flight = 16", "rate = \"2/s\"\nburst = 1");
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    eventually(SOON, "two have come", || (mill.sink.count() >= 2).then_some(()));
    reload(&mill, &node, "in_flight = 16", "rate = \"1000/s\"\nburst = 1");
    mill.redis.push("jobs", jobs(20..320));
    // At two a second that would take longer than it is waited for.
    assert_eq!(all_arrive(&mill.sink, 0..320), 0);
    nothing_is_left(&mill.redis);
}

#[test]
fn what_is_said_anew_of_the_way_to_a_server_does_not_make_it_one_that_never_failed() {
    let keys = "retry = { attempts = 9, first = \"10ms\", longest = \"10ms\" }";
    let breaker = "breaker = { failures = 3, share = 0.5, window = \"60s\", pause = \"1m\" }";
    let mill = direct(keys, breaker);
    mill.sink.answer(Answer::Status(500));
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    node.says(&["the endpoint fails", "it answered 500"]);
    reload(&mill, &node, keys, &format!("{breaker}\nconnect_timeout = \"7s\"\nfirst_byte_timeout = \"8s\""));
    let attempts = mill.sink.count();
    mill.redis.push("jobs", jobs(20..40));
    holds_for(Duration::from_secs(2), "nothing is sent", || mill.sink.count() == attempts);
    assert!(mill.run(&["status"]).stdout.contains("failing, breaker open"));
}

#[test]
fn a_node_ends_at_once_while_messages_wait_for_a_server() {
    let mill = direct("in_flight = 16", "rate = \"1/min\"");
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..40));
    eventually(SOON, "one has come", || (mill.sink.count() == 1).then_some(()));
    let start = Instant::now();
    assert_eq!(node.terminate(), 0);
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(arrived(&mill.sink).len(), 1);
}

#[test]
fn who_wants_the_newest_is_not_made_to_wait_for_what_gathered_before_a_server_was_back() {
    let keys = "take = \"newest\"\nbacklog = { keep = 50, drop = \"oldest\" }\nin_flight = 10\n\
                retry = { attempts = 1000, first = \"100ms\", longest = \"1s\" }";
    let mut mill = direct(keys, "breaker = { failures = 5, pause = \"1s\" }");
    mill.sink.stop();
    let node = mill.node();
    mill.redis.push("jobs", jobs(0..300));
    node.says(&["the endpoint fails"]);
    let away = |mill: &Mill| -> usize { mill.redis.ask(&["ZCARD", "gristmill:{jobs}:jobs:delayed"]) };
    eventually(SOON, "some are put back", || (away(&mill) >= 40).then_some(()));
    for some in 1..10 {
        mill.redis.push("jobs", jobs(some * 300..(some + 1) * 300));
        // Those in flight when it began to fail have been put back for another attempt.
        holds_for(Duration::from_millis(300), "no more are put back", || away(&mill) <= 50 + 10);
    }
    eventually(SOON, "the rest is dropped", || (mill.redis.len("jobs") <= 50).then_some(()));
    mill.sink.restart();
    nothing_is_left(&mill.redis);
    let arrived = arrived(&mill.sink);
    assert!((2_950..3_000).all(|number| arrived.contains_key(&number)), "the newest arrive: {arrived:?}");
    // Beside those that waited in the list and those that were put back: those that were due again and not yet taken, and those in flight.
    assert!(arrived.len() <= 300, "{} of 3000", arrived.len());
}
