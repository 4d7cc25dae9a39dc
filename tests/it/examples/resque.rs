//! Callbacks for Resque: what node-resque and pyres enqueue is looked up and delivered to a slow and flaky server, and what fails is where
//! Resque keeps it, as Ruby would have written it.

use super::{Example, SOON};
use gristmill_tests::{
    database::{Database, Engine},
    eventually, peers,
    process::Process,
    redis::free_port,
};
use serde_json::Value;
use std::fs;

/// What one line of the server says of all callbacks so far.
struct Count {
    done: u64,
    failed: u64,
    a_minute: u64,
    at_once: u64,
}

impl Count {
    fn of(server: &Process) -> Option<Self> {
        let log = server.log();
        let line = log.lines().rfind(|line| line.contains(" callbacks done, "))?;
        let numbers: Vec<u64> = line.split([' ', ':', ';', ',']).filter_map(|word| word.parse().ok()).collect();
        // The seconds, which have a point, are left out.
        let [done, failed, a_minute, at_once] = numbers.try_into().expect("four whole numbers");
        Some(Self { done, failed, a_minute, at_once })
    }

    /// Waits until so many are done and so many have failed.
    #[track_caller]
    fn reaches(server: &Process, done: u64, failed: u64) -> Self {
        eventually(SOON, &format!("{done} callbacks are done and {failed} failed"), || {
            Self::of(server).filter(|count| count.done >= done && count.failed >= failed)
        })
    }
}

/// The example with ports of its own, and a server that takes `slow` milliseconds; nothing where node-resque or pyres has not been fetched.
fn example(slow: u32) -> Option<Example> {
    peers::node()?;
    peers::python("pyres")?;
    let example =
        Example::of("resque-callbacks", &["resque-callbacks"]).with_copy("gristmill.toml").with_copy("offers.sql");
    let (port, sql) = (free_port().to_string(), example.path("offers.sql"));
    fs::write(&sql, fs::read_to_string(&sql).unwrap().replace("127.0.0.1:8092", &format!("127.0.0.1:{port}"))).unwrap();
    let database = example.path("offers.db").display().to_string();
    let example = example
        .instead("target/offers.db", &database)
        .env("ENDPOINT_PORT", &port)
        .env("ENDPOINT_MS", &slow.to_string())
        .env("DATABASE_URL", &format!("sqlite:{database}"));
    Some(example)
}

/// The failed jobs, oldest first.
fn failed(example: &Example) -> Vec<String> {
    example.redis.ask(&["LRANGE", "resque:failed", "0", "-1"])
}

fn number(example: &Example, words: &[&str]) -> u64 {
    example.redis.ask::<Option<u64>>(words).unwrap_or_default()
}

/// Waits until so many attempts have been made, which Resque counts as processed whether they failed or not.
#[track_caller]
fn processed(example: &Example, count: u64) {
    eventually(SOON, &format!("{count} attempts are made"), || {
        (number(example, &["GET", "resque:stat:processed"]) == count).then_some(())
    });
    assert_eq!(example.redis.len("resque:queue:callbacks"), 0);
}

