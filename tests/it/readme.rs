//! What the README shows is what there is.

use gristmill_tests::{Redis, built, mill::Mill};
use std::fs;

/// First-party plugins whose README has one configuration, and what that reads from the environment.
const PLUGINS: [(&str, &[(&str, &str)]); 3] =
    [("anonymize", &[]), ("http", &[("TOKEN", "t")]), ("pusher", &[("PUSHER_SECRET", "s")])];

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
    let files = ["examples/first-filter/src/lib.rs", "examples/first-publisher/src/lib.rs"];
    assert_eq!(shown, files.map(read));
}

#[test]
fn the_configuration_it_shows_is_one() {
    let mill = Mill::new();
    let effective = |config: &String| {
        mill.write_raw_config(config);
        let effective = mill.run(&["config", "effective"]);
        assert_eq!(effective.code, 0, "{}", effective.stderr);
        effective.stdout
    };
    let shown: Vec<String> = blocks("toml").iter().map(effective).collect();
    assert!(shown[0].contains("hooks.example.com"), "{}", shown[0]);
}

#[test]
fn a_plugin_comes_up_with_the_configuration_that_its_readme_shows() {
    let redis = Redis::start();
    for (plugin, environment) in PLUGINS {
        let [config] = &blocks_of(&format!("plugins/{plugin}/README.md"), "toml")[..] else {
            panic!("{plugin} shows one configuration")
        };
        let mill = Mill::at(redis.url(), ()).plugins(&[plugin]).config(config);
        let mill = environment.iter().fold(mill, |mill, (name, value)| mill.env(name, value));
        let checked = mill.run(&["check"]);
        assert_eq!(checked.code, 0, "{plugin}: {}", checked.stderr);
        assert!(checked.stdout.contains(&format!("plugin    {plugin}: ")), "{}", checked.stdout);
    }
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
        assert!(built::repository().join(path).exists(), "{link}");
        // A heading is linked to in small letters, with a hyphen for each space.
        let is_place = |line: &str| line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-") == place;
        assert!(place.is_empty() || read(path).lines().any(|line| line.starts_with('#') && is_place(line)), "{link}");
    }
}
