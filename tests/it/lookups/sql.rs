//! Databases as plugins meet them, whatever kind they are: SQLite always, PostgreSQL and MariaDB where they are installed.

use super::{answers, config, looking};
use crate::jobs::{SOON, all_arrive, jobs, nothing_is_left};
use gristmill_tests::{
    Dead, Mill,
    bench::usage,
    database::{Database, Engine},
    eventually,
};
use serde_json::{Value, json};
use std::{net::TcpListener, thread, time::Duration};

const CUSTOMERS: &str = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR(100));
    INSERT INTO customers VALUES (7, 'ann'), (8, 'bob')";

fn shop(engine: Engine) -> Option<Database> {
    let database = Database::start(engine)?;
    database.run(CUSTOMERS);
    Some(database)
}

/// The tables for a plugin that has this grant of `shop`, which has further keys.
fn granted(grant: &str, database: &Database, keys: &str) -> (String, String) {
    let allow = format!("allow_sql = [\"{grant}\"]\nwait = \"60s\"");
    (allow, format!("[database.shop]\nurl = \"{}\"\n{keys}\n", database.url()))
}

fn mill(mode: &str, grant: &str, database: &Database, keys: &str) -> Mill {
    let (allow, tables) = granted(grant, database, keys);
    looking(mode, &allow, &tables)
}

fn query(statement: &str, params: Value) -> Value {
    json!({"query": {"database": "shop", "statement": statement, "params": params}})
}

/// The one word by which an answer begins that is a failure.
fn failure(answer: &Value) -> &str {
    answer.as_object().and_then(|answer| answer.keys().next()).map_or("none", String::as_str)
}

/// The same for each kind of database.
fn reads_and_writes(engine: Engine) {
    let Some(database) = shop(engine) else { return };
    let place = |n: u8| if engine == Engine::Postgres { format!("${n}") } else { "?".to_owned() };
    let mill = mill("ask", "shop", &database, "rows = 10");
    let node = mill.node();
    let by_id = format!("SELECT id, name FROM customers WHERE id = {}", place(1));
    let seven = answers(&mill, &json!([query(&by_id, json!([7])), query(&by_id, json!([9]))]));
    assert_eq!(seven, [json!([[7, "ann"]]), json!(0)], "{engine:?}");
    let injected = query(&format!("SELECT id FROM customers WHERE name = {}", place(1)), json!(["' OR 1=1 --"]));
    assert_eq!(answers(&mill, &json!([injected])), [json!(0)]);
    let denied = [
        "INSERT INTO customers VALUES (9, 'eve')",
        "DELETE FROM customers",
        "DROP TABLE customers",
        "SET SESSION TRANSACTION READ WRITE",
        "BEGIN",
        "/**/ SELECT 1",
    ];
    let asked: Vec<Value> = denied.iter().map(|statement| query(statement, json!([]))).collect();
    for answer in answers(&mill, &asked.into()) {
        assert_eq!(failure(&answer), "denied", "{engine:?}: {answer}");
    }
    let stacked = query("SELECT 1; DELETE FROM customers", json!([]));
    let other = json!({"query": {"database": "other", "statement": "SELECT 1"}});
    let wrong = query("SELECT x FROM nowhere", json!([]));
    let all = answers(&mill, &json!([stacked, other, wrong]));
    assert_eq!(all.iter().map(failure).collect::<Vec<_>>(), ["invalid", "denied", "invalid"], "{engine:?}: {all:?}");
    let seen = node.log().len();
    let (allow, tables) = granted("shop:write", &database, "rows = 10");
    mill.write_config(&config("ask", &allow, &tables));
    node.says_after(seen, &["plugin swapped", "lookups"]);
    let insert = format!("INSERT INTO customers VALUES ({}, {})", place(1), place(2));
    let written = [query(&insert, json!([9, null])), query(&insert, json!([9, "x"])), query(&by_id, json!([9]))];
    let written = answers(&mill, &json!(written));
    assert_eq!(
        (&written[0], failure(&written[1]), &written[2]),
        (&json!(1), "invalid", &json!([[9, null]])),
        "{engine:?}"
    );
    assert_eq!(answers(&mill, &json!([query("SELECT count(*) FROM customers", json!([]))])), [json!([[3]])]);
}

