//! Compiled plugins on disk, so that only the first start with a plugin has to compile it.
//!
//! An entry is named by the content of the plugin and everything of the engine that its machine code depends on, and
//! starts with a checksum. Machine code is trusted as it lies there, so the directory must be nobody else's to write.

use super::{
    code::{Code, Form},
    digest::Digest,
};
use crate::event;
use std::{
    ffi::OsStr,
    fs::{self, File},
    hash::{Hash, Hasher},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::SystemTime,
};
use wasmtime::Engine;

/// Entries that are kept; the least recently used go first.
const ENTRIES: usize = 64;
/// Of the files that are entries.
const EXTENSION: &str = "cwasm";

/// The directory, or nothing where it cannot be used.
pub(super) struct Cache {
    dir: Option<PathBuf>,
    engine: Engine,
}

impl Cache {
    /// Uses `dir`, which is made if need be; one that cannot be used or trusted only costs time and a warning.
    pub(super) fn new(dir: &Path, engine: &Engine) -> Self {
        let usable = prepare(dir);
        if let Err(reason) = &usable {
            event::compile_cache_off(dir, reason);
        }
        Self { dir: usable.is_ok().then(|| dir.to_owned()), engine: engine.clone() }
    }

    /// The compiled plugin whose file has `digest` and this form, if it is here and sound.
    pub(super) fn load(&self, form: Form, digest: Digest) -> Option<Code> {
        let file = self.file(digest)?;
        let entry = fs::read(&file).ok()?;
        let code = sound(&entry).and_then(|artifact| form.load(&self.engine, artifact).ok());
        if code.is_none() {
            event::compile_cache_damaged(&file);
        } else if let Ok(entry) = File::options().append(true).open(&file) {
            // Only the order of tidying depends on it.
            drop(entry.set_modified(SystemTime::now()));
        }
        code
    }

    /// Keeps `entry` as the compiled form of the plugin whose file has `digest`.
    pub(super) fn store(&self, digest: Digest, entry: &[u8]) {
        let Some(dir) = &self.dir else { return };
        let Some(file) = self.file(digest) else {
            return;
        };
        if let Err(error) = write(dir, &file, entry).and_then(|()| tidy(dir)) {
            event::compile_cache_off(dir, &error);
        }
    }

    fn file(&self, digest: Digest) -> Option<PathBuf> {
        let mut hasher = std::hash::DefaultHasher::new();
        self.engine.precompile_compatibility_hash().hash(&mut hasher);
        let name = format!("{digest}-{:016x}.{EXTENSION}", hasher.finish());
        Some(self.dir.as_ref()?.join(name))
    }
}

/// `artifact` with its checksum before it.
pub(super) fn entry(artifact: &[u8]) -> Vec<u8> {
    [Digest::of(artifact).as_bytes().as_slice(), artifact].concat()
}

/// The artifact in `entry`, if the checksum before it is right.
pub(super) fn sound(entry: &[u8]) -> Option<&[u8]> {
    let (checksum, artifact) = entry.split_at_checked(Digest::BYTES)?;
    (Digest::of(artifact).as_bytes() == checksum).then_some(artifact)
}

fn prepare(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let found = fs::metadata(dir)?;
    if found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return Err(io::Error::other("the directory belongs to, or can be written by, somebody else"));
    }
    drop(tempfile::NamedTempFile::new_in(dir)?);
    Ok(())
}

/// Writes beside and renames, so that nobody ever reads half an entry.
fn write(dir: &Path, file: &Path, entry: &[u8]) -> io::Result<()> {
    let mut beside = tempfile::NamedTempFile::new_in(dir)?;
    beside.write_all(entry)?;
    beside.persist(file)?;
    Ok(())
}

fn tidy(dir: &Path) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.path().extension() == Some(OsStr::new(EXTENSION)) {
            entries.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    entries.sort();
    let surplus = entries.len().saturating_sub(ENTRIES);
    entries.iter().take(surplus).try_for_each(|(_, file)| fs::remove_file(file))
}
