//! Messages as lines of files: through crashes, full disks, several nodes, and what others do to the files.

use crate::{
    harm::HELD,
    jobs::{SOON, jobs, nothing_is_left},
};
use gristmill_tests::{Dead, Mill, SmallDisk, built, eventually, eventually::holds_for};
use serde_json::Value;
use std::{
    collections::HashMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

/// A mill that writes jobs below `dir` as this `config` says.
fn mill(dir: &Path, config: &str) -> Mill {
    let mill = Mill::new().plugins(&["file"]);
    configure(&mill, dir, config);
    mill
}

fn configure(mill: &Mill, dir: &Path, config: &str) {
    let dir = dir.display();
    mill.write_config(&format!(
        r#"lease = "1s"

[pipeline.jobs]
from = {{ list = "jobs" }}
publish = ["file"]
in_flight = {HELD}
retry = {{ attempts = 100, first = "100ms", longest = "200ms" }}

[plugin.file]
config = {{ dir = "out", {config} }}
allow_dirs = {{ out = "{dir}" }}
timeout = "20s"
"#
    ));
}

/// A directory of the mill's own, which is gone with it.
fn spool() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("gristmill-spool-").tempdir().unwrap()
}

/// All files in `dir` whose name begins so, but for those that hold halves of lines.
fn files(dir: &Path, name: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let wanted = |path: &PathBuf| {
        let own = path.file_name().unwrap().to_str().unwrap();
        own.starts_with(name) && !own.ends_with(".torn")
    };
    let mut paths: Vec<PathBuf> = paths.filter(wanted).collect();
    paths.sort();
    paths
}

/// How often each job stands in the files; every line is whole.
#[track_caller]
fn written(dir: &Path, name: &str) -> HashMap<u64, usize> {
    let mut written = HashMap::new();
    for path in files(dir, name) {
        // Without the lock a write may be seen that is about to be cut back.
        let mut file = fs::File::open(&path).unwrap();
        file.lock_shared().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        drop(file);
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends in half a line", path.display());
        for line in text.lines() {
            let job: Result<Value, _> = serde_json::from_str(line);
            assert!(job.is_ok(), "{}: `{line}`", path.display());
            let job = job.unwrap();
            *written.entry(job["id"].as_u64().unwrap()).or_default() += 1;
        }
    }
    written
}

