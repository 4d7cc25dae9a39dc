//! A plugin's file that is not there, and those that may have been meant.

use crate::config::did_you_mean;
use anyhow::bail;
use std::{
    io,
    path::{Path, PathBuf},
};

/// How many of them are named.
const NAMED: usize = 10;

/// Nothing, where `file` is there.
///
/// # Errors
/// Where nothing is, in one sentence with the plugins that lie beside it.
pub(super) fn exists(file: &Path) -> anyhow::Result<()> {
    if file.is_dir() {
        bail!(
            "`{}` is a directory without a `Cargo.toml`; name the `.wasm` file, or build one with `--build`",
            file.display()
        );
    }
    if file.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        bail!("there is no file `{}`; {}", file.display(), instead(file));
    }
    Ok(())
}

/// What to try instead of `file`.
fn instead(file: &Path) -> String {
    let dir = match file.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let there = plugins_in(dir);
    let stem = |file: &Path| file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let names: Vec<String> = there.iter().map(|file| stem(file)).collect();
    let meant = did_you_mean(&stem(file), names.iter().map(String::as_str));
    let meant = meant.and_then(|meant| names.iter().position(|name| name == meant)).and_then(|at| there.get(at));
    match (meant, there.as_slice()) {
        (Some(meant), _) => format!("did you mean `{}`?", meant.display()),
        (None, []) if !dir.is_dir() => format!("nor is there a directory `{}`", dir.display()),
        (None, []) => format!("`{}` holds no `.wasm` file", dir.display()),
        (None, there) => {
            let some: Vec<String> = there.iter().take(NAMED).map(|file| format!("`{}`", file.display())).collect();
            let more = if there.len() > NAMED { format!(" and {} more", there.len() - NAMED) } else { String::new() };
            format!("there are {}{more}", some.join(", "))
        }
    }
}

/// The `.wasm` files of `dir`, sorted; the directory one is in is not written down.
fn plugins_in(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "wasm")).collect();
    files.sort();
    files.into_iter().map(|file| file.strip_prefix(".").map(Path::to_owned).unwrap_or(file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of `name` in a directory with these files.
    fn said(files: &[&str], name: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        let error = exists(&dir.path().join(name)).unwrap_err().to_string();
        error.replace(&format!("{}/", dir.path().display()), "").replace(&dir.path().display().to_string(), "DIR")
    }

    #[test]
    fn a_mistyped_plugin_is_told_which_was_meant() {
        for name in ["anonymise.wasm", "anonymize", "Anonymize.wasm", "anon.wasm"] {
            let expected = format!("there is no file `{name}`; did you mean `anonymize.wasm`?");
            assert_eq!(said(&["anonymize.wasm", "http.wasm", "anonymise.txt"], name), expected);
        }
    }

    #[test]
    fn where_none_is_near_all_are_named_or_it_is_said_that_there_are_none() {
        let file = "there is no file `x.wasm`; ";
        assert_eq!(said(&["alpha.wasm", "beta.wasm"], "x.wasm"), format!("{file}there are `alpha.wasm`, `beta.wasm`"));
        assert_eq!(said(&[], "x.wasm"), format!("{file}`DIR` holds no `.wasm` file"));
        assert_eq!(said(&[], "no/x.wasm"), "there is no file `no/x.wasm`; nor is there a directory `no`");
        let many: Vec<String> = (10..25).map(|number| format!("plugin-{number}.wasm")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(said(&many, "x.wasm").ends_with("`plugin-19.wasm` and 5 more"));
    }

    #[test]
    fn a_directory_is_no_plugin_and_a_file_is_one() {
        let dir = tempfile::tempdir().unwrap();
        assert!(exists(dir.path()).unwrap_err().to_string().contains("is a directory without a `Cargo.toml`"));
        std::fs::write(dir.path().join("a.wasm"), "").unwrap();
        assert!(exists(&dir.path().join("a.wasm")).is_ok());
    }
}
