//! Publishers that take many messages at once: how those are gathered, and that each is settled by what becomes of it alone.

use crate::jobs::{SOON, jobs, nothing_is_left};
use gristmill_tests::{
    Answer, Dead, Mill, Received, Redis, built, eventually, eventually::pause, guest_bytes, replace_file,
};
use serde_json::Value;
use std::{
    collections::{BTreeSet, HashMap},
    fs,
    ops::Range,
    thread,
    time::Duration,
};

/// The pipeline `jobs`, with further keys of its own, that publishes with the guest `bulk`, with further keys of its.
fn config(keys: &str, bulk: &str) -> String {
    format!(
        r#"lease = "1s"

[pipeline.jobs]
from = {{ list = "jobs" }}
publish = ["bulk"]
{keys}

[plugin.bulk]
config = {{ url = "$SINK/bulk" }}
allow_http = ["$AUTHORITY"]
timeout = "20s"
{bulk}
"#
    )
}

fn mill(keys: &str, bulk: &str) -> Mill {
    Mill::on(Redis::start()).guests(&["bulk"]).config(&config(keys, bulk))
}

/// The numbers of the jobs in one request.
fn numbers(received: &Received) -> Vec<u64> {
    let text = received.text();
    let number = |line: &str| serde_json::from_str::<Value>(line).ok()?["id"].as_u64();
    text.lines().map(|line| number(line).expect("every line is a job")).collect()
}

/// How often each job has been sent.
fn sent(mill: &Mill) -> HashMap<u64, usize> {
    let mut times = HashMap::new();
    for number in mill.sink.received().iter().flat_map(numbers) {
        *times.entry(number).or_default() += 1;
    }
    times
}

/// Waits until all of these have been sent, and returns how many were sent more than once.
#[track_caller]
fn all_are_sent(mill: &Mill, wanted: Range<u64>) -> usize {
    eventually(SOON, "all are sent", || {
        let sent = sent(mill);
        wanted.clone().all(|number| sent.contains_key(&number)).then_some(())
    });
    sent(mill).values().filter(|times| **times > 1).count()
}

/// A job that tells the guest what to do with it.
fn order(number: u64, what: &str) -> String {
    format!("{{\"id\":{number},\"do\":\"{what}\"}}")
}

fn sizes(mill: &Mill) -> Vec<usize> {
    mill.sink.received().iter().map(|received| numbers(received).len()).collect()
}

#[test]
fn a_full_batch_waits_for_nothing() {
    let mill = mill("", "batch = { size = 10, linger = \"1h\" }");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..200));
    assert_eq!(all_are_sent(&mill, 0..200), 0);
    assert_eq!(sizes(&mill), [10; 20]);
    nothing_is_left(&mill.redis);
}

#[test]
fn a_batch_that_is_not_full_goes_when_it_has_waited() {
    let mill = mill("", "batch = { size = 10, linger = \"2s\" }");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..2));
    pause(Duration::from_millis(200));
    mill.redis.push("jobs", jobs(2..3));
    assert_eq!(all_are_sent(&mill, 0..3), 0);
    assert_eq!(sizes(&mill), [3]);
    nothing_is_left(&mill.redis);
}

#[test]
fn without_a_wait_a_batch_is_what_is_at_hand() {
    let mill = mill("", "");
    mill.redis.push("jobs", jobs(0..1000));
    let _node = mill.node();
    assert_eq!(all_are_sent(&mill, 0..1000), 0);
    let sizes = sizes(&mill);
    assert!(sizes.iter().all(|size| *size <= 10), "{sizes:?}");
    assert!(sizes.len() < 300, "{} requests for 1000 messages", sizes.len());
    mill.redis.push("jobs", jobs(1000..1001));
    assert_eq!(all_are_sent(&mill, 0..1001), 0, "one alone waits for nobody");
}

#[test]
fn payloads_that_are_too_long_together_go_apart() {
    let mill = mill("", "batch = { size = 10, linger = \"1s\", kib = 100 }");
    let _node = mill.node();
    let long = |number: u64, kib: usize| format!("{{\"id\":{number},\"text\":\"{}\"}}", "x".repeat(kib << 10));
    mill.redis.push("jobs", (0..6).map(|number| long(number, 45)));
    mill.redis.push("jobs", [long(6, 500)]);
    assert_eq!(all_are_sent(&mill, 0..7), 0);
    let received = mill.sink.received();
    assert!(received.iter().all(|received| received.body.len() <= 100 << 10 || numbers(received) == [6]));
    nothing_is_left(&mill.redis);
}

