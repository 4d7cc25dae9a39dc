//! Every plugin of the repository takes each configuration that its README shows.

use super::blocks_of;
use gristmill_tests::{Mill, Redis, built};
use std::fs;

/// 32 bytes in base64, for every variable that a configuration names.
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// The plugins, and the configurations in the README of each.
fn examples() -> Vec<(String, Vec<String>)> {
    let plugins = fs::read_dir(built::repository().join("plugins")).unwrap();
    let names = plugins.map(|plugin| plugin.unwrap().file_name().into_string().unwrap());
    let shown = |name: String| (blocks_of(&format!("plugins/{name}/README.md"), "toml"), name);
    names.map(shown).map(|(blocks, name)| (name, blocks)).collect()
}

/// A mill with the plugin alone, and all variables that the configuration names.
fn mill(redis: &Redis, name: &str, block: &str) -> Mill<()> {
    let variables = block.split("${").skip(1).map(|rest| rest.split(['}', ':']).next().unwrap());
    variables.fold(Mill::at(redis.url(), ()).plugins(&[name]), |mill, variable| mill.env(variable, KEY))
}

#[test]
fn every_plugin_comes_up_with_the_configuration_that_its_readme_shows() {
    let redis = Redis::start();
    for (name, blocks) in examples() {
        assert!(!blocks.is_empty(), "the README of `{name}` shows no configuration");
        for block in blocks {
            let mill = mill(&redis, &name, &block);
            // What the example of `file` grants.
            fs::create_dir(mill.dir().join("spool")).unwrap();
            let kind = mill.run_bare(&["inspect", &mill.plugin_file(&name).display().to_string()]).stdout;
            let role = if kind.contains("publisher") { "publish" } else { "filters" };
            mill.write_config(&format!(
                "[pipeline.jobs]\nfrom = {{ list = \"jobs\" }}\n{role} = [\"{name}\"]\n{block}"
            ));
            let checked = mill.run(&["check"]);
            assert_eq!(checked.code, 0, "{name}: {}{}", checked.stdout, checked.stderr);
            assert!(checked.stdout.contains(&format!("plugin    {name}: ")), "{}", checked.stdout);
        }
    }
}
