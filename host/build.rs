//! Puts into the program what `gristmill new` writes: the SDK, the plugin API, and the examples that projects begin with.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// Files and directories of the repository.
const WHAT: [&str; 32] = [
    "Cargo.toml",
    "LICENSE",
    "examples/first-filter/src",
    "examples/first-filter/tests",
    "examples/first-publisher/src",
    "examples/first-publisher/tests",
    "examples/languages/javascript/.gitignore",
    "examples/languages/javascript/README.md",
    "examples/languages/javascript/gristmill.toml",
    "examples/languages/javascript/notification.js",
    "examples/languages/javascript/notification.test.js",
    "examples/languages/javascript/package.json",
    "examples/languages/python/.gitignore",
    "examples/languages/python/README.md",
    "examples/languages/python/gristmill.toml",
    "examples/languages/python/notification.py",
    "examples/languages/python/test_notification.py",
    "examples/languages/typescript/.gitignore",
    "examples/languages/typescript/README.md",
    "examples/languages/typescript/gristmill.toml",
    "examples/languages/typescript/notification.test.ts",
    "examples/languages/typescript/notification.ts",
    "examples/languages/typescript/package-lock.json",
    "examples/languages/typescript/package.json",
    "examples/languages/typescript/tsconfig.json",
    "host/templates",
    "sdk/Cargo.toml",
    "sdk/README.md",
    "sdk/macros/Cargo.toml",
    "sdk/macros/src",
    "sdk/src",
    "sdk/wit",
];

fn main() -> io::Result<()> {
    let host = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let root = host.parent().ok_or(io::ErrorKind::NotFound)?;
    let mut files = Vec::new();
    for what in WHAT {
        let what = root.join(what);
        println!("cargo::rerun-if-changed={}", what.display());
        collect(&what, &mut files)?;
    }
    files.sort();
    let entries: String = files.iter().filter_map(|file| entry(root, file)).collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::write(out.join("repository.rs"), format!("&[\n{entries}]\n"))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        return fs::read_dir(path)?.try_for_each(|entry| collect(&entry?.path(), files));
    }
    files.push(path.to_owned());
    Ok(())
}

/// The path of `file` in the repository, and its text.
fn entry(root: &Path, file: &Path) -> Option<String> {
    let name = file.strip_prefix(root).ok()?.to_str()?;
    Some(format!("({name:?}, include_str!({:?})),\n", file.to_str()?))
}
