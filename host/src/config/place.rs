//! Names the places of a file that later checks point at.

use super::{
    EDGE,
    document::{Document, Entry, Kind, Value, find},
    notation::{self, plugin_name},
};
use std::ops::Range;

/// A place in the file; where it is left out, the nearest thing that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A key at the top, such as `redis`.
    Key(&'a str),
    /// A key of `[edge]`, such as `token_keys`.
    EdgeKey(&'a str),
    /// `[pipeline.NAME]`.
    Pipeline(&'a str),
    /// A key of `[pipeline.NAME]`.
    PipelineKey(&'a str, &'a str),
    /// The filter at this index, from 0.
    Filter(&'a str, usize),
    /// The publisher at this index, from 0.
    Publisher(&'a str, usize),
    /// `[plugin.NAME]`, or where a pipeline names the plugin; `_` and `-` are the same.
    Plugin(&'a str),
    /// A key of `[plugin.NAME]`, such as `config`.
    PluginKey(&'a str, &'a str),
    /// A key of `[database.NAME]`, such as `url`.
    DatabaseKey(&'a str, &'a str),
    /// A key of `[admin]`.
    AdminKey(&'a str),
    /// A key of `[endpoint.NAME]`, however the file spells the name.
    EndpointKey(&'a str, &'a str),
}

/// The bytes at `place`, if the file holds anything of it.
pub(super) fn span(document: &Document, place: Place<'_>) -> Option<Range<usize>> {
    match place {
        Place::Key(key) => find(&document.root, key).map(|entry| entry.value.span.clone()),
        Place::EdgeKey(key) => Some(key_of(find(&document.root, EDGE)?, key)),
        Place::Pipeline(name) => pipeline(document, name).map(header),
        Place::PipelineKey(name, key) => Some(key_of(pipeline(document, name)?, key)),
        Place::Filter(name, index) => item_of(pipeline(document, name)?, "filters", index),
        Place::Publisher(name, index) => item_of(pipeline(document, name)?, "publish", index),
        Place::Plugin(name) => match plugin(document, name) {
            Some(entry) => Some(header(entry)),
            None => mention(document, name).map(|value| value.span.clone()),
        },
        Place::DatabaseKey(name, key) => Some(key_of(find(named(document, "database"), name)?, key)),
        Place::AdminKey(key) => find(&document.root, "admin").map(|entry| key_of(entry, key)),
        Place::EndpointKey(name, key) => {
            let same = |key: &str| notation::endpoint(key).is_ok_and(|found| found == name);
            named(document, "endpoint").iter().find(|entry| same(&entry.key)).map(|entry| key_of(entry, key))
        }
        Place::PluginKey(name, key) => match plugin(document, name) {
            Some(entry) => Some(key_of(entry, key)),
            None => span(document, Place::Plugin(name)),
        },
    }
}

/// The table `key` at the top.
pub(super) fn named_in<'a>(root: &'a [Entry], key: &str) -> Option<&'a Entry> {
    find(root, key)
}

/// The tables of `[pipeline.…]` or `[plugin.…]`.
pub(super) fn named<'a>(document: &'a Document, kind: &str) -> &'a [Entry] {
    find(&document.root, kind).and_then(|entry| entry.value.table()).unwrap_or(&[])
}

/// The values in a pipeline's `filters` or `publish`.
pub(super) fn items<'a>(pipeline: &'a Entry, key: &str) -> &'a [Value] {
    let list = pipeline.value.table().and_then(|table| find(table, key));
    match list.map(|entry| &entry.value.kind) {
        Some(Kind::List(values)) => values,
        _ => &[],
    }
}

fn pipeline<'a>(document: &'a Document, name: &str) -> Option<&'a Entry> {
    find(named(document, "pipeline"), name)
}

fn plugin<'a>(document: &'a Document, name: &str) -> Option<&'a Entry> {
    let same = |key: &str| plugin_name(key).is_ok_and(|key| key == name.replace('_', "-"));
    named(document, "plugin").iter().find(|entry| same(&entry.key))
}

/// Where a pipeline names `plugin`; a name out of a variable is not found.
fn mention<'a>(document: &'a Document, plugin: &str) -> Option<&'a Value> {
    let plugin = plugin.replace('_', "-");
    named(document, "pipeline")
        .iter()
        .flat_map(|pipeline| {
            let filters = items(pipeline, "filters").iter();
            filters.chain(items(pipeline, "publish"))
        })
        .find(|value| value.text().is_some_and(|text| text.replace('_', "-") == plugin))
}

/// A table's header, or its key where it has none of its own.
pub(super) fn header(entry: &Entry) -> Range<usize> {
    let Range { start, end } = entry.value.span;
    if (start..end).contains(&entry.key_span.start) { start..end } else { entry.key_span.clone() }
}

/// The value of a key, or the table's header where it has none.
pub(super) fn key_of(table: &Entry, key: &str) -> Range<usize> {
    let entry = table.value.table().and_then(|entries| find(entries, key));
    entry.map_or_else(|| header(table), |entry| entry.value.span.clone())
}

fn item_of(pipeline: &Entry, key: &str, index: usize) -> Option<Range<usize>> {
    match items(pipeline, key).get(index) {
        Some(value) => Some(value.span.clone()),
        None => Some(key_of(pipeline, key)),
    }
}
