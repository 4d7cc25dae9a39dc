//! `cargo xtask demo --once` shows a whole broker at work and ends well.

use gristmill_tests::{built, process::finish};
use std::{process::Command, time::Duration};

/// Everything is built already; cargo only looks.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn the_demo_delivers_what_it_pushes_without_what_is_private() {
    let xtask = built::profile_dir().join("xtask");
    assert!(xtask.is_file(), "run `cargo xtask test`, which is the program that this test starts");
    let mut command = Command::new(xtask);
    command.args(["demo", "--once"]).current_dir(built::repository()).env("CARGO_TARGET_DIR", built::target_dir());
    let finished = finish(&mut command, LIMIT);
    assert_eq!(finished.code, 0, "{}\n{}", finished.stdout, finished.stderr);
    assert!(finished.stdout.contains("20 messages pushed, filtered and delivered"), "{}", finished.stdout);
    assert!(!finished.stdout.contains("still there"), "{}", finished.stdout);
    assert!(finished.stdout.contains("RPUSH notifications"), "it says where to push: {}", finished.stdout);
}
