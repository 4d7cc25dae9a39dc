//! Commands of Redis that publishers ask for: carried out as granted, and otherwise told and buried.

use crate::jobs::{SOON, pipeline};
use gristmill_tests::{Cluster, Dead, Mill, Redis, eventually};
use serde_json::{Value, json};

const RETRY: &str = "retry = { attempts = 20, crashes = 1, first = \"100ms\", longest = \"100ms\" }";

/// A mill whose jobs are commands for the guest `commander`, which may do what `grants` say.
fn mill(redis: Redis, grants: &str) -> Mill {
    let table = format!(
        "[plugin.commander]\nconfig = {{ url = \"$SINK/\" }}\nallow_http = [\"$AUTHORITY\"]\nallow_redis = [{grants}]\n"
    );
    let config = pipeline(RETRY, &table).replace("publish = [\"http\"]", "publish = [\"commander\"]");
    Mill::on(redis).guests(&["commander"]).plugins(&["http"]).config(&config)
}

/// What Redis answered to `commands`.
#[track_caller]
fn answers(mill: &Mill, commands: &Value) -> String {
    let before = mill.sink.count();
    mill.redis.push("jobs", [commands.to_string()]);
    eventually(SOON, "the answers are posted", || (mill.sink.count() > before).then_some(()));
    mill.sink.received().last().unwrap().text()
}

#[test]
fn commands_are_carried_out_and_answered() {
    let mill = mill(Redis::start(), "\"SET|GET cache:*\", \"RPUSH|LRANGE out\", \"PUBLISH news.*\"");
    let _node = mill.node();
    let commands = json!([
        ["SET", "cache:a", "1"],
        ["GET", "cache:a"],
        ["GET", "cache:b"],
        ["RPUSH", "out", "x", "y"],
        ["LRANGE", "out", "0", "-1"],
        ["PUBLISH", "news.now", "z"]
    ]);
    assert_eq!(
        answers(&mill, &commands),
        "[Bytes([79, 75]), Bytes([49]), Nil, Number(2), List([Bytes([120]), Bytes([121])]), Number(0)]"
    );
    assert_eq!(mill.redis.ask::<String>(&["GET", "cache:a"]), "1");
}

#[test]
fn what_was_not_granted_changes_nothing_and_is_told() {
    let mill = mill(Redis::start(), "\"* cache:*\", \"* *\"");
    let _node = mill.node();
    mill.redis.ask::<()>(&["SET", "jobs-of-others", "1"]);
    for (commands, why) in [
        (json!([["FLUSHALL"]]), "`allow_redis` does not name `FLUSHALL`"),
        (json!([["EVAL", "return 1", "0"]]), "`allow_redis` does not name `EVAL`"),
        (json!([["MULTI"]]), "`MULTI` is a command that plugins never get"),
        (json!([["BLPOP", "x", "0"]]), "`BLPOP` is a command that plugins never get"),
        (json!([["RPUSH", "jobs", "x"]]), "`jobs` belongs to Gristmill or to what it takes from"),
        (json!([["DEL", "cache:a", "gristmill:{jobs}:jobs:dead"]]), "belongs to Gristmill"),
    ] {
        mill.redis.push("jobs", [commands.to_string()]);
        eventually(SOON, &format!("{commands} is buried with `{why}`"), || {
            let letters = Dead::of(&mill, "jobs").list();
            letters.iter().any(|letter| letter.to_string().contains(why)).then_some(())
        });
    }
    assert_eq!(mill.redis.ask::<String>(&["GET", "jobs-of-others"]), "1");
    assert_eq!(mill.redis.len("jobs"), 0);
}

#[test]
fn a_grant_that_is_added_holds_with_the_next_configuration() {
    let mill = mill(Redis::start(), "\"GET a\"");
    let node = mill.node();
    mill.redis.push("jobs", [json!([["SET", "a", "1"]]).to_string()]);
    node.says(&["dead letters", "`allow_redis` does not name `SET`"]);
    let config = std::fs::read_to_string(mill.config_file()).unwrap();
    let seen = node.log().len();
    mill.write_raw_config(&config.replace("\"GET a\"", "\"GET|SET a\""));
    node.says_after(seen, &["configuration reloaded"]);
    assert_eq!(answers(&mill, &json!([["SET", "a", "1"]])), "[Bytes([79, 75])]");
}

#[test]
fn a_publisher_of_commands_is_not_loaded_without_any_grant() {
    let mill = mill(Redis::start(), "");
    let finished = mill.run(&["check"]);
    assert_eq!(finished.code, 78);
    for words in ["plugin `commander` cannot be used: it needs redis", "allow_redis", "^"] {
        assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
    }
}

#[test]
fn commands_wait_for_a_connection_that_was_cut() {
    let mill = mill(Redis::start(), "\"INCR n\"");
    let _node = mill.node();
    assert_eq!(answers(&mill, &json!([["INCR", "n"]])), "[Number(1)]");
    for _ in 0..5 {
        mill.redis.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let count: usize = mill.redis.ask(&["GET", "n"]);
        answers(&mill, &json!([["INCR", "n"]]));
        assert!(mill.redis.ask::<usize>(&["GET", "n"]) > count);
    }
}

#[test]
fn commands_find_the_server_of_their_keys_in_a_cluster() {
    let cluster = Cluster::start();
    let table =
        "[plugin.commander]\nconfig = { url = \"$SINK/\" }\nallow_http = [\"$AUTHORITY\"]\nallow_redis = [\"* *\"]\n";
    let config = pipeline(RETRY, table).replace("publish = [\"http\"]", "publish = [\"commander\"]");
    let mill = Mill::at(cluster.url(), cluster).guests(&["commander"]).plugins(&["http"]).config(&config);
    let _node = mill.node();
    let push = |commands: Value| {
        let before = mill.sink.count();
        let mut pushed = mill.redis.at("jobs").connect();
        redis::cmd("RPUSH").arg("jobs").arg(commands.to_string()).exec(&mut pushed).unwrap();
        before
    };
    // Keys in the slots of every server.
    let keys: Vec<String> = (0..12).map(|number| format!("key-{number}")).collect();
    let commands: Vec<[&str; 3]> = keys.iter().map(|key| ["SET", key, "1"]).collect();
    let before = push(json!(commands));
    eventually(SOON, "the answers are posted", || (mill.sink.count() > before).then_some(()));
    for key in &keys {
        assert_eq!(mill.redis.at(key).ask::<Option<String>>(&["GET", key]).as_deref(), Some("1"), "{key}");
    }
    push(json!([["MGET", "key-0", "key-1"]]));
    eventually(SOON, "keys on different servers are refused", || {
        let letters = Dead::of(&mill, "jobs").list();
        letters.iter().any(|letter| letter.to_string().contains("hash to the same slot")).then_some(())
    });
}