/// Waits until all of so many jobs are done, and returns how many lines there are more.
#[track_caller]
fn all_are_written(mill: &Mill, dir: &Path, name: &str, count: u64) -> usize {
    nothing_is_left(&mill.redis);
    let written = written(dir, name);
    let missing: Vec<u64> = (0..count).filter(|number| !written.contains_key(number)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    written.values().sum::<usize>() - written.len()
}

/// Waits until the files have lines.
#[track_caller]
fn progress(dir: &Path, name: &str, lines: usize) {
    eventually(SOON, &format!("{lines} lines"), || {
        let texts = files(dir, name).into_iter().filter_map(|path| fs::read_to_string(path).ok());
        (texts.map(|text| text.lines().count()).sum::<usize>() >= lines).then_some(())
    });
}

#[test]
fn the_example_of_its_readme_writes_an_envelope_for_each_message() {
    let readme = fs::read_to_string(built::repository().join("plugins/file/README.md")).unwrap();
    let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let mill = Mill::new().plugins(&["file"]);
    fs::create_dir(mill.dir().join("spool")).unwrap();
    let pipeline = "[pipeline.orders]\nfrom = { list = \"orders\" }\npublish = [\"file\"]\n\n";
    mill.write_config(&format!("{pipeline}{example}"));
    let _node = mill.node();
    mill.redis.push("orders", ["one\ntwo".to_owned(), "three".to_owned()]);
    let dir = mill.dir().join("spool/orders");
    let lines = eventually(SOON, "both messages are written", || {
        let path = fs::read_dir(&dir).ok()?.next()?.unwrap().path();
        assert!(path.extension().is_some_and(|extension| extension == "ndjson"), "{}", path.display());
        let text = fs::read_to_string(path).unwrap();
        (text.lines().count() == 2)
            .then(|| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>())
    });
    let mut payloads: Vec<&str> = lines.iter().map(|line| line["payload"].as_str().unwrap()).collect();
    payloads.sort_unstable();
    assert_eq!((payloads, lines[0]["topic"].as_str()), (vec!["one\ntwo", "three"], Some("orders")));
    assert!(lines[0]["id"] != lines[1]["id"], "{lines:?}");
}

#[test]
fn nodes_that_are_killed_in_the_middle_lose_no_line_and_leave_none_torn() {
    let dir = spool();
    let mill = mill(dir.path(), "path = \"jobs.ndjson\", rotate_mib = 1");
    let long = "x".repeat(20_000);
    let job = |number: u64| format!("{{\"id\":{number},\"text\":\"{long}\"}}");
    let (kills, each) = (6, 400);
    for kill in 0..kills {
        let mut node = mill.node();
        mill.redis.push("jobs", (kill * each..(kill + 1) * each).map(job));
        progress(dir.path(), "jobs.ndjson", usize::try_from(kill * each + 40).unwrap());
        node.kill9();
    }
    let mut node = mill.node();
    let twice = all_are_written(&mill, dir.path(), "jobs.ndjson", kills * each);
    assert!(twice <= HELD * usize::try_from(kills).unwrap(), "{twice} were written twice");
    let files = files(dir.path(), "jobs.ndjson");
    let long = files.iter().filter(|path| fs::metadata(path).unwrap().len() > 1 << 20).count();
    assert_eq!((files.len() > 40, long), (true, 0), "{} files, {long} of them too long", files.len());
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_full_disk_is_waited_for_and_nothing_of_what_did_not_fit_stays() {
    let Some(disk) = SmallDisk::of(4) else { return };
    let mill = mill(disk.path(), "path = \"jobs.ndjson\"");
    let mut node = mill.node();
    mill.redis.push("jobs", jobs(0..200));
    progress(disk.path(), "jobs.ndjson", 200);
    disk.fill();
    mill.redis.push("jobs", jobs(200..1_000));
    node.says(&["`out/jobs.ndjson`", "No space left on device"]);
    holds_for(Duration::from_secs(1), "every line is whole", || {
        written(disk.path(), "jobs.ndjson").keys().all(|number| *number < 1_000)
    });
    disk.free();
    assert_eq!(all_are_written(&mill, disk.path(), "jobs.ndjson", 1_000), 0, "what was written counted as that");
    assert_eq!(node.terminate(), 0);
}

#[test]
fn two_nodes_share_a_file_and_put_it_aside_without_losing_a_line() {
    let dir = spool();
    let mill = mill(dir.path(), "path = \"jobs.ndjson\", rotate_mib = 1, sync = \"interval\"");
    let mut nodes = [mill.node(), mill.node()];
    let long = "x".repeat(3_000);
    mill.redis.push("jobs", (0..3_000).map(|number| format!("{{\"id\":{number},\"text\":\"{long}\"}}")));
    assert_eq!(all_are_written(&mill, dir.path(), "jobs.ndjson", 3_000), 0);
    assert!(files(dir.path(), "jobs.ndjson").len() >= 8, "{:?}", files(dir.path(), "jobs.ndjson"));
    for node in &mut nodes {
        assert_eq!(node.terminate(), 0);
    }
}

#[test]
fn a_file_that_logrotate_moves_is_made_anew() {
    let dir = spool();
    let mill = mill(dir.path(), "path = \"jobs.ndjson\", sync = \"never\"");
    let mut node = mill.node();
    for round in 0..3 {
        mill.redis.push("jobs", jobs(round * 100..(round + 1) * 100));
        progress(dir.path(), "jobs.ndjson", usize::try_from((round + 1) * 100).unwrap());
        fs::rename(dir.path().join("jobs.ndjson"), dir.path().join(format!("jobs.ndjson.{round}"))).unwrap();
    }
    assert_eq!(all_are_written(&mill, dir.path(), "jobs.ndjson", 300), 0);
    assert_eq!(files(dir.path(), "jobs.ndjson").len(), 3, "nothing is written to a file that was moved");
    assert_eq!(node.terminate(), 0);
}

#[test]
fn what_is_granted_for_reading_or_not_at_all_is_denied() {
    let dir = spool();
    let mill = mill(dir.path(), "path = \"jobs.ndjson\"");
    let text = fs::read_to_string(mill.config_file()).unwrap();
    let grants = format!("allow_dirs = {{ out = \"{}\" }}", dir.path().display());
    assert!(text.contains(&grants));
    mill.write_raw_config(&text.replace(&grants, ""));
    let refused = mill.run(&["check"]);
    assert!(refused.code == 78 && refused.stderr.contains("allow_dirs"), "{}", refused.stderr);
    mill.write_raw_config(&text.replace(&grants, &grants.replace("out =", "other =")));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..1));
    let letter = eventually(SOON, "the job is a dead letter", || Dead::of(&mill, "jobs").list().pop()).to_string();
    assert!(letter.contains("`out/jobs.ndjson`: `allow_dirs` names no such directory"), "{letter}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
