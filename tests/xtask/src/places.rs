//! Where things lie: the repository, cargo, what it builds.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

/// The paths that every verb needs.
pub(crate) struct Places {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// The cargo that runs us, so that its toolchain stays the same.
    pub(crate) cargo: OsString,
    /// What cargo builds into.
    pub(crate) target: PathBuf,
}

/// A crate that is built for `wasm32-wasip2`.
pub(crate) struct Guest {
    /// The directory's name with `-` between the words, which names the plugin.
    pub(crate) name: String,
    /// The name cargo knows it by.
    pub(crate) package: String,
}

impl Places {
    pub(crate) fn find() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned();
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        // A relative one is relative to where the user stands, as cargo has it.
        let target = env::var_os("CARGO_TARGET_DIR").and_then(|dir| std::path::absolute(dir).ok());
        let target = target.unwrap_or_else(|| root.join("target"));
        Self { root, cargo, target }
    }

    /// The host as the demo and the tests use it.
    pub(crate) fn gristmill(&self) -> PathBuf {
        self.target.join("debug/gristmill")
    }

    /// Where the plugins go.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// The plugins: those of this repository, and the first ones of the README.
    pub(crate) fn plugin_crates(&self) -> io::Result<Vec<Guest>> {
        let mut crates = crates_in(&self.root.join("plugins"))?;
        crates.extend(
            crates_in(&self.root.join("examples"))?.into_iter().filter(|guest| guest.name.starts_with("first-")),
        );
        Ok(crates)
    }

    /// The guests that exist for the tests alone.
    pub(crate) fn guest_crates(&self) -> io::Result<Vec<Guest>> {
        crates_in(&self.root.join("tests/guests"))
    }
}

/// The crates right below `dir`, sorted; none when there is no such directory.
fn crates_in(dir: &Path) -> io::Result<Vec<Guest>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut crates = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let Ok(manifest) = fs::read_to_string(entry.path().join("Cargo.toml")) {
            let name = entry.file_name().to_string_lossy().replace('_', "-");
            let package = package_name(&manifest).unwrap_or_else(|| name.clone());
            crates.push(Guest { name, package });
        }
    }
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(crates)
}

/// The `name` in the `[package]` table of a manifest.
fn package_name(manifest: &str) -> Option<String> {
    let package = manifest.lines().skip_while(|line| line.trim() != "[package]").skip(1);
    package.take_while(|line| !line.trim_start().starts_with('[')).find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "name").then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_name_is_read_from_its_own_table() {
        let manifest = "[lib]\nname = \"other\"\n[package]\nedition = \"2024\"\nname = \"gristmill-http\"\n[dependencies]\nname = \"no\"\n";
        assert_eq!(package_name(manifest).as_deref(), Some("gristmill-http"));
        assert_eq!(package_name("[lib]\nname = \"other\"\n"), None);
    }

    #[test]
    fn the_root_is_the_repository() {
        assert!(Places::find().root.join("tests/xtask/Cargo.toml").is_file());
    }
}
