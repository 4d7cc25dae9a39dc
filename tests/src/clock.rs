//! A wall clock that jumps, for nodes: libfaketime stands between them and the system's.

use crate::built;
use std::path::PathBuf;
use tempfile::TempDir;

/// Where Debian and others put it.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// See the module.
#[derive(Debug)]
pub struct Clock {
    dir: TempDir,
    preloaded: PathBuf,
}

impl Clock {
    /// One that is right, or nothing where there is no libfaketime: a test that needs it then passes over, saying so.
    ///
    /// # Panics
    /// When it is missing where `GRISTMILL_ALL_SERVERS` is set.
    #[track_caller]
    pub fn right() -> Option<Self> {
        let Some(library) = LIBRARIES.iter().map(PathBuf::from).find(|library| library.exists()) else {
            built::pass_over("there is no libfaketime: install the package `faketime`");
            return None;
        };
        let clock = Self { dir: tempfile::tempdir().expect("a temporary directory"), preloaded: library };
        clock.shift(0);
        Some(clock)
    }

    /// From now on it is so many seconds ahead, or behind where that is negative.
    pub fn shift(&self, seconds: i64) {
        crate::replace_file(&self.file(), format!("{seconds:+}\n").as_bytes());
    }

    /// What a process that goes by it has in its environment.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", self.preloaded.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // No system lets its monotonic clock jump.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("shift")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::finish;
    use std::{
        fs,
        process::Command,
        time::{Duration, SystemTime, UNIX_EPOCH},
    };

    #[test]
    fn a_program_goes_by_it() {
        let Some(clock) = Clock::right() else { return };
        let told = || {
            let mut date = Command::new("date");
            let finished = finish(date.arg("+%s").envs(clock.environment()), Duration::from_secs(10));
            finished.stdout.trim().parse::<i64>().unwrap_or_else(|_| panic!("no time: {}", finished.stderr))
        };
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        for shift in [0, 3_600, -3_600] {
            clock.shift(shift);
            let off = told() - now();
            assert!((off - shift).abs() < 30, "{off} s off instead of {shift}");
        }
        assert!(fs::read_to_string(clock.file()).unwrap().starts_with("-3600"));
    }
}
