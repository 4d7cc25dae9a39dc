//! What the plugins' READMEs show works.

use gristmill_tests::{Mill, built};
use std::fs;

/// 32 bytes in base64, for every variable that the examples name.
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// The plugins of the repository, and the blocks of TOML in the README of each.
fn examples() -> Vec<(String, Vec<String>)> {
    let plugins = fs::read_dir(built::repository().join("plugins")).unwrap();
    let example = |plugin: fs::DirEntry| {
        let readme = fs::read_to_string(plugin.path().join("README.md")).unwrap();
        let blocks = readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
        (plugin.file_name().into_string().unwrap(), blocks.collect())
    };
    plugins.map(|plugin| example(plugin.unwrap())).collect()
}

/// A mill with the plugin alone, and all variables that its example names.
fn mill(name: &str, block: &str) -> Mill {
    let variables = block.split("${").skip(1).map(|rest| rest.split(['}', ':']).next().unwrap());
    variables.fold(Mill::new().plugins(&[name]), |mill, variable| mill.env(variable, KEY))
}

#[test]
fn every_plugin_takes_the_configuration_that_its_readme_shows() {
    for (name, blocks) in examples() {
        assert!(!blocks.is_empty(), "the README of `{name}` shows no configuration");
        for block in blocks {
            let mill = mill(&name, &block);
            // What the example of `file` grants.
            fs::create_dir(mill.dir().join("spool")).unwrap();
            let kind = mill.run_bare(&["inspect", &mill.plugin_file(&name).display().to_string()]).stdout;
            let role = if kind.contains("publisher") { "publish" } else { "filters" };
            mill.write_config(&format!(
                "[pipeline.jobs]\nfrom = {{ list = \"jobs\" }}\n{role} = [\"{name}\"]\n{block}"
            ));
            let finished = mill.run(&["check"]);
            assert_eq!(finished.code, 0, "{name}: {}{}", finished.stdout, finished.stderr);
        }
    }
}
