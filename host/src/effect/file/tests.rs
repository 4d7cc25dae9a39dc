//! Lines for files on a real disk.

mod faults;

use super::{Allowance, Files};
use crate::{
    config::{self, DirAccess, DirGrant},
    request::{Durability, Failure, FileAppend, Rotation},
};
use bytes::Bytes;
use futures_util::future::join_all;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

/// A granted directory, `out`, and one that may only be read, `in`.
struct Spool {
    dir: TempDir,
    files: Arc<Files>,
}

impl Spool {
    fn new() -> Self {
        let spool = Self { dir: tempfile::tempdir().unwrap(), files: Arc::default() };
        fs::create_dir(spool.path("")).unwrap();
        spool
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("spool").join(path)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// All files in the granted directory, in their order.
    fn names(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(self.path("")).unwrap().map(name).collect();
        names.sort();
        names
    }

    fn allowance(&self) -> Allowance {
        let grant = |access| DirGrant { host: self.path(""), access };
        let allow_dirs = [("out", grant(DirAccess::Write)), ("in", grant(DirAccess::Read))];
        let allow_dirs = allow_dirs.map(|(name, grant)| (name.to_owned(), grant)).into();
        Allowance::new(&config::Plugin { allow_dirs, ..config::Plugin::default() })
    }

    async fn append(&self, append: FileAppend) -> Result<(), Failure> {
        self.files.append(&self.allowance(), append).await
    }

    /// Writes a line that nobody forbids.
    async fn write(&self, line: &str) {
        self.append(to("a.log", line)).await.unwrap();
    }
}

fn to(path: &str, line: &str) -> FileAppend {
    FileAppend {
        dir: "out".into(),
        path: path.into(),
        line: Bytes::copy_from_slice(line.as_bytes()),
        rotation: Rotation::default(),
        durability: Durability::Never,
    }
}

fn at(bytes: u64, keep: Option<u32>) -> Rotation {
    Rotation { bytes: Some(bytes), every: None, keep }
}

/// As if `path` had been written to for the last time so long ago.
fn age(path: &Path, by: Duration) {
    fs::File::options().append(true).open(path).unwrap().set_modified(SystemTime::now() - by).unwrap();
}

#[tokio::test]
async fn lines_stand_in_their_file_in_the_order_in_which_they_were_asked_for() {
    let spool = Spool::new();
    let numbers: Vec<String> = (0..5_000).map(|number| number.to_string()).collect();
    let written = join_all(numbers.iter().map(|number| spool.append(to("a/b/c.log", number)))).await;
    assert!(written.iter().all(Result::is_ok));
    assert_eq!(spool.text("a/b/c.log").lines().collect::<Vec<_>>(), numbers);
}

#[tokio::test]
async fn every_durability_writes_the_line_before_it_answers() {
    let spool = Spool::new();
    for durability in [Durability::Never, Durability::Within(Duration::from_millis(1)), Durability::Always] {
        let path = format!("{durability:?}/a.log");
        for number in 0..3 {
            let line = FileAppend { durability, ..to(&path, &format!("{number}")) };
            assert_eq!(spool.append(line).await, Ok(()), "{path}");
        }
        spool.files.finish().await;
        spool.append(FileAppend { durability, ..to(&path, "after the end") }).await.unwrap();
        assert_eq!(spool.text(&path), "0\n1\n2\nafter the end\n");
    }
}

#[tokio::test]
async fn what_is_no_line_or_no_path_is_refused_with_the_file_named() {
    let spool = Spool::new();
    let two = spool.append(to("a.log", "one\ntwo")).await;
    assert_eq!(two, Err(Failure::Invalid("`out/a.log`: a line has no line feed in it".into())));
    for path in ["", ".", "a/", "/etc/passwd", "../a", "a/../../b", "a\0b", &"x".repeat(5_000)] {
        let refused = spool.append(to(path, "")).await;
        assert!(matches!(&refused, Err(Failure::Invalid(why)) if why.starts_with("`out/")), "{path}: {refused:?}");
    }
    let long = spool.append(to(&"n".repeat(300), "")).await;
    assert!(matches!(long, Err(Failure::Invalid(_))), "{long:?}");
    fs::create_dir(spool.path("dir")).unwrap();
    let dir = spool.append(to("dir", "")).await;
    assert!(matches!(dir, Err(Failure::Invalid(_))), "{dir:?}");
    assert_eq!(spool.names(), ["dir"], "nothing was made");
}

#[tokio::test]
async fn nothing_is_written_outside_of_what_was_granted_for_writing() {
    let spool = Spool::new();
    let secret = spool.dir.path().join("secret");
    fs::write(&secret, "untouched\n").unwrap();
    std::os::unix::fs::symlink("../secret", spool.path("link")).unwrap();
    std::os::unix::fs::symlink("..", spool.path("up")).unwrap();
    std::os::unix::fs::symlink(&secret, spool.path("absolute")).unwrap();
    for path in ["link", "up/secret", "absolute", "up/new/file"] {
        let denied = spool.append(to(path, "x")).await;
        let why = format!("`out/{path}`: this leads out of the granted directory");
        assert_eq!(denied, Err(Failure::Denied(why)));
    }
    for (dir, why) in [("in", "grants reading"), ("elsewhere", "names no such")] {
        let denied = spool.append(FileAppend { dir: dir.into(), ..to("a.log", "x") }).await;
        assert!(matches!(&denied, Err(Failure::Denied(text)) if text.contains(why)), "{denied:?}");
    }
    assert_eq!(fs::read_to_string(secret).unwrap(), "untouched\n");
    assert!(!spool.dir.path().join("new").exists());
}

#[tokio::test]
async fn a_file_that_is_long_enough_is_put_aside_under_a_name_that_sorts_by_time() {
    let spool = Spool::new();
    for number in 0..7 {
        let line = to("a.log", &format!("line {number}"));
        spool.append(FileAppend { rotation: at(14, None), ..line }).await.unwrap();
    }
    let names = spool.names();
    let texts: Vec<String> = names.iter().map(|name| spool.text(name)).collect();
    assert_eq!(texts, ["line 6\n", "line 0\nline 1\n", "line 2\nline 3\n", "line 4\nline 5\n"]);
    assert_eq!(names[0], "a.log");
    let together =
        (0..100).map(|number| FileAppend { rotation: at(14, None), ..to("b.log", &format!("line {}", number % 10)) });
    assert!(join_all(together.map(|line| spool.append(line))).await.iter().all(Result::is_ok));
    let names = spool.names().into_iter().filter(|name| name.starts_with("b.log"));
    assert!(
        names.map(|name| spool.text(&name).len()).all(|length| length == 14),
        "a batch is cut where the file is full"
    );
}

#[tokio::test]
async fn only_so_many_old_files_are_kept_and_nothing_else_is_removed() {
    let spool = Spool::new();
    for other in ["a.log.gz", "a.log.20261121T220042Z", "b.log.20261121T220042.000001Z"] {
        fs::write(spool.path(other), "").unwrap();
    }
    for number in 0..6 {
        let line = to("a.log", &format!("line {number}"));
        spool.append(FileAppend { rotation: at(7, Some(2)), ..line }).await.unwrap();
    }
    let names = spool.names();
    assert_eq!(names.len(), 6, "{names:?}");
    let old: Vec<_> = names.iter().filter(|name| name.starts_with("a.log.2") && name.len() == 29).collect();
    assert_eq!(old.iter().map(|name| spool.text(name)).collect::<Vec<_>>(), ["line 3\n", "line 4\n"]);
    assert_eq!(spool.text("a.log"), "line 5\n");
}

#[tokio::test]
async fn a_file_of_another_span_of_time_is_put_aside() {
    let spool = Spool::new();
    let every = Some(Duration::from_secs(86_400));
    let daily = |line: &str| FileAppend { rotation: Rotation { every, ..Rotation::default() }, ..to("a.log", line) };
    spool.append(daily("yesterday")).await.unwrap();
    age(&spool.path("a.log"), Duration::from_secs(86_400));
    spool.append(daily("today")).await.unwrap();
    spool.append(daily("today, too")).await.unwrap();
    let names = spool.names();
    assert_eq!(names.iter().map(|name| spool.text(name)).collect::<Vec<_>>(), ["today\ntoday, too\n", "yesterday\n"]);
}

#[tokio::test]
async fn more_files_than_may_be_open_are_written_to_all_the_same() {
    let spool = Spool::new();
    for round in 0..2 {
        let lines = (0..400).map(|number| spool.append(to(&format!("{number}.log"), &round.to_string())));
        assert!(join_all(lines).await.iter().all(Result::is_ok));
    }
    assert!((0..400).all(|number| spool.text(&format!("{number}.log")) == "0\n1\n"));
    let own = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open = own.filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.starts_with(spool.path("")))).count();
    assert!(open <= 2 * 130, "{open} are open");
}
