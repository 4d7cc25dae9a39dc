//! Turns the tables of a file into the types: the top of the file here, what stands in its tables below.

mod database;
mod edge;
mod endpoint;
mod from;
mod lookups;
mod named;
mod pipeline;
mod plugin;
mod rate;
mod server;
mod tls;
mod told;

pub(super) use database::DatabaseDraft;
pub(super) use edge::{channel_settings, edge};
pub(super) use pipeline::Draft;
pub(super) use plugin::{PluginDraft, plugin};
pub(super) use server::Server;
pub(super) use tls::pair;

use super::{
    Compile, Config, Shutdown, check,
    document::{Entry, Value, find},
    fault::{Fault, shown},
    fields::Fields,
    read::{Item, Reading},
    reference::{defaults, named_defaults},
};
use std::path::{Path, PathBuf};

/// The whole file; `None` if `reading` holds the reasons why not. Relative paths are taken from `directory`.
pub(super) fn config(reading: &mut Reading<'_>, root: &[Entry], directory: &Path) -> Option<Config> {
    let top = Fields::new(reading, "at the top".to_owned(), root, defaults());
    let server = server::server(reading, &top, directory);
    let plugins_dir = path(reading, top.item("plugins_dir"), directory);
    let data_dir = path(reading, top.item("data_dir"), directory);
    let lease = reading.duration(top.item("lease"), "1s");
    let compile = compile(reading, &top);
    let admin = server::admin(reading, &top, directory, data_dir.as_deref());
    let (log, traces) = (told::log(reading, &top), told::traces(reading, &top));
    let shutdown = shutdown(reading, &top);
    let pipelines: Vec<_> = named_tables(reading, &top, "pipeline")
        .into_iter()
        .map(|(entry, fields)| pipeline::pipeline(reading, entry, &fields))
        .collect();
    let plugins: Vec<_> = named_tables(reading, &top, "plugin")
        .into_iter()
        .map(|(entry, fields)| plugin::named_plugin(reading, entry, &fields, directory))
        .collect();
    check::own_dirs(reading, &plugins, [Some(directory), plugins_dir.as_deref(), data_dir.as_deref()]);
    let databases: Vec<_> = named_tables(reading, &top, "database")
        .into_iter()
        .map(|(entry, fields)| database::database(reading, entry, &fields, directory))
        .collect();
    let endpoints: Vec<_> = named_tables(reading, &top, "endpoint")
        .into_iter()
        .map(|(entry, fields)| endpoint::endpoint(reading, entry, &fields, directory))
        .collect();
    let endpoints = endpoint::finish(reading, endpoints);
    let channels: Vec<_> = named_tables(reading, &top, "channel")
        .into_iter()
        .map(|(entry, fields)| edge::channel(reading, entry, &fields))
        .collect();
    let edge = edge(reading, &top, channels, directory);
    check::together(reading, root, &server, &pipelines, &plugins);
    check::databases(reading, &plugins, &databases);
    check::edge(reading, root, edge.as_ref(), &pipelines, &plugins);
    Some(Config {
        redis: server.redis?,
        sentinel_user: server.sentinel_user?,
        sentinel_password: server.sentinel_password?,
        tls: server.tls?,
        plugins_dir: plugins_dir?,
        data_dir: data_dir?,
        lease: lease?,
        pipelines: pipelines.into_iter().map(Draft::finish).collect::<Option<_>>()?,
        plugins: plugins.into_iter().map(PluginDraft::finish).collect::<Option<_>>()?,
        compile: compile?,
        endpoints: endpoints?,
        databases: databases.into_iter().map(DatabaseDraft::finish).collect::<Option<_>>()?,
        edge: edge?,
        admin: admin?,
        log: log?,
        traces: traces?,
        shutdown: shutdown?,
    })
}

/// The tables `[kind.NAME]`; what stands under `kind` and is none is reported.
fn named_tables<'a>(reading: &mut Reading<'_>, top: &Fields<'a>, kind: &'static str) -> Vec<(&'a Entry, Fields<'a>)> {
    let defaults = named_defaults(kind);
    let help = format!("write a header with a name: `[{kind}.NAME]`");
    let Some(item) = top.written(kind) else {
        return Vec::new();
    };
    let Some(entries) = item.value.table() else {
        let wanted = "a group of named tables";
        return reading.mistyped(item, wanted, &help).unwrap_or_default();
    };
    let mut tables = Vec::new();
    for entry in entries {
        let nameless = is_inline(reading, &entry.value) && find(defaults, &entry.key).is_some();
        match entry.value.table() {
            Some(table) if !nameless => {
                let title = format!("in [{kind}.{}]", shown(&entry.key));
                tables.push((entry, Fields::new(reading, title, table, defaults)));
            }
            _ => reading.faults.push(
                Fault::error(format!("`{}` stands in [{kind}] itself, not in one with a name", shown(&entry.key)))
                    .at(&entry.key_span)
                    .help(&help),
            ),
        }
    }
    tables
}

/// Whether a table is spelled `{ … }`.
fn is_inline(reading: &Reading<'_>, value: &Value) -> bool {
    let written = reading.text.get(value.span.clone());
    written.is_some_and(|text| text.starts_with('{'))
}

/// A server without a table.
pub(super) fn usual_endpoint(reading: &mut Reading<'_>) -> Option<super::Endpoint> {
    let fields = Fields::new(reading, String::new(), &[], named_defaults("endpoint"));
    endpoint::settings(reading, &fields, Path::new(""))
}

pub(super) fn compile(reading: &mut Reading<'_>, top: &Fields<'_>) -> Option<Compile> {
    let fields = top.table(reading, "compile");
    let timeout = reading.duration(fields.item("timeout"), "1s");
    let memory_mib = reading.number(fields.item("memory_mib"), 64..=65_536);
    let file_mib = reading.number(fields.item("file_mib"), 1..=1_024);
    Some(Compile { timeout: timeout?, memory_mib: memory_mib?, file_mib: file_mib? })
}

fn shutdown(reading: &mut Reading<'_>, top: &Fields<'_>) -> Option<Shutdown> {
    let fields = top.table(reading, "shutdown");
    let grace = reading.duration(fields.item("grace"), "0s")?;
    Some(Shutdown { grace })
}

fn path(reading: &mut Reading<'_>, item: Item<'_>, directory: &Path) -> Option<PathBuf> {
    let path = reading.some_text(item)?;
    Some(directory.join(path))
}

/// What may be left out: decoded if it is there.
fn optional<T>(item: Option<Item<'_>>, decode: impl FnOnce(Item<'_>) -> Option<T>) -> Option<Option<T>> {
    item.map_or(Some(None), |item| decode(item).map(Some))
}
