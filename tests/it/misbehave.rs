//! A plugin that breaks is stopped, its message is tried again and then buried; nothing else is disturbed.

use crate::jobs::{SOON, all_arrive, jobs, nothing_is_left, pipeline};
use gristmill_tests::{Dead, Mill, eventually};
use serde_json::Value;

/// The pipeline `jobs` without any filter, and beside it `bad`, whose filter misbehaves in this way.
fn mill(mode: &str) -> Mill {
    let tables = format!(
        r#"
[pipeline.bad]
from = {{ list = "bad" }}
filters = ["misbehave"]
publish = ["http"]
retry = {{ attempts = 3, first = "50ms", longest = "50ms" }}

[plugin.misbehave]
config = {{ mode = "{mode}" }}
timeout = "200ms"
memory_mib = 16
"#
    );
    Mill::new().guests(&["misbehave"]).plugins(&["http"]).config(&pipeline("", &tables))
}

/// Lets one message meet the misbehaving filter while others pass beside it, and returns its dead letter.
#[track_caller]
fn buried(mode: &str) -> Value {
    let mill = mill(mode);
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..200));
    mill.redis.push("bad", ["{\"id\":7}"]);
    mill.redis.push("jobs", jobs(200..400));
    let dead = Dead::of(&mill, "bad");
    let letters = eventually(SOON, "a dead letter", || Some(dead.list()).filter(|letters| !letters.is_empty()));
    assert_eq!(letters.len(), 1);
    assert_eq!(all_arrive(&mill.sink, 0..400), 0, "the jobs beside it are not disturbed");
    let letter = dead.show(&Dead::entry(&letters[0]));
    assert_eq!(node.ended(), None, "the node goes on");
    let story = letter.to_string();
    assert!(story.matches("misbehave").count() >= 3, "three attempts are told, each with the plugin: {story}");
    dead.discard(&Dead::entry(&letters[0]));
    assert_eq!(node.terminate(), 0);
    nothing_is_left(&mill.redis);
    letter
}

#[test]
fn a_trap_is_told_as_one() {
    let story = buried("trap").to_string();
    assert!(story.contains("trapped"), "{story}");
}

#[test]
fn an_endless_loop_is_stopped_after_its_timeout() {
    let story = buried("loop").to_string();
    assert!(story.contains("timeout") && story.contains("200ms"), "{story}");
}

#[test]
fn an_eater_of_memory_is_stopped_at_its_limit() {
    let story = buried("eat-memory").to_string();
    assert!(story.contains("memory_mib = 16"), "{story}");
}

#[test]
fn endless_recursion_is_stopped() {
    let story = buried("recurse").to_string();
    assert!(story.contains("stack") || story.contains("trapped"), "{story}");
}

#[test]
fn a_giant_answer_is_refused() {
    buried("giant-output");
}

#[test]
fn a_panic_is_told_with_its_last_words() {
    let story = buried("panic").to_string();
    assert!(story.contains("a panic on purpose"), "{story}");
}

#[test]
fn an_exit_is_told_as_one() {
    let story = buried("exit").to_string();
    assert!(story.contains("exit(0)"), "{story}");
}

#[test]
fn a_new_config_that_keeps_a_plugin_from_starting_leaves_the_old_one_in_force() {
    for mode in ["loop-in-init", "trap-in-init", "eat-memory-in-init", "refuse-config"] {
        let calm = pipeline("filters = [\"misbehave\"]", "[plugin.misbehave]\nconfig = { mode = \"pass\" }\n");
        let mill = Mill::new().guests(&["misbehave"]).plugins(&["http"]).config(&calm);
        let node = mill.node();
        let seen = node.log().len();
        mill.write_config(&calm.replace("\"pass\"", &format!("\"{mode}\"")));
        node.says_after(seen, &["misbehave"]);
        mill.redis.push("jobs", jobs(0..20));
        assert_eq!(all_arrive(&mill.sink, 0..20), 0, "{mode}");
    }
}

#[test]
fn many_bad_messages_at_once_do_not_stop_the_good_ones() {
    let mill = mill("trap");
    let _node = mill.node();
    for round in 0..10 {
        mill.redis.push("bad", jobs(0..50));
        mill.redis.push("jobs", jobs(round * 100..(round + 1) * 100));
    }
    assert_eq!(all_arrive(&mill.sink, 0..1_000), 0);
    let dead = Dead::of(&mill, "bad");
    eventually(SOON, "all bad ones are buried", || (dead.list().len() == 500).then_some(()));
}