#[test]
fn each_message_is_settled_by_what_becomes_of_it_alone() {
    let retry = "retry = { attempts = 3, first = \"100ms\", longest = \"100ms\" }";
    let mill = mill(retry, "batch = { size = 10, linger = \"100ms\" }");
    // One in three is refused, one is busy at its first attempt, one is taken.
    mill.sink.answer_by(|received| {
        let attempts = received.header("x-attempts").unwrap_or_default().split(',');
        let status = |(number, attempt): (&u64, &str)| match (number % 3, attempt) {
            (0, _) => 404,
            (1, "1") => 503,
            _ => 200,
        };
        let statuses: Vec<u16> = numbers(received).iter().zip(attempts).map(status).collect();
        Answer::Body(200, format!("{statuses:?}").into())
    });
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..60));
    mill.redis.push("jobs", [order(60, "reject")]);
    let letters = eventually(SOON, "21 dead letters", || {
        let letters = Dead::of(&mill, "jobs").list();
        (letters.len() == 21).then_some(letters)
    });
    nothing_of_jobs_is_left(&mill);
    let times = sent(&mill);
    assert!((0..60).all(|number| times[&number] == if number % 3 == 1 { 2 } else { 1 }), "{times:?}");
    assert!(!times.contains_key(&60));
    let texts: Vec<String> = letters.iter().map(Value::to_string).collect();
    assert_eq!(texts.iter().filter(|text| text.contains("answered 404")).count(), 20, "{texts:?}");
    assert_eq!(texts.iter().filter(|text| text.contains("as it says")).count(), 1, "{texts:?}");
    assert!(texts.iter().all(|text| text.contains("bulk")), "{texts:?}");
}

/// As `nothing_is_left`, where there are dead letters.
#[track_caller]
fn nothing_of_jobs_is_left(mill: &Mill) {
    eventually(SOON, "no message is waiting", || {
        let delayed: usize = mill.redis.ask(&["ZCARD", "gristmill:{jobs}:jobs:delayed"]);
        let lanes: Vec<String> = mill.redis.ask(&["KEYS", "gristmill:{jobs}:jobs:lane:*"]);
        (delayed == 0 && lanes.is_empty() && mill.redis.len("jobs") == 0).then_some(())
    });
}

#[test]
fn one_poisonous_message_is_found_and_those_with_it_are_delivered() {
    let retry = "retry = { attempts = 8, crashes = 2, first = \"100ms\", longest = \"100ms\" }";
    let mill = mill(retry, "batch = { size = 10, linger = \"100ms\" }");
    let _node = mill.node();
    let mut all = jobs(0..100);
    all.insert(42, order(1000, "trap"));
    all.insert(77, order(1001, "astray"));
    mill.redis.push("jobs", all);
    assert_eq!(all_are_sent(&mill, 0..100), 0, "nothing is sent twice");
    let letters = eventually(SOON, "two dead letters", || {
        let letters = Dead::of(&mill, "jobs").list();
        (letters.len() == 2).then_some(letters)
    });
    let texts = letters.iter().map(Value::to_string).collect::<String>();
    assert!(texts.contains("poisonous") && texts.contains("it names the message 1 of 1"), "{texts}");
    nothing_of_jobs_is_left(&mill);
}

#[test]
fn a_message_that_is_poisonous_when_answers_are_judged_takes_none_with_it() {
    let retry = "retry = { attempts = 8, crashes = 1 }";
    let mill = mill(retry, "batch = { size = 5, linger = \"1h\" }");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..4).into_iter().chain([order(4, "trap late")]));
    eventually(SOON, "it is a dead letter", || (Dead::of(&mill, "jobs").list().len() == 1).then_some(()));
    nothing_of_jobs_is_left(&mill);
    // Once together, and once alone, as nobody had judged the first answer.
    let times = sent(&mill);
    assert!((0..5).all(|number| times[&number] == 2), "{times:?}");
}

#[test]
fn a_message_has_the_same_key_in_all_attempts_and_a_batch_one_of_its_own() {
    let retry = "retry = { attempts = 8, first = \"50ms\", longest = \"50ms\" }";
    let mill = mill(retry, "batch = { size = 3, linger = \"300ms\" }");
    mill.sink.answer_first(2, Answer::Status(503));
    let _node = mill.node();
    mill.redis.push("jobs", [order(0, "alone"), order(1, ""), order(2, "")]);
    eventually(SOON, "both are sent again", || (mill.sink.count() >= 4).then_some(()));
    nothing_is_left(&mill.redis);
    let mut keys: HashMap<Vec<u64>, BTreeSet<String>> = HashMap::new();
    for received in mill.sink.received() {
        let key = received.header("idempotency-key").unwrap().to_owned();
        keys.entry(numbers(&received)).or_default().insert(key);
    }
    let alone = &keys[&vec![0]];
    assert!(alone.len() == 1 && alone.iter().all(|key| key.ends_with("/bulk")), "{keys:?}");
    assert!(keys.values().flatten().collect::<BTreeSet<_>>().len() == keys.len(), "{keys:?}");
}

#[test]
fn a_killed_node_loses_nothing_of_its_batches() {
    const IN_FLIGHT: usize = 64;
    let mill = mill(&format!("in_flight = {IN_FLIGHT}"), "batch = { size = 10, linger = \"5ms\" }");
    mill.sink.answer(Answer::Late(Duration::from_millis(20)));
    mill.redis.push("jobs", jobs(0..3000));
    for kill in 1..=3 {
        let mut node = mill.node();
        eventually(SOON, "it has done some", || (mill.sink.count() >= kill * 40).then_some(()));
        node.kill9();
    }
    let _node = mill.node();
    let twice = all_are_sent(&mill, 0..3000);
    assert!(twice <= 3 * IN_FLIGHT, "{twice} were sent twice");
    nothing_is_left(&mill.redis);
}

