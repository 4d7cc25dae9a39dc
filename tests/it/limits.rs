//! Limits end to end: what goes beyond one is told with plugin, version, limit and message, and nobody else notices.

mod bomb;

use crate::{
    harm::resident_mib,
    jobs::{SOON, all_arrive, direct, jobs, nothing_is_left, pipeline},
};
use gristmill_tests::{Dead, Mill, Node, Redis, eventually, replace_file};
use std::time::{Duration, Instant};

/// A plugin for each limit that a guest in Rust can go beyond: its name, that of its guest, its table, and the limit's name.
const OVERRUNS: [(&str, &str, &str, &str); 7] = [
    ("looper", "filters", "file = \"misbehave.wasm\"\nconfig = { mode = \"loop\" }\ntimeout = \"200ms\"", "time"),
    (
        "eater",
        "filters",
        "file = \"misbehave.wasm\"\nconfig = { mode = \"eat-memory\" }\nmemory_mib = 8\ntimeout = \"5s\"",
        "memory",
    ),
    (
        "talker",
        "filters",
        "file = \"misbehave.wasm\"\nconfig = { mode = \"giant-output\", amount = 3000000 }\nlimits = { answer_kib = 1024 }\ntimeout = \"5s\"",
        "answer",
    ),
    (
        "breeder",
        "filters",
        "file = \"misbehave.wasm\"\nconfig = { mode = \"many-children\", amount = 50 }\nlimits = { children = 40 }\ntimeout = \"5s\"",
        "children",
    ),
    (
        "asker",
        "publish",
        "file = \"two-rounds.wasm\"\nconfig = { urls = [\"$SINK/asked\", \"$SINK/asked\", \"$SINK/asked\"] }\nallow_http = [\"$AUTHORITY\"]\nlimits = { requests = 2 }\ntimeout = \"5s\"",
        "requests",
    ),
    (
        "rounder",
        "publish",
        "file = \"two-rounds.wasm\"\nconfig = { urls = [\"$SINK/asked\", \"$SINK/asked\", \"$SINK/asked\"] }\nallow_http = [\"$AUTHORITY\"]\nlimits = { rounds = 2 }\ntimeout = \"5s\"",
        "rounds",
    ),
    (
        "chatterer",
        "filters",
        "file = \"misbehave.wasm\"\nconfig = { mode = \"log-flood\", amount = 1000 }\nlimits = { log_lines = 1 }\ntimeout = \"5s\"",
        "log_lines",
    ),
];

/// The lines of the log in which `plugin` went beyond `limit`.
fn told(node: &Node, plugin: &str, limit: &str) -> Vec<String> {
    let (plugin, limit) = (format!("plugin=\"{plugin}\""), format!("limit=\"{limit}\""));
    let log = node.log();
    log.lines().filter(|line| line.contains(&plugin) && line.contains(&limit)).map(str::to_owned).collect()
}

