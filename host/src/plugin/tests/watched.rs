//! Changed files are named once, and only when they are whole.

use crate::plugin::watch::{Changes, Watcher};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    path::PathBuf,
    time::Duration,
};
use tokio::time::timeout;

struct Dir {
    home: tempfile::TempDir,
    _watcher: Watcher,
    changes: Changes,
}

impl Dir {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("gristmill.toml");
        fs::create_dir(home.path().join("plugins")).unwrap();
        let (watcher, changes) = Watcher::new(&home.path().join("plugins"), Some(&config)).unwrap();
        Self { home, _watcher: watcher, changes }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// All that changes until `path` has been named.
    async fn until(&mut self, path: &PathBuf) -> BTreeSet<PathBuf> {
        let mut seen = BTreeSet::new();
        while !seen.contains(path) {
            let batch = timeout(Duration::from_secs(10), self.changes.next()).await;
            seen.extend(batch.expect("a change in time").expect("a living watcher"));
        }
        seen
    }
}

#[tokio::test]
async fn plugins_and_the_config_are_named_and_nothing_else() {
    let mut dir = Dir::new();
    let (plugin, config) = (dir.path("plugins/a.wasm"), dir.path("gristmill.toml"));
    fs::write(dir.path("plugins/readme.md"), "x").unwrap();
    fs::write(dir.path("other.toml"), "x").unwrap();
    fs::write(&plugin, "x").unwrap();
    assert_eq!(dir.until(&plugin).await, BTreeSet::from([plugin]));
    fs::write(&config, "x").unwrap();
    assert_eq!(dir.until(&config).await, BTreeSet::from([config]));
}

#[tokio::test]
async fn renames_over_a_file_and_removals_are_changes() {
    let mut dir = Dir::new();
    let plugin = dir.path("plugins/a.wasm");
    fs::write(dir.path("plugins/a.tmp"), "x").unwrap();
    fs::rename(dir.path("plugins/a.tmp"), &plugin).unwrap();
    dir.until(&plugin).await;
    fs::remove_file(&plugin).unwrap();
    dir.until(&plugin).await;
}

#[tokio::test]
async fn a_file_that_is_still_being_written_is_not_named() {
    let mut dir = Dir::new();
    let plugin = dir.path("plugins/a.wasm");
    let mut file = File::create(&plugin).unwrap();
    for _ in 0..10 {
        file.write_all(b"more").unwrap();
        let early = timeout(Duration::from_millis(40), dir.changes.next()).await;
        assert!(early.is_err(), "{early:?}");
    }
    drop(file);
    dir.until(&plugin).await;
    assert_eq!(fs::read(&plugin).unwrap().len(), 40);
}

#[tokio::test]
async fn a_flood_of_changes_names_the_directory() {
    let mut dir = Dir::new();
    for n in 0..2_000 {
        fs::write(dir.path(&format!("plugins/{n}.wasm")), "x").unwrap();
    }
    let plugins = dir.path("plugins");
    dir.until(&plugins).await;
}