#[test]
fn a_publisher_of_batches_and_one_of_single_messages_take_over_from_each_other_under_load() {
    let mill = mill("", "batch = { size = 10, linger = \"5ms\" }");
    let node = mill.node();
    let (bulk, http) = (guest_bytes("bulk"), fs::read(built::plugin("http")).unwrap());
    let pushed = thread::scope(|scope| {
        let swaps = scope.spawn(|| {
            for number in 0..10 {
                let next = if number % 2 == 0 { &http } else { &bulk };
                replace_file(&mill.plugin_file("bulk"), next);
                pause(Duration::from_millis(1500));
            }
        });
        let mut pushed = 0;
        while !swaps.is_finished() {
            mill.redis.push("jobs", jobs(pushed..pushed + 50));
            pushed += 50;
            pause(Duration::from_millis(40));
        }
        pushed
    });
    assert_eq!(all_are_sent(&mill, 0..pushed), 0, "none came twice");
    let sizes: BTreeSet<usize> = sizes(&mill).into_iter().collect();
    assert!(sizes.contains(&1) && sizes.iter().any(|size| *size > 1), "both did their part: {sizes:?}");
    assert!(Dead::of(&mill, "jobs").list().is_empty());
    assert!(node.log().matches("plugin swapped").count() >= 4, "{}", node.log());
    nothing_is_left(&mill.redis);
}

#[test]
fn with_isolation_each_message_goes_alone() {
    let mill = mill("", "isolation = \"message\"\nbatch = { linger = \"1h\" }");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..50));
    assert_eq!(all_are_sent(&mill, 0..50), 0);
    assert!(sizes(&mill).iter().all(|size| *size == 1));
    nothing_is_left(&mill.redis);
}

#[test]
fn what_takes_batches_is_said_before_it_runs() {
    let mill = mill("", "batch = { size = 7, linger = \"250ms\" }").plugins(&["http"]);
    let checked = mill.run(&["check"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    let line = "takes up to 7 messages or 1024 KiB at once, waiting 250ms for them";
    assert!(
        checked.stdout.contains("bulk: publisher of batches") && checked.stdout.contains(line),
        "{}",
        checked.stdout
    );

    let idle = config("", "") + "[plugin.http]\nconfig.url = \"http://h/\"\nallow_http = [\"h\"]\nbatch.size = 3\n";
    mill.write_config(&idle);
    let checked = mill.run(&["check"]);
    assert!(checked.stdout.contains("warning: takes no batches, so `batch` changes nothing"), "{}", checked.stdout);

    let bulk = mill.plugin_file("bulk").display().to_string();
    let inspected = mill.run_bare(&["inspect", &bulk, "--set", "url=http://h/"]);
    assert!(inspected.stdout.contains("publisher of batches, speaks version 0.1.0"), "{}", inspected.stdout);
    let tried = mill.feed(&["try", &bulk, "--set", "url=http://h/", "--reply", "503 busy"], "{\"id\":1}\n");
    assert!(
        tried.stdout.contains("POST http://h/") && tried.stdout.contains("503"),
        "{}{}",
        tried.stdout,
        tried.stderr
    );
    let wrong = config("", "batch = { size = 0, linger = 5, kb = 1 }");
    mill.write_config(&wrong);
    let refused = mill.run(&["check"]);
    assert_eq!(refused.code, 78);
    for word in ["`size` is out of range", "`linger` has no unit", "`kb`"] {
        assert!(refused.stderr.contains(word), "{word} is not in {}", refused.stderr);
    }
}

#[test]
fn a_command_with_the_settling_goes_with_its_own_message_and_not_with_a_batch() {
    let bulk = "allow_redis = [\"RPUSH settled\"]\nbatch = { size = 4, linger = \"10s\" }";
    let mill = mill("in_flight = 8", bulk);
    let _node = mill.node();
    let order = |id: u64, what: &str| format!("{{\"id\":{id},\"do\":\"{what}\"}}");
    mill.redis.push("jobs", [order(0, "settle"), order(1, "settle"), order(2, "reject"), order(3, "send")]);
    eventually(SOON, "two are settled with their commands", || (mill.redis.len("settled") == 2).then_some(()));
    eventually(SOON, "one was sent", || (sent(&mill).len() == 1).then_some(()));
    let dead = Dead::of(&mill, "jobs");
    eventually(SOON, "one is rejected", || (dead.list().len() == 1).then_some(()));
    mill.redis.push("jobs", [order(4, "settle all"), order(5, "settle"), order(6, "settle"), order(7, "settle")]);
    let letters = eventually(SOON, "all of the batch are rejected", || Some(dead.list()).filter(|all| all.len() == 5));
    let told =
        letters.iter().filter(|letter| letter.to_string().contains("asked for several messages at once")).count();
    assert_eq!((told, mill.redis.len("settled")), (4, 2), "{letters:?}");
}
