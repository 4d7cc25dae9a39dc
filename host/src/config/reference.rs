//! The reference file: the only place where keys and their defaults are listed.

use super::{
    document::{Document, Entry, find},
    fault::Source,
};
use std::{path::PathBuf, sync::LazyLock};

/// The text of `default.toml`: every key with its default.
pub const DEFAULT: &str = include_str!("../default.toml");

static DEFAULTS: LazyLock<Document> = LazyLock::new(|| parse(DEFAULT));

static SOURCES: LazyLock<Vec<Document>> = LazyLock::new(|| {
    let mut before = 0;
    let mut sources = Vec::new();
    for line in DEFAULT.split_inclusive('\n') {
        if line.trim_start_matches('#').starts_with("from = ") {
            sources.push(alone(line, before));
        }
        before += line.len();
    }
    sources
});

/// What a file without keys means, in the terms of one with all of them.
pub(super) fn defaults() -> &'static [Entry] {
    &DEFAULTS.root
}

/// The defaults of `[kind.NAME]`.
pub(super) fn named_defaults(kind: &str) -> &'static [Entry] {
    let tables = find(defaults(), kind).and_then(|entry| entry.value.table());
    tables.and_then(|tables| find(tables, "NAME")?.value.table()).unwrap_or(&[])
}

/// One for each kind of source: the keys with their defaults, first the one that makes a source this kind.
///
/// A file has one `from`, but there are several kinds of it. Those beside the first stand in comments, so that the
/// reference file is a good one; `#from` is as much a part of it as `from`.
pub(super) fn sources() -> impl Iterator<Item = SourceKind> {
    SOURCES.iter().filter_map(|document| {
        let keys = document.root.first()?.value.table()?;
        Some(SourceKind { name: &keys.first()?.key, keys })
    })
}

/// A kind of source.
#[derive(Clone, Copy)]
pub(super) struct SourceKind {
    /// The key that makes it one, such as `list`.
    pub(super) name: &'static str,
    /// All of its keys with their defaults.
    pub(super) keys: &'static [Entry],
}

impl SourceKind {
    /// Those that have this key.
    pub(super) fn with_key(key: &str) -> impl Iterator<Item = Self> {
        sources().filter(move |kind| find(kind.keys, key).is_some())
    }

    /// What `from` is, judged by its keys.
    pub(super) fn named_in(from: &[Entry]) -> Option<Self> {
        sources().find(|kind| find(from, kind.name).is_some())
    }
}

/// One line of `DEFAULT` without the others, but in its own place: `before` bytes from the beginning.
fn alone(line: &str, before: usize) -> Document {
    parse(&(" ".repeat(before) + &line.replacen('#', " ", 1)))
}

fn parse(text: &str) -> Document {
    let source = Source { path: PathBuf::from("default.toml"), text: text.to_owned() };
    Document::parse(source).expect("`default.toml` is part of the program, and a test reads it")
}
