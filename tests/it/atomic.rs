//! Commands of Redis that are carried out in the step that settles their message: once for each, whatever ends.

use crate::jobs::{SOON, jobs, nothing_is_left};
use gristmill_tests::{Answer, Cluster, Dead, Mill, Node, Redis, eventually, eventually::pause};
use std::{collections::HashMap, time::Duration};

/// A counter, a list and a stream are told of each message where it is settled, another list as usual.
const CONFIG: &str = r#"lease = "1s"

[pipeline.jobs]
from = { $FROM }
publish = ["commander", "exact", "usual"]
in_flight = 128

[plugin.commander]
config = { url = "http://127.0.0.1:1/", with_settling = true }
allow_http = ["127.0.0.1:1"]
allow_redis = ["INCR count", "RPUSH listed"]
timeout = "20s"

[plugin.exact]
file = "redis.wasm"
config = { stream = "exact", atomic = true }
allow_redis = ["XADD exact"]
timeout = "20s"

[plugin.usual]
file = "redis.wasm"
config = { list = "usual" }
allow_redis = ["RPUSH usual"]
timeout = "20s"
"#;

fn mill(from: &str) -> Mill {
    Mill::on(Redis::start()).plugins(&["redis"]).guests(&["commander"]).config(&CONFIG.replace("$FROM", from))
}

/// Messages that are commands, and tell which they are.
fn orders(count: usize) -> Vec<String> {
    (0..count).map(|number| format!(r#"[["INCR","count"],["RPUSH","listed","{number}"]]"#)).collect()
}

/// How often each has come in.
fn tally(all: Vec<String>) -> HashMap<String, usize> {
    let mut tally = HashMap::new();
    for one in all {
        *tally.entry(one).or_default() += 1;
    }
    tally
}

fn counted(mill: &Mill) -> usize {
    mill.redis.ask::<Option<usize>>(&["GET", "count"]).unwrap_or_default()
}

/// Waits until so many more are counted.
#[track_caller]
fn progress(mill: &Mill, more: usize) {
    let before = counted(mill);
    eventually(SOON, &format!("{more} more are counted"), || (counted(mill) >= before + more).then_some(()));
}

/// Each of so many is counted, in the list and in the stream once.
#[track_caller]
fn each_came_once(mill: &Mill, count: usize) {
    eventually(SOON * 2, "all are counted", || (counted(mill) >= count).then_some(()));
    let lane = |key: &String| {
        let kind: String = mill.redis.ask(&["TYPE", key]);
        kind == "list" || kind == "zset" || key.ends_with(":slow")
    };
    eventually(SOON, "nothing is in flight", || {
        (!mill.redis.keys("gristmill:*").iter().any(lane) && mill.redis.len("jobs") == 0).then_some(())
    });
    assert_eq!(counted(mill), count, "the counter says how many there were");
    let listed = tally(mill.redis.ask(&["LRANGE", "listed", "0", "-1"]));
    assert!(listed.len() == count && listed.values().all(|times| *times == 1), "{listed:?}");
    let entries: Vec<(String, Vec<String>)> = mill.redis.ask(&["XRANGE", "exact", "-", "+"]);
    let entries = tally(entries.into_iter().map(|(_, fields)| fields[1].clone()).collect());
    assert!(entries.len() == count && entries.values().all(|times| *times == 1), "{entries:?}");
    let usual = tally(mill.redis.ask(&["LRANGE", "usual", "0", "-1"]));
    assert!(usual.len() == count && usual.values().all(|times| *times <= 9), "{usual:?}");
}

#[test]
fn each_message_of_a_list_counts_once_however_often_nodes_are_killed() {
    const ALL: usize = 4_000;
    let mill = mill("list = \"jobs\"");
    mill.redis.push("jobs", orders(ALL));
    for kills in 0..5 {
        let mut node = mill.node();
        progress(&mill, 300);
        if kills == 2 {
            assert_eq!(node.terminate(), 0, "what is being settled is settled");
        } else {
            node.kill9();
        }
    }
    let _last = mill.node();
    each_came_once(&mill, ALL);
}

#[test]
fn each_entry_of_a_stream_counts_once_though_nodes_are_killed_and_connections_cut() {
    const ALL: usize = 2_000;
    let mill = mill("stream = \"events\", done = \"delete\"");
    let mut pipe = redis::pipe();
    for order in orders(ALL) {
        pipe.cmd("XADD").arg("events").arg("*").arg("payload").arg(order).ignore();
    }
    pipe.exec(&mut mill.redis.connect()).unwrap();
    for _ in 0..2 {
        let mut node = mill.node();
        progress(&mill, 200);
        mill.redis.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        progress(&mill, 200);
        node.kill9();
    }
    let _last = mill.node();
    each_came_once(&mill, ALL);
}

#[test]
fn a_node_frozen_past_its_lease_carries_nothing_out_when_it_thaws() {
    const EACH: usize = 2_000;
    let mill = mill("list = \"jobs\"");
    let (frozen, _other) = (mill.node(), mill.node());
    let orders = orders(3 * EACH);
    for orders in orders.chunks(EACH) {
        mill.redis.push("jobs", orders);
        progress(&mill, 200);
        frozen.sigstop();
        // Three leases: its lanes are taken over in this time.
        pause(Duration::from_secs(3));
        frozen.sigcont();
    }
    each_came_once(&mill, 3 * EACH);
}

/// The one dead letter of a pipeline, as `gristmill dead list` shows it.
#[track_caller]
fn letter<R>(mill: &Mill<R>, pipeline: &str) -> String {
    eventually(SOON, "there is a dead letter", || Dead::of(mill, pipeline).list().pop()).to_string()
}

fn one(from: &str, config: &str, grants: &str) -> String {
    format!(
        "lease = \"1s\"\n[pipeline.jobs]\nfrom = {{ {from} }}\npublish = [\"redis\"]\nretry = {{ attempts = 3, first = \"100ms\" }}\n\
         [plugin.redis]\nconfig = {{ {config} }}\nallow_redis = [\"{grants}\"]\ntimeout = \"20s\"\n"
    )
}

#[test]
fn a_refused_command_buries_its_message_with_what_redis_said() {
    let config = one("list = \"jobs\"", "list = \"out\", atomic = true", "RPUSH out");
    let mill = Mill::new().plugins(&["redis"]).config(&config);
    mill.redis.ask::<()>(&["SET", "out", "a text"]);
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..1));
    let letter = letter(&mill, "jobs");
    let said = "`RPUSH`, with the settling of the message: WRONGTYPE";
    assert!(letter.contains(said) && letter.contains("\"redis\""), "{letter}");
    // Once that has been put right, it can be replayed, and goes there.
    mill.redis.ask::<()>(&["DEL", "out"]);
    assert_eq!(mill.run(&["dead", "replay", "--all"]).code, 0);
    eventually(SOON, "it is there", || (mill.redis.len("out") == 1).then_some(()));
    nothing_but(&mill, "out");
}

