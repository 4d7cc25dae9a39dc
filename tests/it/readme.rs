//! What the README shows is what there is, and what those of the plugins show.

mod plugins;

use crate::jobs::{SOON, nothing_is_left};
use gristmill_tests::{
    built,
    database::{Database, Engine},
    eventually,
    mill::Mill,
};
use std::fs;

fn read(path: &str) -> String {
    fs::read_to_string(built::repository().join(path)).unwrap()
}

/// The README's code blocks in `language`.
fn blocks(language: &str) -> Vec<String> {
    blocks_of("README.md", language)
}

fn blocks_of(path: &str, language: &str) -> Vec<String> {
    let readme = read(path);
    let opening = format!("```{language}\n");
    readme.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_plugins_it_shows_are_the_files_that_are_built_and_tested() {
    let shown = blocks("rust");
    let files = ["filter", "publisher", "lookup"].map(|name| format!("examples/first-{name}/src/lib.rs"));
    assert_eq!(shown, files.map(|file| read(&file)));
}

#[test]
fn each_configuration_it_shows_is_one() {
    let mill = Mill::new().env("SHOP_PASSWORD", "hunter2").env("PROXY_PASSWORD", "hunter2");
    let mill = mill.env("EDGE_SECRET", "hunter2, hunter2, hunter2, hunter2");
    let effective = |config: &String| {
        mill.write_raw_config(config);
        let effective = mill.run(&["config", "effective"]);
        assert_eq!(effective.code, 0, "{}", effective.stderr);
        assert!(!effective.stdout.contains("hunter2"), "{}", effective.stdout);
        effective.stdout
    };
    let shown: Vec<String> = blocks("toml").iter().map(effective).collect();
    assert!(shown.len() > 1 && shown[0].contains("hooks.example.com"), "{}", shown[0]);
}

/// With a private Redis, a database in a file and a sink in the places of what only its readers have.
#[test]
fn the_plugin_that_it_shows_looks_up_what_its_configuration_grants() {
    let database = Database::start(Engine::Sqlite).expect("SQLite is always there");
    database.run("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO customers VALUES (7, 'ann')");
    let mill = Mill::new().plugins(&["first-lookup", "http"]);
    let config = blocks("toml").into_iter().find(|config| config.contains("[database.shop]")).unwrap();
    let url = config.lines().find(|line| line.starts_with("url = \"mysql:")).unwrap().to_owned();
    let config = config
        .replace(&url, &format!("url = \"{}\"", database.url()))
        .replace("redis://127.0.0.1:6379", &mill.redis.url())
        .replace("https://hooks.example.com", &mill.sink.url())
        .replace("hooks.example.com", &mill.sink.authority());
    mill.write_raw_config(&format!("data_dir = \"data\"\n{config}"));
    let mut node = mill.node();
    mill.redis.push("orders", (0..3).map(|_| "{\"number\": 1, \"customer\": 7}"));
    mill.redis.push("orders", ["{\"number\": 2, \"customer\": 7}"]);
    eventually(SOON, "both orders arrive", || (mill.sink.count() == 2).then_some(()));
    nothing_is_left(&mill.redis);
    assert!(mill.sink.received().iter().all(|received| received.path == "/ann"), "{:?}", mill.sink.received());
    assert_eq!(mill.sink.bodies().len(), 2, "each of them once");
    assert_eq!(mill.redis.keys("gristmill:store:{first-lookup}:order:*").len(), 2);
    assert_eq!(node.terminate(), 0);
}

#[test]
fn its_commands_are_verbs_that_ci_runs_or_tests() {
    let ci = read(".ci/run");
    for command in blocks("sh").iter().filter(|block| !block.starts_with("gristmill new")) {
        assert!(ci.contains(command.trim()), "`{}` is not in .ci/run", command.trim());
    }
}

#[test]
fn its_links_lead_somewhere() {
    let readme = read("README.md");
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links.filter(|link| !link.starts_with("http")) {
        let (path, place) = link.split_once('#').unwrap_or((link, ""));
        let path = if path.is_empty() { "README.md" } else { path };
        assert!(built::repository().join(path).exists(), "{link}");
        // A heading is linked to in small letters, with a hyphen for each space.
        let is_place = |line: &str| line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-") == place;
        assert!(place.is_empty() || read(path).lines().any(|line| line.starts_with('#') && is_place(line)), "{link}");
    }
}
