//! Which plugins there are: the files of the plugins directory, and the tables that name a file.

use super::{
    Wanted,
    refusal::{Cause, Refusal},
};
use crate::event;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

/// What the names of plugin files end with.
pub(super) const EXTENSION: &str = "wasm";

/// The plugins that could be, whether their files are any good or not.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The file of each plugin, by name.
    pub(super) files: BTreeMap<String, PathBuf>,
    /// Files that have no name of their own.
    pub(super) refused: Vec<Refusal>,
}

/// The name of the plugin in `file`: its stem, with `_` written as `-`.
pub fn plugin_name(file: &Path) -> Option<String> {
    let stem = file.file_stem()?.to_str()?;
    Some(stem.replace('_', "-"))
}

/// All plugins that `wanted` and its directory name.
pub(super) fn scan(wanted: &Wanted) -> Found {
    let mut found = Found::default();
    let files = list(&wanted.dir).unwrap_or_else(|error| {
        event::plugin_file_skipped(&wanted.dir, &error.to_string());
        Vec::new()
    });
    for file in files {
        found.add(file);
    }
    found.tables(wanted);
    for name in wanted.required.keys() {
        found.expect(name, wanted);
    }
    found
}

impl Found {
    fn add(&mut self, file: PathBuf) {
        let Some(plugin) = plugin_name(&file) else {
            event::plugin_file_skipped(&file, "its name is not UTF-8");
            return;
        };
        if let Some(other) = self.files.get(&plugin) {
            let cause = Cause::SameName(other.display().to_string());
            self.refused.push(Refusal { plugin, file, digest: None, cause });
            return;
        }
        self.files.insert(plugin, file);
    }

    /// A file that a table gives another name to is a plugin of its own only if something names it, too.
    fn tables(&mut self, wanted: &Wanted) {
        let mut renamed = BTreeSet::new();
        for (name, table) in &wanted.settings {
            let Some(file) = &table.file else {
                self.expect(name, wanted);
                continue;
            };
            let file = wanted.dir.join(file);
            renamed.extend(plugin_name(&file).filter(|own| own != name));
            self.files.insert(name.clone(), file);
        }
        self.files.retain(|name, _| {
            !renamed.contains(name) || wanted.settings.contains_key(name) || wanted.required.contains_key(name)
        });
    }

    /// Something names `name`, so that it is missed if it is not there.
    fn expect(&mut self, name: &str, wanted: &Wanted) {
        if !self.files.contains_key(name) {
            self.files.insert(name.to_owned(), wanted.dir.join(format!("{name}.{EXTENSION}")));
        }
    }
}

/// The plugin files of `dir`, in the order of their names; a directory that does not exist holds none.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut files = paths?;
    files.retain(|file| is_plugin_file(file));
    files.sort();
    Ok(files)
}

/// Whether the name of `file` is that of a plugin; hidden files are what editors and `rsync` leave behind.
pub(super) fn is_plugin_file(file: &Path) -> bool {
    let hidden = file.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with('.'));
    !hidden && file.extension() == Some(OsStr::new(EXTENSION))
}
