//! Messages into Redis itself: each place that the plugin `redis` knows, read back as those read it who wait there.

use crate::jobs::{SOON, jobs, nothing_is_left};
use gristmill_tests::{Dead, Mill, eventually, peers, process::finish};
use std::{collections::HashMap, time::Duration};

const JOB: &str = "{\"class\":\"Mail\",\"args\":[1]}";

/// A mill whose jobs go where `config` says.
fn mill(config: &str, grants: &str) -> Mill {
    mill_on(gristmill_tests::Redis::start(), config, grants)
}

fn mill_on(redis: gristmill_tests::Redis, config: &str, grants: &str) -> Mill {
    Mill::on(redis).plugins(&["redis"]).config(&format!(
        r#"lease = "1s"

[pipeline.jobs]
from = {{ list = "jobs" }}
publish = ["redis"]

[plugin.redis]
config = {{ {config} }}
allow_redis = [{grants}]
timeout = "20s"
"#
    ))
}

/// Waits until what `words` ask for has come to `expected`.
#[track_caller]
fn becomes(mill: &Mill, words: &[&str], expected: &[&str]) {
    eventually(SOON, &format!("{words:?} gives {expected:?}"), || {
        let found: Vec<Option<String>> = mill.redis.ask(words);
        found.iter().map(Option::as_deref).eq(expected.iter().copied().map(Some)).then_some(())
    });
}

#[test]
fn a_list_takes_at_the_end_that_it_is_told() {
    let mill = mill("list = \"out:{topic}\", pushed = \"left\"", "\"LPUSH out:*\"");
    mill.redis.ask::<()>(&["RPUSH", "out:jobs", "old"]);
    let _node = mill.node();
    mill.redis.push("jobs", [JOB.to_owned()]);
    becomes(&mill, &["LRANGE", "out:jobs", "0", "-1"], &[JOB, "old"]);
}

#[test]
fn a_stream_is_read_by_another_pipeline_with_its_headers() {
    let mill = mill("stream = \"events\", keep = 1000", "\"XADD events\"").plugins(&["http"]);
    let text = std::fs::read_to_string(mill.config_file()).unwrap();
    let text = text.replace(
        "[plugin.redis]",
        "[pipeline.events]\nfrom = { stream = \"events\" }\npublish = [\"http\"]\n\n[plugin.redis]",
    );
    let http = "\n[plugin.http]\nconfig = { url = \"$SINK/{header:kind}\" }\nallow_http = [\"$AUTHORITY\"]\n";
    let http = http.replace("$SINK", &mill.sink.url()).replace("$AUTHORITY", &mill.sink.authority());
    let text = text.replace("from = { list = \"jobs\" }", "from = { stream = \"jobs\" }");
    mill.write_raw_config(&format!("{text}{http}"));
    let _node = mill.node();
    mill.redis.ask::<String>(&["XADD", "jobs", "*", "payload", JOB, "kind", "mail"]);
    eventually(SOON, "it has gone through both pipelines", || (mill.sink.count() > 0).then_some(()));
    let received = mill.sink.received();
    assert_eq!((received[0].path.as_str(), received[0].text().as_str()), ("/mail", JOB));
}

#[test]
fn a_channel_tells_who_listens() {
    let mill = mill("channel = \"news\"", "\"PUBLISH news\"").plugins(&["http"]);
    let text = std::fs::read_to_string(mill.config_file()).unwrap();
    let listening = "[pipeline.news]\nfrom = { channel = \"news\" }\npublish = [\"http\"]\n\n[plugin.redis]";
    let http = "\n[plugin.http]\nconfig = { url = \"$SINK/\" }\nallow_http = [\"$AUTHORITY\"]\n";
    let http = http.replace("$SINK", &mill.sink.url()).replace("$AUTHORITY", &mill.sink.authority());
    mill.write_raw_config(&format!("{}{http}", text.replace("[plugin.redis]", listening)));
    let _node = mill.node();
    eventually(SOON, "somebody listens", || {
        let listening: HashMap<String, u64> = mill.redis.ask(&["PUBSUB", "NUMSUB", "news"]);
        (listening["news"] == 1).then_some(())
    });
    mill.redis.push("jobs", [JOB.to_owned()]);
    eventually(SOON, "it has been heard", || (mill.sink.count() > 0).then_some(()));
    assert_eq!(mill.sink.received()[0].text(), JOB);
}