#[test]
fn sqlite_is_read_and_written_as_granted() {
    reads_and_writes(Engine::Sqlite);
}

#[test]
fn postgres_is_read_and_written_as_granted() {
    reads_and_writes(Engine::Postgres);
}

#[test]
fn mariadb_is_read_and_written_as_granted() {
    reads_and_writes(Engine::MariaDb);
}

/// What reads and yet would change something is stopped by the database itself.
fn enforces(engine: Engine, sneaky: &[&str]) {
    let Some(database) = shop(engine) else { return };
    let mill = mill("ask", "shop", &database, "");
    let _node = mill.node();
    for statement in sneaky {
        let answer = &answers(&mill, &json!([query(statement, json!([]))]))[0];
        assert!(["denied", "invalid"].contains(&failure(answer)), "{statement}: {answer}");
    }
    let count = answers(&mill, &json!([query("SELECT count(*) FROM customers", json!([]))]));
    assert_eq!(count, [json!([[2]])], "{engine:?}");
}

#[test]
fn postgres_itself_keeps_a_reader_from_writing() {
    enforces(
        Engine::Postgres,
        &[
            "WITH x AS (DELETE FROM customers RETURNING id) SELECT * FROM x",
            "SELECT * INTO copy FROM customers",
            "SELECT set_config('transaction_read_only', 'off', false)",
            "SELECT id FROM customers FOR UPDATE",
        ],
    );
}

#[test]
fn what_a_reader_sets_in_postgres_does_not_outlive_its_question() {
    let Some(database) = shop(Engine::Postgres) else { return };
    let mill = mill("ask", "shop", &database, "connections = 1");
    let _node = mill.node();
    let set = query("SELECT set_config('default_transaction_read_only', 'off', false)", json!([]));
    let path = query("SELECT set_config('search_path', 'pg_catalog', false)", json!([]));
    let steal = query("WITH x AS (DELETE FROM customers RETURNING id) SELECT * FROM x", json!([]));
    let found = answers(&mill, &json!([set, path, steal, query("SELECT name FROM customers WHERE id = 7", json!([]))]));
    assert_eq!(failure(&found[2]), "denied", "{found:?}");
    assert_eq!(found[3], json!([["ann"]]));
}

#[test]
fn mariadb_itself_keeps_a_reader_from_writing() {
    let sneaky = ["SELECT id FROM customers INTO OUTFILE '/nowhere/x'", "SELECT 1 /*! INTO @a */", "SELECT nextval(s)"];
    enforces(Engine::MariaDb, &sneaky);
}

/// Values of the kinds that the database has.
fn values(engine: Engine, statement: &str, expected: Value) {
    let Some(database) = shop(engine) else { return };
    let mill = mill("ask", "shop", &database, "");
    let _node = mill.node();
    assert_eq!(answers(&mill, &json!([query(statement, json!([]))])), [json!([expected])]);
}

#[test]
fn postgres_has_these_values() {
    values(
        Engine::Postgres,
        "SELECT true, 1::int2, 2::int4, 3::int8, 1.5::float4, 2.5::float8, 'a'::text, 'b'::varchar, '\\x00ff'::bytea,
         '{\"a\": 1}'::json, null::int",
        json!([true, 1, 2, 3, 1.5, 2.5, "a", "b", [0, 255], "{\"a\": 1}", null]),
    );
    let Some(database) = shop(Engine::Postgres) else { return };
    let mill = mill("ask", "shop", &database, "");
    let _node = mill.node();
    let answer = &answers(&mill, &json!([query("SELECT now() AS time", json!([]))]))[0];
    let why = answer["invalid"].as_str().unwrap_or_default();
    assert!(why.contains("`time`") && why.contains("TIMESTAMPTZ") && why.contains("cast"), "{answer}");
    let given =
        query("SELECT $1::text, $2::bool, $3::float8, $4::bytea, $5::int8", json!(["ä", true, 0.5, [1, 2], null]));
    assert_eq!(answers(&mill, &json!([given])), [json!([["ä", true, 0.5, [1, 2], null]])]);
}

