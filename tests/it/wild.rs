//! Plugins that nobody would write: whatever Wasm comes, it is refused in a sentence or kept within its limits, and others go on.

use crate::{
    harm::resident_mib,
    jobs::{SOON, jobs, nothing_is_left, pipeline},
};
use gristmill_tests::{Dead, Mill, Node, built, eventually, replace_file};
use serde_json::Value;
use std::{
    fmt::Write,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

/// What `cargo xtask test` has had made; of a module with the functions of the API a plugin is made first, if that can be.
fn made_up(mill: &Mill) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = fs::read_dir(built::wild()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let component = mill.dir().join("component.wasm");
    let verb = |file: &Path| {
        ["componentize", file.to_str().unwrap(), "--output", component.to_str().unwrap()].map(str::to_owned)
    };
    let made = files.iter().map(|file| {
        let verb = verb(file);
        let told = mill.run_bare(&verb.each_ref().map(String::as_str));
        assert!([0, 1].contains(&told.code), "{}: {}", file.display(), told.stderr);
        fs::read(if told.code == 0 { &component } else { file }).unwrap()
    });
    made.collect()
}

/// The plugins of whose kind `kind` is true, that are in force.
fn in_force(mill: &Mill, kind: impl Fn(&str) -> bool) -> Vec<String> {
    let status: Value = serde_json::from_str(&mill.run(&["status", "--json"]).stdout).unwrap();
    let plugins = status["plugins"].as_array().unwrap().iter();
    let wild = plugins.filter(|plugin| kind(plugin["kind"].as_str().unwrap()));
    let names = wild.map(|plugin| plugin["name"].as_str().unwrap().to_owned());
    names.filter(|name| name.starts_with("wild-")).collect()
}

/// Descriptors and threads of the node.
fn held(node: &Node) -> usize {
    let count = |what: &str| fs::read_dir(format!("/proc/{}/{what}", node.id())).unwrap().count();
    count("fd") + count("task")
}

#[test]
fn wasm_that_chance_has_made_is_refused_in_a_sentence_or_runs_within_its_limits() {
    let mill = Mill::new().guests(&["stamp"]).plugins(&["http"]);
    let base = pipeline("filters = [\"stamp\"]", "");
    mill.write_config(&base);
    let made = made_up(&mill);
    for (number, wasm) in made.iter().enumerate() {
        replace_file(&mill.plugin_file(&format!("wild-{number}")), wasm);
    }
    let mut node = mill.node();
    let ready = in_force(&mill, |_| true);
    let log = node.log();
    for number in 0..made.len() {
        let name = format!("wild-{number}");
        let told = format!("plugin `{name}` cannot be used: ");
        let refused = log.lines().any(|line| line.contains(" WARN ") && line.contains(&told));
        assert_ne!(refused, ready.contains(&name), "{name} is either in force or refused: {log}");
    }
    assert!(!ready.is_empty() && ready.len() < made.len(), "{} of {} came up", ready.len(), made.len());

    // Each that came up as a filter gets messages of its own.
    let filters = in_force(&mill, |kind| kind.starts_with("filter"));
    eprintln!("{} of {} came up, {} of them filters", ready.len(), made.len(), filters.len());
    let mut tables = String::new();
    for name in &filters {
        let pipeline =
            format!("[pipeline.{name}]\nfrom = {{ list = \"{name}\" }}\nfilters = [\"{name}\"]\npublish = [\"http\"]");
        let limits = "retry = { attempts = 2, crashes = 1, first = \"10ms\", longest = \"10ms\" }";
        writeln!(tables, "{pipeline}\n{limits}\n[plugin.{name}]\ntimeout = \"50ms\"\nmemory_mib = 8\n").unwrap();
    }
    let seen = node.log().len();
    mill.write_config(&pipeline("filters = [\"stamp\"]", &tables));
    node.says_after(seen, &["configuration reloaded"]);
    round(&mill, &filters, 0..200);
    let before = held(&node);
    round(&mill, &filters, 200..300);
    assert_eq!(node.ended(), None, "{}", node.log());
    assert!(!node.log().contains("panicked"), "{}", node.log());
    assert!(
        held(&node) <= before + 16 && resident_mib(&node) < 500,
        "{before} {} {}",
        held(&node),
        resident_mib(&node)
    );
    assert_eq!(node.terminate(), 0);
    nothing_is_left(&mill.redis);
}

/// Messages for each of the `filters`, and these jobs for a good one beside them; nothing stays of the former.
fn round(mill: &Mill, filters: &[String], good: Range<u64>) {
    for name in filters {
        mill.redis.push(name, ["{\"id\":1000}", "", "\0"]);
    }
    let count = good.end as usize;
    mill.redis.push("jobs", jobs(good));
    good_ones_arrive(mill, count);
    for name in filters {
        let dead = Dead::of(mill, name);
        eventually(SOON, &format!("{name} is through"), || {
            let waiting = mill.redis.len(name) + mill.redis.keys(&format!("gristmill:{{{name}}}:*:lane:*")).len();
            let delayed: usize = mill.redis.ask(&["ZCARD", &format!("gristmill:{{{name}}}:{name}:delayed")]);
            (waiting + delayed == 0).then_some(())
        });
        for letter in dead.list() {
            assert_eq!(dead.discard(&Dead::entry(&letter)).code, 0);
        }
    }
}

fn good_ones_arrive(mill: &Mill, count: usize) {
    let arrived = || mill.sink.received().iter().filter(|received| received.path == "/hooks/jobs").count();
    eventually(SOON, "the good ones arrive", || (arrived() == count).then_some(()));
}
