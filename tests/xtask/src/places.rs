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
    /// What cargo calls the component.
    pub(crate) file: String,
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

    /// The plugins: those of this repository, and those that examples are or have.
    pub(crate) fn plugin_crates(&self) -> io::Result<Vec<Guest>> {
        let mut crates = crates_in(&self.root.join("plugins"))?;
        crates.extend(crates_in(&self.root.join("examples"))?);
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
            crates.push(Guest::of(name, &manifest));
        }
    }
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(crates)
}

impl Guest {
    fn of(name: String, manifest: &str) -> Self {
        let package = name_in(manifest, "[package]").unwrap_or(&name).to_owned();
        let library = name_in(manifest, "[lib]").unwrap_or(&package).replace('-', "_");
        Self { file: format!("{library}.wasm"), name, package }
    }
}

/// The `name` in this table of a manifest.
fn name_in<'a>(manifest: &'a str, table: &str) -> Option<&'a str> {
    let inside = manifest.lines().skip_while(|line| line.trim() != table).skip(1);
    inside.take_while(|line| !line.trim_start().starts_with('[')).find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "name").then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_their_own_tables() {
        let manifest = "[package]\nedition = \"2024\"\nname = \"gristmill-my-http\"\n[lib]\nname = \"my_http\"\n[dependencies]\nname = \"no\"\n";
        let guest = Guest::of("my-http".to_owned(), manifest);
        assert_eq!((guest.package.as_str(), guest.file.as_str()), ("gristmill-my-http", "my_http.wasm"));
    }

    #[test]
    fn a_component_is_called_after_its_package_where_nothing_else_is_said() {
        let guest = Guest::of("a".to_owned(), "[package]\nname = \"first-filter\"\n[lib]\ncrate-type = [\"cdylib\"]\n");
        assert_eq!(guest.file, "first_filter.wasm");
    }

    #[test]
    fn the_root_is_the_repository() {
        assert!(Places::find().root.join("tests/xtask/Cargo.toml").is_file());
    }
}
