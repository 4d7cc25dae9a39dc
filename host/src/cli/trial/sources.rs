//! What a plugin is built from: every file of a project that people write, looked at every so often.
//!
//! Looking costs little in directories of this size, works on every file system, and needs no list of places where builds
//! may write: what a build has written itself is part of the last look.

use anyhow::{Context, ensure};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(200);
/// Files that a project may have.
const FILES: usize = 5_000;
/// Directories that hold nothing that people write.
const BUILT: [&str; 4] = ["target", "node_modules", "__pycache__", "gristmill-data"];

/// All files, with what changes when they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sources(BTreeMap<PathBuf, (u64, Option<SystemTime>)>);

impl Sources {
    /// Those below `dir`, as they are now.
    pub(super) fn of(dir: &Path) -> anyhow::Result<Self> {
        let mut sources = Self::default();
        sources.add(dir).with_context(|| format!("cannot read `{}`", dir.display()))?;
        ensure!(
            sources.0.len() <= FILES,
            "there are more than {FILES} files below `{}`; watch from the directory of the plugin's project",
            dir.display()
        );
        Ok(sources)
    }

    fn add(&mut self, dir: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if name.starts_with('.') || self.0.len() > FILES {
                continue;
            }
            match entry.metadata() {
                // What is gone meanwhile is not there.
                Err(_) => {}
                Ok(found) if found.is_dir() => {
                    if !BUILT.contains(&&*name) && !path.join("pyvenv.cfg").exists() {
                        self.add(&path).or_else(gone)?;
                    }
                }
                Ok(found) if path.extension().is_none_or(|extension| extension != "wasm") => {
                    self.0.insert(path, (found.len(), found.modified().ok()));
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Returns when the files below `dir` are other than these, and quiet.
    pub(super) async fn changed(&self, dir: &Path) -> anyhow::Result<()> {
        let mut before = self.clone();
        loop {
            tokio::time::sleep(EVERY).await;
            let now = Self::of(dir)?;
            if now != *self && now == before {
                return Ok(());
            }
            before = now;
        }
    }
}

fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, text: &str) {
        let file = dir.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn only_what_people_write_counts() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "src/lib.rs", "");
        let before = Sources::of(dir.path()).unwrap();
        for other in ["target/x/y.rs", ".git/z", "plugin.wasm", "tools/pyvenv.cfg", "tools/a.py", "node_modules/b.js"] {
            write(dir.path(), other, "built");
        }
        assert_eq!(Sources::of(dir.path()).unwrap(), before);
        write(dir.path(), "src/more/new.rs", "");
        assert_ne!(Sources::of(dir.path()).unwrap(), before);
    }

    #[tokio::test]
    async fn a_change_is_noticed_once_it_is_quiet() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a.py", "1");
        let before = Sources::of(dir.path()).unwrap();
        let untouched = tokio::time::timeout(EVERY * 5, before.changed(dir.path())).await;
        assert!(untouched.is_err(), "nothing has changed");
        write(dir.path(), "a.py", "22");
        before.changed(dir.path()).await.unwrap();
    }

    #[test]
    fn a_directory_with_too_many_files_is_no_project() {
        let dir = tempfile::tempdir().unwrap();
        (0..=FILES).for_each(|n| write(dir.path(), &n.to_string(), ""));
        assert!(Sources::of(dir.path()).unwrap_err().to_string().contains("more than 5000 files"));
    }
}
