//! Every kind of source in a Cluster: all keys of one lie in one slot, wherever that is and goes.

use crate::{
    harm::progress,
    jobs::{SOON, all_arrive},
};
use gristmill_tests::{Answer, Cluster, Mill, Redis, eventually};
use std::ops::Range;

const HELD: usize = 64;

const CONFIG: &str = r#"
lease = "1s"

[pipeline.lists]
from = { list = ["{app}:urgent", "{app}:usual"] }
publish = ["http"]
in_flight = 64

[pipeline.stream]
from = { stream = "events" }
publish = ["http"]
in_flight = 64

[pipeline.resque]
from = { resque = ["*"], namespace = "{resque}" }
publish = ["http"]
in_flight = 64

[pipeline.queue]
from = { thoonk = "{queued}", kind = "queue" }
publish = ["http"]
in_flight = 64

[pipeline.jobs]
from = { thoonk = "{work}", kind = "job" }
publish = ["http"]
in_flight = 64

[plugin.http]
config = { url = "$SINK/{topic}" }
allow_http = ["$AUTHORITY"]
"#;

/// A key of each source.
const KEYS: [&str; 5] = ["{app}:usual", "events", "{resque}:queue:low", "feed.ids:{queued}", "feed.ids:{work}"];

/// Pushes messages with these numbers into one source, as its producers do.
fn push(cluster: &Cluster, source: usize, numbers: Range<u64>) {
    let mut pipe = redis::pipe();
    for number in numbers {
        let body = format!("{{\"id\":{number}}}");
        match source {
            0 => pipe.cmd("RPUSH").arg(["{app}:urgent", "{app}:usual"][number as usize % 2]).arg(body),
            1 => pipe.cmd("XADD").arg("events").arg("*").arg("payload").arg(body),
            2 => {
                pipe.cmd("SADD").arg("{resque}:queues").arg("low");
                let body = format!("{{\"class\":\"Deliver\",\"args\":[{number},\"x\"]}}");
                pipe.cmd("RPUSH").arg("{resque}:queue:low").arg(body)
            }
            _ => {
                let feed = ["{queued}", "{work}"][source - 3];
                let id = format!("{number:032x}");
                pipe.cmd("HSET").arg(format!("feed.items:{feed}")).arg(&id).arg(body);
                pipe.cmd("LPUSH").arg(format!("feed.ids:{feed}")).arg(&id)
            }
        };
    }
    pipe.exec(&mut cluster.at(KEYS[source]).connect()).unwrap();
}

/// Waits until nothing waits, is in flight or is scheduled; the stream keeps what was read.
fn nothing_waits(redis: &Redis) {
    eventually(SOON, "nothing waits", || {
        let waits = |key: &String| {
            let kind: String = redis.ask(&["TYPE", key]);
            ["list", "zset"].contains(&kind.as_str()) || key.ends_with(":slow") || key.ends_with(":held")
        };
        (!redis.keys("*").iter().any(waits)).then_some(())
    });
}

#[test]
fn every_kind_of_source_survives_a_killed_node_and_a_moved_slot() {
    const EACH: u64 = 500;
    let cluster = Cluster::start();
    let mill = Mill::at(cluster.url(), cluster).plugins(&["http"]).config(CONFIG);
    mill.sink.answer(Answer::Late(std::time::Duration::from_millis(20)));
    let (mut one, mut other) = (mill.node(), mill.node());
    for (source, first) in (0..KEYS.len()).zip((0..).step_by(EACH as usize)) {
        push(&mill.redis, source, first..first + EACH);
    }
    progress(&mill, 300);
    one.kill9();
    for key in KEYS {
        let slot = mill.redis.slot(key);
        mill.redis.move_slot(slot, (mill.redis.owner(slot) + 1) % 3);
    }
    progress(&mill, 300);
    let twice = all_arrive(&mill.sink, 0..EACH * KEYS.len() as u64);
    assert!(twice <= 2 * HELD * KEYS.len(), "{twice} came twice");
    (0..3).for_each(|number| nothing_waits(mill.redis.member(number)));
    eventually(SOON, "nothing is pending", || {
        let pending: Vec<redis::Value> = mill.redis.at("events").ask(&["XPENDING", "events", "gristmill"]);
        (pending.first() == Some(&redis::Value::Int(0))).then_some(())
    });
    assert_eq!(other.terminate(), 0);
    eventually(SOON, "nobody is registered any more", || {
        let left: usize = (0..3).map(|number| mill.redis.member(number).keys("gristmill:*lanes").len()).sum();
        (left == 0).then_some(())
    });
}
