//! A disk that is full or cannot be written to: a file system of a few MiB in memory.

use crate::built;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// Mounted as long as it lives.
#[derive(Debug)]
pub struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    /// One of so many MiB, or nothing where none can be mounted, which takes root: a test that needs it then passes over,
    /// saying so.
    #[track_caller]
    pub fn of(mib: u32) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("gristmill-disk-").tempdir().expect("a temporary directory");
        let size = format!("size={mib}m,mode=700");
        if !system(&["mount", "-t", "tmpfs", "-o", &size, "gristmill-test"], dir.path()) {
            built::pass_over_anywhere("a small disk cannot be mounted here: that takes root");
            return None;
        }
        Some(Self { dir })
    }

    /// The directory in which all of it lies.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves no byte free, until `free`.
    pub fn fill(&self) {
        let mut ballast = fs::File::create(self.ballast()).expect("a directory of ours");
        // The last bytes are found in smaller and smaller steps.
        let mut step = 1 << 20;
        while step > 0 {
            if ballast.write_all(&vec![0; step]).is_err() {
                step /= 2;
            }
        }
    }

    /// Gives back what `fill` took.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("it was filled");
    }

    /// From now on nothing can be written to it.
    ///
    /// # Panics
    /// While a file there is open for writing.
    #[track_caller]
    pub fn read_only(&self) {
        assert!(system(&["mount", "-o", "remount,ro"], self.path()), "something is being written there");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        system(&["umount", "--lazy"], self.path());
    }
}

fn system(words: &[&str], dir: &Path) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(dir).stderr(std::process::Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small_and_full_when_filled_and_gone_when_dropped() {
        let Some(disk) = SmallDisk::of(2) else { return };
        let file = disk.path().join("file");
        fs::write(&file, vec![1; 1 << 20]).unwrap();
        disk.fill();
        assert!(fs::write(disk.path().join("more"), vec![1; 4096]).is_err(), "it is full");
        disk.free();
        fs::write(disk.path().join("more"), vec![1; 4096]).unwrap();
        disk.read_only();
        assert!(fs::write(&file, "x").is_err(), "it is read-only");
        let dir = disk.path().to_owned();
        drop(disk);
        assert!(!dir.exists());
    }
}
