//! Plugins that come and go all day leave neither memory nor descriptors nor threads behind.

use super::{Bench, guests, message};
use crate::{message::Verdict, plugin::Kind};
use std::{env, fs, process::Command};

/// Tells the test that it is alone in its process: what others take at the same time would count, too.
const ALONE: &str = "GRISTMILL_ALONE";
/// How often a version takes the place of another and is put away.
const CYCLES: &str = "GRISTMILL_CYCLES";

/// What a process holds.
#[derive(Debug)]
struct Held {
    /// KiB of memory that are really there.
    resident: usize,
    /// KiB of address space.
    reserved: usize,
    descriptors: usize,
    threads: usize,
}

impl Held {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
        };
        let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
        Self { resident: number("VmRSS"), reserved: number("VmSize"), descriptors, threads: number("Threads") }
    }
}

#[test]
fn versions_that_come_and_go_leave_nothing_behind() {
    if env::var_os(ALONE).is_none() {
        let name = "plugin::tests::cycles::versions_that_come_and_go_leave_nothing_behind";
        let mut alone = Command::new(env::current_exe().unwrap());
        let output = alone.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.contains("1 passed"), "{told}");
        return;
    }
    let cycles: usize = env::var(CYCLES).map_or(2_000, |cycles| cycles.parse().expect("a number of cycles"));
    tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build().unwrap().block_on(
        async {
            let bench = Bench::new();
            let versions = [guests::replace("even"), guests::replace("odd"), guests::filter("(unreachable)")];
            bench.put("f", &versions[0]);
            bench.commit(&[("f", Kind::Filter)]).await;
            // What is made once is made in these: caches, threads, the high-water marks of the allocator.
            turn(&bench, &versions, 0..100).await;
            let before = Held::now();
            turn(&bench, &versions, 100..100 + cycles).await;
            let after = Held::now();
            eprintln!("{cycles} versions later: {before:?} -> {after:?}");
            assert!(after.descriptors <= before.descriptors && after.threads <= before.threads, "{before:?} {after:?}");
            // A version that stayed would hold more than a page; what is allowed is for the allocator's own holes.
            let most = 4_096 + cycles;
            assert!(
                after.resident <= before.resident + most && after.reserved <= before.reserved + 4 * most,
                "{before:?} {after:?}"
            );
        },
    );
}

/// Puts one version after the other in force, each of which serves a message or breaks over it.
async fn turn(bench: &Bench, versions: &[Vec<u8>], turns: std::ops::Range<usize>) {
    for turn in turns {
        let file = bench.put("f", &versions[turn % versions.len()]);
        assert!(bench.plugins.refresh(&[file]).await.is_empty());
        let version = bench.plugins.slot("f").unwrap().current();
        let answer = version.lend().await.unwrap().filter(&message("x")).await;
        match turn % versions.len() {
            2 => assert!(answer.is_err(), "{answer:?}"),
            _ => assert!(matches!(answer, Ok(Verdict::Replace(_))), "{answer:?}"),
        }
    }
}