#[test]
fn mariadb_has_these_values() {
    values(
        Engine::MariaDb,
        "SELECT 1, CAST(18446744073709551615 / 2 - 1 AS UNSIGNED) > 0, 1.5e0, 2.25, 'a', x'00ff', null",
        json!([1, 1, 1.5, "2.25", "a", [0, 255], null]),
    );
}

/// A statement that takes long is ended on both sides, and its connection serves others.
fn ends_in_time(engine: Engine, slow: &str) {
    let Some(database) = shop(engine) else { return };
    let mill = mill("ask", "shop", &database, "connections = 2\ntimeout = \"300ms\"");
    let node = mill.node();
    let asked: Vec<Value> = (0..3).map(|_| query(slow, json!([]))).collect();
    let found = answers(&mill, &asked.into());
    assert!(found.iter().all(|answer| failure(answer) == "unavailable"), "{engine:?}: {found:?}");
    assert_eq!(answers(&mill, &json!([query("SELECT 1", json!([]))])), [json!([[1]])]);
    drop(node);
}

#[test]
fn slow_statements_end_in_time_everywhere() {
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    ends_in_time(Engine::Sqlite, endless);
    ends_in_time(Engine::Postgres, "SELECT pg_sleep(60)");
    ends_in_time(Engine::MariaDb, "SELECT SLEEP(60) FROM customers");
}

/// Nothing is lost while the database is away, and both are told.
fn outlives(engine: Engine) {
    let Some(mut database) = shop(engine) else { return };
    let mill = mill("ask", "shop", &database, "timeout = \"500ms\"");
    let node = mill.node();
    let ask = json!([query("SELECT name FROM customers WHERE id = 7", json!([]))]);
    assert_eq!(answers(&mill, &ask), [json!([["ann"]])]);
    database.kill9();
    let away = answers(&mill, &ask);
    assert_eq!(failure(&away[0]), "unavailable", "{engine:?}: {away:?}");
    node.says(&["database", "shop"]);
    database.restart();
    eventually(SOON, "it answers again", || (answers(&mill, &ask) == [json!([["ann"]])]).then_some(()));
    eventually(SOON, "that is told", || {
        answers(&mill, &ask);
        node.log().contains("the database answers again").then_some(())
    });
}

#[test]
fn a_postgres_that_is_killed_is_waited_for() {
    outlives(Engine::Postgres);
}

#[test]
fn a_mariadb_that_is_killed_is_waited_for() {
    outlives(Engine::MariaDb);
}

/// Far more than any answer may have.
const GIANT: u64 = 200_000_000;

/// A value that is far longer than `answer_kib` allows is told to the plugin, takes no memory of its length, and harms no other
/// question.
fn bounds_one_value(engine: Engine, statement: &str) {
    let Some(database) = shop(engine) else { return };
    if engine == Engine::MariaDb {
        // Else it makes none that is so long.
        database.run("SET GLOBAL max_allowed_packet = 1073741824");
    }
    let mill = mill("ask", "shop", &database, "connections = 2\ntimeout = \"30s\"\nanswer_kib = 64");
    let mut node = mill.node();
    let name = query("SELECT name FROM customers WHERE id = 7", json!([]));
    let fits = query("SELECT repeat('x', 65000)", json!([]));
    let found = answers(&mill, &json!([name, fits]));
    assert_eq!((&found[0], found[1][0][0].as_str().map(str::len)), (&json!([["ann"]]), Some(65_000)), "{engine:?}");
    let before = usage::peak(node.id());
    let giant = query(&statement.replace("GIANT", &GIANT.to_string()), json!([]));
    for _ in 0..3 {
        let answer = &answers(&mill, &json!([giant]))[0];
        let why = answer["too-large"].as_str().unwrap_or_default();
        assert!(why.contains("`answer_kib`") && why.contains("65536 bytes"), "{engine:?}: {answer}");
    }
    let more = usage::peak(node.id()) - before;
    assert!(more < GIANT / 10, "{engine:?}: {more} bytes more");
    assert_eq!(answers(&mill, &json!([name])), [json!([["ann"]])], "{engine:?}");
    assert!(!node.log().contains("does not answer"), "the database was there all the time: {}", node.log());
    assert_eq!(node.terminate(), 0);
}