/// Wants a record to be what Ruby writes, member by member and in this order; `worker` and `failed_at` as far as they can be known.
#[track_caller]
fn is_as_by_ruby(record: &str, payload: &str, exception: &str, error: &str, attempts: usize) {
    let value: Value = serde_json::from_str(record).unwrap();
    let text = |name: &str| value[name].as_str().expect(name);
    let backtrace: Vec<&str> = value["backtrace"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let quoted: Vec<String> = backtrace.iter().map(|line| Value::from(*line).to_string()).collect();
    let expected = format!(
        r#"{{"failed_at":"{}","payload":{payload},"exception":"{exception}","error":"{error}","backtrace":[{}],"worker":"{}","queue":"callbacks"}}"#,
        text("failed_at"),
        quoted.join(","),
        text("worker"),
    );
    assert_eq!(record, expected);
    // 2026/11/21 22:00:42 UTC
    let shape: String = text("failed_at").chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000/00/00 00:00:00 UTC");
    // Ruby's tools take it apart at the colons.
    let worker: Vec<&str> = text("worker").split(':').collect();
    assert!(worker.len() == 3 && worker[2] == "callbacks" && worker[0].ends_with(".gristmill"), "{record}");
    assert_eq!(backtrace.len(), attempts, "{record}");
    for (number, line) in (1..).zip(&backtrace) {
        assert!(line.starts_with(&format!("attempt {number}: resque-callbacks@")) && line.ends_with(error), "{record}");
    }
}

#[test]
fn callbacks_of_node_resque_and_pyres_are_delivered_and_those_that_fail_are_kept_as_by_ruby() {
    let Some(example) = example(100) else { return };
    let example = example.instead("enqueue.js 1000", "enqueue.js 120").instead("enqueue.py 500", "enqueue.py 60");
    let [fill, serve, run, from_node, from_python, look, _] = example.commands();
    example.run(&fill);
    let server = example.start("server", &serve, "listens at");
    let _node = example.node("node", &run);
    example.run(&from_node);
    example.run(&from_python);
    // Of the transactions 1 to 120 and 1000001 to 1000060 those that end in 20, 40 and so on fail once. The last one is for the publisher
    // that wants none.
    let (flaky, moved, broken, unknown) = (6 + 3, 1, 4, 1);
    processed(&example, 180 + flaky + moved + broken + unknown + 1);
    let count = Count::reaches(&server, 180, flaky + moved + broken);
    assert_eq!((count.done, count.failed), (180, flaky + moved + broken), "{}", server.log());
    assert!(count.at_once <= 100, "{} at once", count.at_once);
    assert_eq!(number(&example, &["SCARD", "resque:workers"]), 100, "as many workers as the original had");

    let records = failed(&example);
    assert_eq!(records.len(), 3, "{records:#?}");
    assert_eq!(number(&example, &["GET", "resque:stat:failed"]), flaky + moved + broken + unknown);
    let of = |what: &str| records.iter().find(|record| record.contains(what)).unwrap_or_else(|| panic!("{records:#?}"));
    let unknown = of("there is no publisher 9");
    let payload = r#"{"class":"Callback","queue":"callbacks","args":[122,"mia",9,1]}"#;
    is_as_by_ruby(unknown, payload, "Gristmill::Rejected", "there is no publisher 9", 1);
    let moved = of("answered 404");
    let payload = r#"{"class":"Callback","queue":"callbacks","args":[121,"mia",2,1]}"#;
    is_as_by_ruby(moved, payload, "Gristmill::Rejected", "answered 404", 1);
    // The time at which pyres enqueued it is kept.
    let broken = of("answered 500");
    let (_, at) = broken.split_once(r#""enqueue_timestamp":"#).unwrap_or_else(|| panic!("{broken}"));
    let at = at.split('}').next().unwrap();
    let payload = format!(r#"{{"class":"Callback","args":[1000061,"josé",3,1],"enqueue_timestamp":{at}}}"#);
    is_as_by_ruby(broken, &payload, "Gristmill::Exhausted", "answered 500", 4);
    let shown = example.run(&look);
    assert!(records.iter().all(|record| shown.contains(record)), "{shown}");
}

#[test]
fn thousands_of_callbacks_are_in_flight_over_twenty_connections_of_the_database() {
    let Some(example) = example(4_000) else { return };
    let Some(database) = Database::start(Engine::MariaDb) else { return };
    let offers = fs::read_to_string(example.path("offers.sql")).unwrap();
    database.run(&offers);
    let example = example.instead("enqueue.js 40000", "enqueue.js 2000").env("DATABASE_URL", &database.url());
    let [_, serve, run, _, _, _, from_node] = example.commands();
    let server = example.start("server", &serve, "listens at");
    let node = example.node("node", &run);
    // As the README has it: changed while it runs.
    let config = example.path("gristmill.toml");
    let changed = fs::read_to_string(&config).unwrap().replace("in_flight = 100\n", "in_flight = 5000\n");
    gristmill_tests::replace_file(&config, changed.as_bytes());
    eventually(SOON, "the change is noticed", || node.log().contains("configuration reloaded").then_some(()));
    example.run(&from_node);
    // One in twenty twice.
    processed(&example, 2_102);
    let count = Count::reaches(&server, 2_000, 100);
    eprintln!("{} callbacks a minute, {} at once", count.a_minute, count.at_once);
    // However slow the machine is: twice what was in flight before the change.
    assert!(count.at_once > 200, "{} at once", count.at_once);
    let most = "SELECT CAST(VARIABLE_VALUE AS SIGNED) FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'MAX_USED_CONNECTIONS'";
    // One is this test's own.
    let connections = database.number(most);
    assert!((2..=21).contains(&connections), "{connections} connections at once");
}
