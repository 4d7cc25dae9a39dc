//! What the benchmarks share: a sink that is a process of its own, messages, what a process has used, and the release host.

pub mod counter;
mod payload;
pub mod usage;
mod words;

pub use payload::payload;
pub use words::{number, value};

use crate::{built, mill::Mill};
use counter::Counter;
use std::{env, process::Command, time::Duration};

/// How long anything in a benchmark may take.
pub const LIMIT: Duration = Duration::from_secs(300);
const STAGED: &str = "staged";

/// Has so many messages delivered before anything is measured.
#[track_caller]
pub fn warm_up(mill: &Mill, sink: &mut Counter, list: &str, messages: usize) {
    mill.redis.push(list, (0..messages).map(payload));
    sink.wait_for(messages);
    settled(mill);
}

/// Puts so many messages beside the list, so that filling it is no part of what is measured.
pub fn stage(mill: &Mill, messages: usize) {
    mill.redis.push(STAGED, (0..messages).map(payload));
}

/// Makes what is staged the list, all of it at once.
pub fn begin(mill: &Mill, list: &str) {
    mill.redis.ask::<()>(&["RENAME", STAGED, list]);
}

/// Waits until nothing is in flight.
#[track_caller]
pub fn settled(mill: &Mill) {
    crate::eventually(LIMIT, "every lane is empty", || is_settled(mill).then_some(()));
}

/// Whether nothing is in flight.
pub fn is_settled(mill: &Mill) -> bool {
    mill.redis.keys("*:lane:*").is_empty()
}

/// Builds the host in release, unless `$GRISTMILL_BIN` is one, and the plugins; nothing happens where both are up to date.
///
/// # Panics
/// When that fails.
pub fn build() {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let host =
        env::var_os("GRISTMILL_BIN").is_none().then_some(["build", "--release", "--package", "gristmill"].as_slice());
    for words in host.into_iter().chain([["xtask", "plugins"].as_slice()]) {
        let mut command = Command::new(&cargo);
        command.args(words).current_dir(built::repository()).env("CARGO_TARGET_DIR", built::target_dir());
        // What cargo told us about our own package makes build scripts that look at it, such as ring's, run again.
        for (name, _) in env::vars_os() {
            if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|ours| name.to_string_lossy().starts_with(ours)) {
                command.env_remove(name);
            }
        }
        let status = command.status().unwrap();
        assert!(status.success(), "{command:?} failed");
    }
}