#[test]
fn every_limit_is_told_once_with_plugin_version_and_message_and_disturbs_nobody() {
    let mut tables = String::new();
    for (name, role, table, _) in OVERRUNS {
        tables += &format!(
            "\n[pipeline.{name}]\nfrom = {{ list = \"{name}\" }}\n{role} = [\"{name}\"]\n\
             retry = {{ attempts = 3, first = \"50ms\", longest = \"50ms\" }}\n\n[plugin.{name}]\n{table}\n"
        );
    }
    let mill = Mill::new().guests(&["misbehave", "two-rounds"]).plugins(&["http"]).config(&pipeline("", &tables));
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..200));
    for (name, ..) in OVERRUNS {
        mill.redis.push(name, ["{\"id\":7}"]);
    }
    mill.redis.push("jobs", jobs(200..400));

    for (name, _, _, limit) in OVERRUNS {
        let lines = eventually(SOON, &format!("{name} is told of"), || {
            Some(told(&node, name, limit)).filter(|lines| !lines.is_empty())
        });
        let [line] = &lines[..] else { panic!("told once: {lines:?}") };
        assert!(line.contains(" WARN ") && line.contains("digest=\""), "{line}");
        if limit == "log_lines" {
            assert!(line.contains(" id=\""), "{line}");
            continue;
        }
        let dead = Dead::of(&mill, name);
        let letters = eventually(SOON, "a dead letter", || Some(dead.list()).filter(|letters| !letters.is_empty()));
        let letter = dead.show(&Dead::entry(&letters[0]));
        assert_eq!(letter["troubles"][0]["limit"], limit, "{letter}");
        assert_eq!(letter["troubles"].as_array().unwrap().len(), 3, "{letter}");
        let (id, digest) = (letter["id"].as_str().unwrap(), letter["troubles"][0]["digest"].as_str().unwrap());
        assert!(line.contains(&format!(" id=\"{id}\"")) && line.contains(digest), "{line} is about {id} in {digest}");
        assert_eq!(told(&node, name, limit).len(), 1, "three attempts are told as one");
        dead.discard(&Dead::entry(&letters[0]));
    }
    eventually(SOON, "the jobs beside them have arrived", || {
        let arrived = mill.sink.received().iter().filter(|one| one.path.starts_with("/hooks")).count();
        assert!(arrived <= 400, "nothing came twice");
        (arrived == 400).then_some(())
    });
    assert_eq!(node.ended(), None);
    assert_eq!(node.terminate(), 0);
    nothing_is_left(&mill.redis);
}

/// What stands before everything else in a config: little time and memory for the compiler.
const COMPILE: &str = "compile = { timeout = \"2s\", memory_mib = 1024 }\n";

#[test]
fn a_component_without_end_is_given_up_while_others_work() {
    let config = format!("{COMPILE}{}", pipeline("filters = [\"stamp\"]", ""));
    let mill = Mill::new().guests(&["stamp"]).plugins(&["http"]).config(&config);
    let mut node = mill.node();
    for (name, bytes) in [("slow", bomb::slow()), ("wide", bomb::wide())] {
        let seen = node.log().len();
        let start = Instant::now();
        let before = mill.sink.count() as u64;
        replace_file(&mill.plugin_file(name), &bytes);
        mill.redis.push("jobs", jobs(before..before + 200));
        assert_eq!(all_arrive(&mill.sink, 0..before + 200), 0, "the others work meanwhile");
        let line = node.says_after(seen, &["WARN", name, "limit=\"compile_", "`compile."]);
        assert!(start.elapsed() < Duration::from_secs(30), "{line}");
        assert!(resident_mib(&node) < 500, "{} MiB", resident_mib(&node));
    }
    // Whoever compiles next has the compiler for itself again.
    let seen = node.log().len();
    replace_file(&mill.plugin_file("late"), &gristmill_tests::guest_bytes("splitter"));
    node.says_after(seen, &["plugin ready", "late"]);
    assert_eq!(node.ended(), None);
}

#[test]
fn a_node_that_ends_does_not_wait_for_the_compiler() {
    let config = format!("compile = {{ timeout = \"10m\" }}\n{}", pipeline("", ""));
    let mill = Mill::new().plugins(&["http"]).config(&config);
    let mut node = mill.node();
    replace_file(&mill.plugin_file("slow"), &bomb::slow());
    let compiler = eventually(SOON, "the compiler has been started", || children(node.id()).into_iter().next());
    let start = Instant::now();
    assert_eq!(node.terminate(), 0);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    eventually(SOON, "the compiler has ended too", || gone(compiler).then_some(()));
}

#[test]
fn a_compiler_ends_with_the_node_that_is_killed() {
    let config = format!("compile = {{ timeout = \"10m\" }}\n{}", pipeline("", ""));
    let mill = Mill::new().plugins(&["http"]).config(&config);
    let mut node = mill.node();
    replace_file(&mill.plugin_file("slow"), &bomb::slow());
    let compiler = eventually(SOON, "the compiler has been started", || children(node.id()).into_iter().next());
    node.kill9();
    eventually(SOON, "the compiler has ended too", || gone(compiler).then_some(()));
}

