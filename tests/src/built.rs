//! Where the things under test lie: the binary, the plugins, the guests.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The `gristmill` binary: `$GRISTMILL_BIN`, or the one beside the running test.
///
/// # Panics
/// When there is none.
pub fn gristmill() -> PathBuf {
    let path = env::var_os("GRISTMILL_BIN").map_or_else(|| profile_dir().join("gristmill"), PathBuf::from);
    present(&path, "the gristmill binary")
}

/// The directory of the first-party plugins: `$GRISTMILL_PLUGINS`, or `plugins` in the target directory.
pub fn plugins() -> PathBuf {
    env::var_os("GRISTMILL_PLUGINS").map_or_else(|| target_dir().join("plugins"), PathBuf::from)
}

/// The directory of the guests that tests use: `guests` in the target directory.
pub fn guests() -> PathBuf {
    target_dir().join("guests")
}

/// The directory of Wasm that nobody would write: `wild` in the target directory.
///
/// # Panics
/// When it has not been made.
pub fn wild() -> PathBuf {
    present(&target_dir().join("wild"), "a directory of made-up Wasm")
}

/// The plugin that the example in `language` is, if `cargo xtask languages` has built it; else says that what needs it is
/// passed over.
///
/// # Panics
/// When it is missing where `GRISTMILL_ALL_SERVERS` is set, as it is in CI.
#[track_caller]
pub fn language(language: &str) -> Option<PathBuf> {
    made(&target_dir().join("languages").join(format!("{language}.wasm")), &format!("cargo xtask languages {language}"))
}

/// The file of the first-party plugin `name`.
///
/// # Panics
/// When it has not been built.
pub fn plugin(name: &str) -> PathBuf {
    present(&plugins().join(format!("{name}.wasm")), "this plugin")
}

/// The file of the guest `name`.
///
/// # Panics
/// When it has not been built.
pub fn guest(name: &str) -> PathBuf {
    present(&guests().join(format!("{name}.wasm")), "this guest")
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// The directory of the profile that the running program was built with, such as `target/debug`.
pub fn profile_dir() -> PathBuf {
    let program = env::current_exe().expect("the system tells a program its path");
    let deps = program.parent().expect("a program lies in a directory");
    if deps.ends_with("deps") {
        deps.parent().expect("deps lies in the profile's directory").to_owned()
    } else {
        deps.to_owned()
    }
}

/// The directory that cargo builds into.
pub fn target_dir() -> PathBuf {
    profile_dir().parent().expect("a profile's directory lies in the target directory").to_owned()
}

/// `path`, if `cargo xtask setup --peers` has put it there; else says that what needs it is passed over.
///
/// # Panics
/// When it is missing where `GRISTMILL_ALL_SERVERS` is set, as it is in CI.
#[track_caller]
pub(crate) fn fetched(path: &Path) -> Option<PathBuf> {
    made(path, "cargo xtask setup --peers")
}

#[track_caller]
fn made(path: &Path, command: &str) -> Option<PathBuf> {
    if path.exists() {
        return Some(path.to_owned());
    }
    pass_over(&format!("{} is missing: `{command}` puts it there", path.display()));
    None
}

/// Says why a test passes over.
///
/// # Panics
/// Where `GRISTMILL_ALL_SERVERS` is set, as it is in CI.
#[track_caller]
pub(crate) fn pass_over(why: &str) {
    assert!(env::var_os("GRISTMILL_ALL_SERVERS").is_none(), "{why}");
    pass_over_anywhere(why);
}

/// The same for what CI need not have either.
pub(crate) fn pass_over_anywhere(why: &str) {
    eprintln!("passed over: {why}");
}

fn present(path: &Path, what: &str) -> PathBuf {
    assert!(
        path.exists(),
        "{what} is missing at {}: run `cargo xtask test`, which builds everything first",
        path.display()
    );
    path.to_owned()
}