#[test]
fn a_key_is_set_for_as_long_as_it_is_told_and_only_if_it_is_new() {
    let mill = mill("key = \"seen:{json:class}\", expires = \"1h\", only_new = true", "\"SET seen:*\"");
    mill.redis.ask::<()>(&["SET", "seen:Old", "kept"]);
    let _node = mill.node();
    mill.redis.push("jobs", [JOB.to_owned(), JOB.replace("Mail", "Old")]);
    becomes(&mill, &["MGET", "seen:Mail", "seen:Old"], &[JOB, "kept"]);
    let left: i64 = mill.redis.ask(&["PTTL", "seen:Mail"]);
    assert!((1..=3_600_000).contains(&left), "{left}");
    nothing_is_left(&mill.redis);
}

#[test]
fn what_was_not_granted_is_a_dead_letter_and_changes_nothing() {
    let mill = mill("list = \"{json:class}\"", "\"RPUSH out:*\"");
    let _node = mill.node();
    mill.redis.push("jobs", [JOB.to_owned()]);
    let letter = eventually(SOON, "the job is a dead letter", || Dead::of(&mill, "jobs").list().pop()).to_string();
    assert!(letter.contains("`allow_redis` does not grant `RPUSH` of `Mail`"), "{letter}");
    assert!(!mill.redis.ask::<bool>(&["EXISTS", "Mail"]));
}

#[test]
fn thoonk_takes_and_finishes_what_was_put_as_a_job() {
    let Some(mut python) = peers::python("thoonk") else { return };
    let grants = include_str!("../../plugins/redis/README.md").split("allow_redis = [\"LPOS").nth(1).unwrap();
    let grants = format!("\"LPOS{}", grants.split("]\n").next().unwrap().replace('\n', ""));
    let mill = mill_on(gristmill_tests::Redis::on_tcp(), "thoonk = \"jobs\"", &grants);
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..20));
    eventually(SOON, "all are put", || (mill.redis.ask::<usize>(&["LLEN", "feed.ids:jobs"]) == 20).then_some(()));
    nothing_is_left_but(&mill, "feed.ids:jobs");
    let script = "
import sys, json, thoonk
t = thoonk.Thoonk(host='127.0.0.1', port=int(sys.argv[1]))
j = t.job('jobs')
seen = set()
for _ in range(20):
    id, body, cancelled = j.get(timeout=5)
    assert len(id) == 32 and cancelled == 0, (id, cancelled)
    seen.add(json.loads(body)['id'])
    j.finish(id, 'done')
assert seen == set(range(20)), seen
assert j.get_ids() == []
assert t.redis.zcard('feed.published:jobs') == 0 and t.redis.zcard('feed.claimed:jobs') == 0
print(t.redis.get('feed.publishes:jobs'), t.redis.get('feed.finishes:jobs'))";
    let finished = finish(python.args(["-c", script, &mill.redis.port().to_string()]), Duration::from_secs(60));
    assert_eq!((finished.code, finished.stdout.as_str()), (0, "20 20\n"), "{}", finished.stderr);
}

/// Waits until the pipeline holds nothing more.
#[track_caller]
fn nothing_is_left_but(mill: &Mill, key: &str) {
    eventually(SOON, &format!("nothing is left but `{key}`"), || {
        let mut lists = mill.redis.keys("*").into_iter().filter(|name| {
            name != key && ["list", "zset"].contains(&mill.redis.ask::<String>(&["TYPE", name]).as_str())
        });
        lists.all(|name| name == "feed.published:jobs").then_some(())
    });
}