/// The processes that `parent` has started.
fn children(parent: u32) -> Vec<u32> {
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    tasks
        .flatten()
        .flat_map(|task| of(task).split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Whether there is no such process any more, or only what is left for somebody to look at.
fn gone(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn bytes_that_are_no_component_are_refused_and_told() {
    let mill = direct(Redis::start(), "");
    let mut node = mill.node();
    let whole = gristmill_tests::guest_bytes("stamp");
    let mut noise = whole[..8].to_vec();
    noise.extend((0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    for (name, bytes) in [("half", &whole[..whole.len() / 2]), ("noise", &noise), ("head", &whole[..8])] {
        let seen = node.log().len();
        replace_file(&mill.plugin_file(name), bytes);
        node.says_after(seen, &["WARN", name, "cannot be used"]);
    }
    mill.redis.push("jobs", jobs(0..100));
    assert_eq!(all_arrive(&mill.sink, 0..100), 0);
    assert_eq!(node.ended(), None);
}

#[test]
fn a_plugin_is_compiled_once_and_taken_from_the_cache_by_the_next_start() {
    let mill = direct(Redis::start(), "").env("GRISTMILL_LOG", "debug");
    for compiled in [1, 0] {
        let mut node = mill.node();
        assert_eq!(node.log().matches("plugin compiled").count(), compiled);
        assert_eq!(node.terminate(), 0);
    }
}

#[test]
fn a_plugin_that_traps_in_one_of_a_hundred_messages_leaves_no_memory_behind() {
    const ROUND: u64 = 5_000;
    let tables = "[pipeline.bad]\nfrom = { list = \"bad\" }\nfilters = [\"misbehave\"]\nretry = { attempts = 1 }\n\
                  [plugin.misbehave]\nconfig = { mode = \"trap\", when = \"00,\" }\n";
    let mill = Mill::new().guests(&["misbehave"]).plugins(&["http"]).config(&pipeline("", tables));
    let node = mill.node();
    let mut resident = Vec::new();
    for round in 0..4 {
        mill.redis.push("bad", jobs(round * ROUND..(round + 1) * ROUND));
        nothing_but_dead_letters_is_left(&mill);
        resident.push(resident_mib(&node));
    }
    let dead: u64 = mill.redis.ask(&["XLEN", "gristmill:{bad}:bad:dead"]);
    assert_eq!(dead, 4 * ROUND / 100 - 1, "one of a hundred, and 0 is written with one digit");
    assert!(resident[3] <= resident[1] + 16, "MiB after each {ROUND} messages: {resident:?}");
}

fn nothing_but_dead_letters_is_left(mill: &Mill) {
    const LEFT: &str = "local left = 0
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'list' or kind == 'zset' then left = left + 1 end
end
return left";
    eventually(SOON * 2, "all are settled", || (mill.redis.ask::<usize>(&["EVAL", LEFT, "0"]) == 0).then_some(()));
}

#[test]
fn memory_that_a_plugin_has_eaten_goes_back_to_the_machine() {
    let tables = "[pipeline.bad]\nfrom = { list = \"bad\" }\nfilters = [\"misbehave\"]\nretry = { attempts = 1 }\nin_flight = 1\n\
                  [plugin.misbehave]\nconfig = { mode = \"eat-memory\" }\nmemory_mib = 60\ntimeout = \"20s\"\n";
    let mill = Mill::new().guests(&["misbehave"]).plugins(&["http"]).config(&pipeline("", tables));
    let node = mill.node();
    let before = resident_mib(&node);
    mill.redis.push("bad", jobs(0..8));
    nothing_but_dead_letters_is_left(&mill);
    let dead: u64 = mill.redis.ask(&["XLEN", "gristmill:{bad}:bad:dead"]);
    assert_eq!((dead, told(&node, "misbehave", "memory").is_empty()), (8, false));
    eventually(SOON, "it is given back", || (resident_mib(&node) <= before + 32).then_some(()));
}
