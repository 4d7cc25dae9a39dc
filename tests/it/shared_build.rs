//! Demo and tests use one build of the dependencies: cargo must resolve the same features for both.

use gristmill_tests::built;
use std::{collections::BTreeSet, env, process::Command};

/// Every package of this selection with its features, as `cargo tree` resolves them for these kinds of dependency.
fn resolved(kinds: &str) -> BTreeSet<String> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args([
        "tree",
        "--offline",
        "--workspace",
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p} {f}",
        "--edges",
        kinds,
    ]);
    let output = command.current_dir(built::repository()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

#[test]
fn what_only_tests_depend_on_changes_no_feature_of_what_the_host_depends_on() {
    let (demo, test) = (resolved("normal,build"), resolved("normal,build,dev"));
    let changed: Vec<&String> =
        demo.iter().filter(|package| !package.contains("(/") && !test.contains(*package)).collect();
    assert!(changed.is_empty(), "these are compiled twice, once for the demo and once for the tests: {changed:#?}");
}