#[test]
fn one_giant_value_of_postgres_takes_no_memory_of_its_length() {
    bounds_one_value(Engine::Postgres, "SELECT 7, repeat('x', GIANT)");
}

#[test]
fn one_giant_value_of_mariadb_takes_no_memory_of_its_length() {
    bounds_one_value(Engine::MariaDb, "SELECT 7, repeat('x', GIANT)");
}

#[test]
fn messages_are_enriched_each_by_its_own_row() {
    let Some(database) = shop(Engine::Sqlite) else { return };
    let mill = mill("enrich", "shop", &database, "");
    let mut node = mill.node();
    mill.redis.push("jobs", (0..200).map(|n| (7 + n % 2).to_string()));
    eventually(SOON, "all arrive", || (mill.sink.count() == 200).then_some(()));
    let texts = mill.sink.tally(|received| received.text());
    assert_eq!((texts.get("7 ann"), texts.get("8 bob")), (Some(&100), Some(&100)), "{texts:?}");
    mill.redis.push("jobs", ["9"]);
    let dead = Dead::of(&mill, "jobs");
    let letters = eventually(SOON, "a dead letter", || Some(dead.list()).filter(|letters| !letters.is_empty()));
    assert!(dead.show(&Dead::entry(&letters[0])).to_string().contains("no such customer"));
    dead.discard(&Dead::entry(&letters[0]));
    assert_eq!(node.terminate(), 0);
    nothing_is_left(&mill.redis);
}

#[test]
fn two_hundred_instances_that_wait_for_a_database_hold_up_nobody() {
    // Takes every connection and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u@{}/shop?sslmode=disable", silent.local_addr().unwrap());
    thread::spawn(move || silent.incoming().collect::<Vec<_>>());
    let tables = format!(
        "limits = {{ instances = 200 }}\n[database.shop]\nurl = \"{url}\"\nconnections = 200\ntimeout = \"60s\"\n
         [pipeline.free]\nfrom = {{ list = \"free\" }}\npublish = [\"http\"]\n"
    );
    let mill = looking("enrich", "allow_sql = [\"shop\"]\nwait = \"60s\"", &tables);
    let node = mill.node();
    mill.redis.push("jobs", vec!["7"; 250]);
    eventually(SOON, "all are in flight", || (mill.redis.len("jobs") == 0).then_some(()));
    let start = std::time::Instant::now();
    mill.redis.push("free", jobs(0..500));
    assert_eq!(all_arrive(&mill.sink, 0..500), 0);
    assert!(start.elapsed() < Duration::from_secs(20), "others went on at once: {:?}", start.elapsed());
    drop(node);
}

#[test]
fn an_address_that_is_none_is_refused_at_its_place() {
    let tables = "[database.shop]\nurl = \"postgres://u:s3cr3t@host:port/db\"\n";
    let mill = looking("ask", "allow_sql = [\"shop\"]", tables);
    for verb in ["check", "run"] {
        let finished = mill.run(&[verb]);
        assert_eq!(finished.code, 78, "{}", finished.stderr);
        assert!(
            finished.stderr.contains("[database.shop]") && !finished.stderr.contains("s3cr3t"),
            "{}",
            finished.stderr
        );
    }
    mill.write_config(&config("ask", "allow_sql = [\"shpo\"]", "[database.shop]\nurl = \"sqlite:shop.db\"\n"));
    let finished = mill.run(&["check"]);
    assert!(finished.stderr.contains("did you mean `shop`?"), "{}", finished.stderr);
}