#[track_caller]
fn nothing_but(mill: &Mill, key: &str) {
    mill.redis.ask::<()>(&["DEL", key]);
    nothing_is_left(&mill.redis);
}

/// A list that is told where messages are settled, beside a server that is told as usual.
fn beside_http() -> Mill {
    let config = one("list = \"jobs\"", "list = \"out\", atomic = true", "RPUSH out");
    let config = config.replace("[\"redis\"]", "[\"redis\", \"http\"]");
    let http = "[plugin.http]\nconfig = { url = \"$SINK/\" }\nallow_http = [\"$AUTHORITY\"]\ntimeout = \"20s\"\n";
    Mill::new().plugins(&["redis", "http"]).config(&format!("{config}{http}"))
}

#[test]
fn what_a_full_redis_refuses_is_tried_again_and_is_a_dead_letter_at_last() {
    let mill = beside_http();
    let node = mill.node();
    mill.redis.push("jobs", ["before", "late"]);
    eventually(SOON, "all goes well", || (mill.redis.len("out") == 2).then_some(()));
    let full = |node: &Node| node.says(&["with the settling of the message: OOM", "to be tried again"]);
    mill.redis.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let mut push = redis::pipe();
    push.cmd("RPUSH").arg("jobs").arg("refused").cmd("CONFIG").arg("SET").arg("maxmemory").arg(1);
    push.atomic().exec(&mut mill.redis.connect()).unwrap();
    full(&node);
    let letter = letter(&mill, "jobs");
    assert!(letter.contains("OOM") && letter.contains("\"attempts\":3"), "{letter}");
    assert!(letter.contains("\"succeeded\":[\"http\"]"), "{letter}");
    assert_eq!(
        (mill.redis.len("out"), mill.sink.count()),
        (2, 3),
        "the other publisher has succeeded and is not run again"
    );
}

