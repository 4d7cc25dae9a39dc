//! Children that do not do what they should: shell scripts in the compiler's place.

use super::{super::digest::Digest, parent::Parent};
use crate::{config, message::Limit, plugin::Cause};
use std::time::{Duration, Instant};

fn settings() -> config::Compile {
    config::Compile { timeout: Duration::from_millis(200), memory_mib: 64, file_mib: 1 }
}

/// What becomes of a component for which this script is the compiler.
async fn refused(script: &str) -> Cause {
    let wasm = vec![7; 300_000];
    let start = Instant::now();
    let parent = Parent::of("/bin/sh", &["-c", script], &settings());
    let cause = parent.entry(&wasm, Digest::of(&wasm)).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20), "{script}: {:?}", start.elapsed());
    cause
}

#[tokio::test]
async fn a_child_that_is_killed_crashes_or_talks_nonsense_refuses_the_plugin() {
    for script in ["exit 3", "kill -SEGV $$", "kill -TERM $$"] {
        assert_eq!(refused(script).await, Cause::Invalid("the compiler gave up on it".to_owned()), "{script}");
    }
    for script in ["true", "echo garbage", "cat", "head -c 100 /dev/zero"] {
        assert_eq!(refused(script).await, Cause::Invalid("the compiler's answer was damaged".to_owned()), "{script}");
    }
}

#[tokio::test]
async fn a_child_says_what_is_wrong_with_a_plugin() {
    let cause = refused("cat >/dev/null; echo 'unknown section' >&2; exit 65").await;
    assert_eq!(cause, Cause::Invalid("unknown section".to_owned()));
    let cause = refused("echo 'instances count exceeds limit of 1000' >&2; exit 65").await;
    assert!(matches!(cause, Cause::Beyond(Limit::Parts, _)), "{cause}");
}

#[tokio::test]
async fn a_child_without_end_is_ended() {
    for script in ["sleep 1000", "while :; do :; done", "yes", "exec <&-; sleep 1000"] {
        let cause = refused(script).await;
        let known = matches!(&cause, Cause::Beyond(Limit::CompileTime, _)) || script == "yes";
        assert!(known, "{script}: {cause}");
    }
}

#[tokio::test]
async fn the_ways_in_which_a_child_runs_out_are_told_apart() {
    for (script, limit) in [
        ("kill -XCPU $$", Limit::CompileTime),
        ("kill -KILL $$", Limit::CompileMemory),
        ("exit 71", Limit::CompileMemory),
        ("echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$", Limit::CompileMemory),
    ] {
        let cause = refused(script).await;
        assert!(matches!(&cause, Cause::Beyond(beyond, _) if *beyond == limit), "{script}: {cause}");
    }
}

#[tokio::test]
async fn a_compiler_that_is_not_there_is_named() {
    let parent = Parent::of("/nowhere/gristmill", &[], &settings());
    let cause = parent.entry(b"x", Digest::of(b"x")).await.unwrap_err();
    assert!(cause.to_string().contains("the compiler cannot be started"), "{cause}");
}