#[test]
fn what_another_publisher_keeps_waiting_is_carried_out_when_that_has_succeeded() {
    let mill = beside_http();
    mill.sink.answer_first(2, Answer::Status(503));
    let node = mill.node();
    mill.redis.push("jobs", ["x"]);
    node.says(&["to be tried again", "503"]);
    assert_eq!(mill.redis.len("out"), 0);
    eventually(SOON, "it is there", || (mill.redis.len("out") > 0).then_some(()));
    assert_eq!((mill.redis.len("out"), mill.sink.count()), (1, 3));
    nothing_but(&mill, "out");
}

#[test]
fn what_cannot_be_settled_along_is_said_with_what_to_do() {
    let config = one("thoonk = \"chores\", kind = \"queue\"", "list = \"out\", atomic = true", "RPUSH out");
    let mill = Mill::new().plugins(&["redis"]).config(&config);
    let _node = mill.node();
    let id = "0123456789abcdef0123456789abcdef";
    mill.redis.ask::<()>(&["HSET", "feed.items:chores", id, "x"]);
    mill.redis.ask::<()>(&["LPUSH", "feed.ids:chores", id]);
    let letter = letter(&mill, "jobs");
    assert!(letter.contains("`RPUSH` cannot be carried out with the settling of this message"), "{letter}");
    assert!(letter.contains("Thoonk") && letter.contains("ask for an ordinary command"), "{letter}");
    assert!(!mill.redis.ask::<bool>(&["EXISTS", "out"]));
}

#[test]
fn nothing_of_a_channel_is_settled_so_its_messages_are_dropped_with_the_reason() {
    let config = one("channel = \"news\"", "list = \"out\", atomic = true", "RPUSH out");
    let mill = Mill::new().plugins(&["redis"]).config(&config);
    let node = mill.node();
    eventually(SOON, "the node listens", || {
        let listening: usize = mill.redis.ask(&["PUBLISH", "news", "x"]);
        (listening > 0).then_some(())
    });
    node.says(&["nothing is settled of what comes from a channel", "ask for an ordinary command"]);
    assert!(!mill.redis.ask::<bool>(&["EXISTS", "out"]));
}

#[test]
fn in_a_cluster_the_key_has_to_lie_where_the_message_is_settled() {
    const ALL: usize = 20_000;
    let cluster = Cluster::start();
    let config = one("list = \"jobs\"", "list = \"{topic}:out\", atomic = true", "RPUSH *");
    let tagged = "\n[pipeline.tagged]\nfrom.list = \"tagged\"\npublish = [\"tagged\"]\n[plugin.tagged]\nfile = \"redis.wasm\"\n\
                  config = { list = \"{tagged}:out\", atomic = true }\nallow_redis = [\"RPUSH {tagged}:out\"]\ntimeout = \"20s\"\n";
    let tagged = tagged.replace("list = \"{tagged}:out\"", "list = \"{{tagged}}:out\"");
    let mill = Mill::at(cluster.url(), cluster).plugins(&["redis"]).config(&format!("{config}{tagged}"));
    let _node = mill.node();
    mill.redis.at("jobs").push("jobs", ["x"]);
    let letter = letter(&mill, "jobs");
    assert!(
        letter.contains("`jobs:out` lies in slot") && letter.contains("`{jobs}:out` for the list `jobs`"),
        "{letter}"
    );
    // Where it does, each message goes there once, also while the slot moves, key by key.
    mill.redis.at("tagged").push("tagged", (0..ALL).map(|number| number.to_string()));
    let slot = mill.redis.slot("tagged");
    for _ in 0..2 {
        let before = mill.redis.len("{tagged}:out");
        eventually(SOON, "some more are there", || (mill.redis.len("{tagged}:out") > before + 100).then_some(()));
        let mut moving = mill.redis.begin_move(slot, (mill.redis.owner(slot) + 1) % 3);
        while moving.step(1) > 0 {
            pause(Duration::from_millis(100));
        }
        moving.finish();
    }
    eventually(SOON * 2, "all are there", || (mill.redis.len("{tagged}:out") >= ALL).then_some(()));
    eventually(SOON, "nothing is in flight", || {
        let at = mill.redis.at("tagged");
        (at.len("tagged") == 0 && at.keys("gristmill:{tagged}*:slow").is_empty()).then_some(())
    });
    let out = tally(mill.redis.at("tagged").ask(&["LRANGE", "{tagged}:out", "0", "-1"]));
    assert!(out.len() == ALL && out.values().all(|times| *times == 1), "{} are there", out.len());
    assert!(Dead::of(&mill, "tagged").list().is_empty());
}
