//! Turns the tables of a file into the types, one function for each table.

use super::{
    Config, End, From, Isolation, KeepDead, Lists, Pipeline, Plugin, Redis, Retry, Shutdown, Take, check,
    document::{Entry, Value, find},
    fault::{Fault, did_you_mean, shown},
    notation,
    place::header,
    read::{Fields, Item, Reading},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// What `from` does not take in this version.
const OTHER_SOURCES: [&str; 6] = ["stream", "group", "channel", "pattern", "resque", "thoonk"];

/// A pipeline, as far as its table could be read.
pub(super) struct Draft<'a> {
    pub(super) entry: &'a Entry,
    pub(super) from: Option<From>,
    pub(super) filters: Option<Vec<String>>,
    pub(super) publish: Option<Vec<String>>,
    pub(super) dead_letters: Option<Option<String>>,
    in_flight: Option<usize>,
    retry: Option<Retry>,
}

/// A plugin's table, under the name by which pipelines call it.
pub(super) struct PluginDraft<'a> {
    pub(super) entry: &'a Entry,
    pub(super) name: Option<String>,
    plugin: Option<Plugin>,
}

/// The whole file; `None` if `reading` holds the reasons why not. Relative paths are taken from `directory`.
pub(super) fn config(reading: &mut Reading<'_>, root: &[Entry], directory: &Path) -> Option<Config> {
    let top = Fields::new(reading, "at the top".to_owned(), root, reading.defaults);
    let redis = redis(reading, &top);
    let plugins_dir = path(reading, top.item("plugins_dir"), directory);
    let data_dir = path(reading, top.item("data_dir"), directory);
    let lease = reading.duration(top.item("lease"), "1s");
    let shutdown = shutdown(reading, &top);
    let pipelines: Vec<_> = named_tables(reading, &top, "pipeline")
        .into_iter()
        .map(|(entry, fields)| pipeline(reading, entry, &fields))
        .collect();
    let plugins: Vec<_> = named_tables(reading, &top, "plugin")
        .into_iter()
        .map(|(entry, fields)| named_plugin(reading, entry, &fields))
        .collect();
    check::together(reading, &pipelines, &plugins);
    Some(Config {
        redis: redis?,
        plugins_dir: plugins_dir?,
        data_dir: data_dir?,
        lease: lease?,
        pipelines: pipelines.into_iter().map(Draft::finish).collect::<Option<_>>()?,
        plugins: plugins.into_iter().map(PluginDraft::finish).collect::<Option<_>>()?,
        shutdown: shutdown?,
    })
}

/// The table of a plugin.
pub(super) fn plugin(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Plugin> {
    let file = optional(fields.written("file"), |item| {
        let file = reading.some_text(item)?;
        reading.accept(item, notation::wasm_file(&file))?;
        Some(file)
    });
    let config = plugin_config(reading, fields.item("config"));
    let timeout = reading.duration(fields.item("timeout"), "1ms");
    let memory_mib = reading.number(fields.item("memory_mib"), 1..=4_096);
    let isolation = isolation(reading, fields.item("isolation"));
    let allow_http = reading.list(fields.item("allow_http"), |reading, item| {
        let host = reading.text(item)?;
        reading.accept(item, notation::http_grant(&host))
    });
    let http_timeout = reading.duration(fields.item("http_timeout"), "1ms");
    let http_response_kib = reading.number(fields.item("http_response_kib"), 1..=1_048_576);
    Some(Plugin {
        file: file?,
        config: config?,
        timeout: timeout?,
        memory_mib: memory_mib?,
        isolation: isolation?,
        allow_http: allow_http?,
        http_timeout: http_timeout?,
        http_response_kib: http_response_kib?,
    })
}

impl Draft<'_> {
    fn finish(self) -> Option<(String, Pipeline)> {
        let pipeline = Pipeline {
            from: self.from?,
            take: Take::Oldest,
            backlog: None,
            order: None,
            keep_dead: KeepDead { most: 100_000, longest: Duration::from_secs(90 * 86_400) },
            filters: self.filters?,
            publish: self.publish?,
            in_flight: self.in_flight?,
            retry: self.retry?,
            dead_letters: self.dead_letters?,
        };
        Some((self.entry.key.clone(), pipeline))
    }
}

impl PluginDraft<'_> {
    fn finish(self) -> Option<(String, Plugin)> {
        Some((self.name?, self.plugin?))
    }
}

/// The tables `[kind.NAME]`; what stands under `kind` and is none is reported.
fn named_tables<'a>(reading: &mut Reading<'_>, top: &Fields<'a>, kind: &'static str) -> Vec<(&'a Entry, Fields<'a>)> {
    let defaults = find(reading.defaults, kind).and_then(|entry| entry.value.table());
    let defaults = defaults.and_then(|tables| find(tables, "NAME")?.value.table()).unwrap_or(&[]);
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

fn redis(reading: &mut Reading<'_>, top: &Fields<'_>) -> Option<Redis> {
    let embedded = top.table(reading, "embedded");
    let port = reading.number(embedded.item("port"), 0..=u16::MAX);
    let item = top.item("redis");
    let address = reading.some_text(item)?;
    if address == "embedded" {
        return port.map(|port| Redis::Embedded { port });
    }
    reading.accept(item, notation::redis_url(&address))?;
    Some(Redis::Url(address))
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

fn pipeline<'a>(reading: &mut Reading<'_>, entry: &'a Entry, fields: &Fields<'_>) -> Draft<'a> {
    reading.accept_at("pipeline", &entry.key_span, notation::check_name(&entry.key));
    Draft {
        entry,
        from: from(reading, entry, fields),
        filters: plugin_names(reading, fields.item("filters")),
        publish: plugin_names(reading, fields.item("publish")),
        dead_letters: optional(fields.written("dead_letters"), |item| reading.some_text(item)),
        in_flight: reading.number(fields.item("in_flight"), 1..=100_000),
        retry: retry(reading, fields),
    }
}

fn from(reading: &mut Reading<'_>, entry: &Entry, fields: &Fields<'_>) -> Option<From> {
    let Some(item) = fields.written("from") else {
        let fault = Fault::error(format!("[pipeline.{}] does not say where its messages come from", shown(&entry.key)));
        return reading.refuse(fault.at(&header(entry)).help("name a Redis list: `from = { list = \"…\" }`"));
    };
    if let Some(text) = item.value.text() {
        let help = format!("write `from = {{ list = \"{}\" }}`", shown(text));
        return reading.mistyped(item, "a table", &help);
    }
    let Some(entries) = item.value.table() else {
        return reading.mistyped(item, "a table", "write `from = { list = \"…\" }`");
    };
    let other = |entry: &&Entry| OTHER_SOURCES.contains(&entry.key.as_str());
    if let Some(entry) = entries.iter().find(other) {
        let what = Fault::error(format!("this version does not take from `{}`", entry.key));
        return reading
            .refuse(what.at(&entry.key_span).help("this version takes from lists: `from = { list = \"…\" }`"));
    }
    list(reading, item, fields)
}

fn list(reading: &mut Reading<'_>, from: Item<'_>, fields: &Fields<'_>) -> Option<From> {
    let fields = fields.table(reading, "from");
    match fields.written("list") {
        Some(list) => reading
            .some_text(list)
            .map(|name| From::Lists(Lists { names: vec![name], weights: None, pushed: End::Right })),
        None => reading
            .refuse(Fault::error("`from` names no list").at(&from.value.span).help("write `from = { list = \"…\" }`")),
    }
}

fn plugin_names(reading: &mut Reading<'_>, item: Item<'_>) -> Option<Vec<String>> {
    reading.list(item, |reading, item| {
        let name = reading.text(item)?;
        reading.accept(item, notation::plugin_name(&name))
    })
}

fn retry(reading: &mut Reading<'_>, pipeline: &Fields<'_>) -> Option<Retry> {
    let fields = pipeline.table(reading, "retry");
    let attempts = reading.number(fields.item("attempts"), 1..=1_000_000);
    let first = reading.duration(fields.item("first"), "1ms");
    let longest = reading.duration(fields.item("longest"), "1ms");
    let retry = Retry { attempts: attempts?, crashes: 3, first: first?, longest: longest? };
    check::pauses(reading, &fields, &retry);
    Some(retry)
}

fn named_plugin<'a>(reading: &mut Reading<'_>, entry: &'a Entry, fields: &Fields<'_>) -> PluginDraft<'a> {
    PluginDraft {
        entry,
        name: reading.accept_at("plugin", &entry.key_span, notation::plugin_name(&entry.key)),
        plugin: plugin(reading, fields),
    }
}

fn plugin_config(reading: &mut Reading<'_>, item: Item<'_>) -> Option<serde_json::Value> {
    if item.value.table().is_none() {
        return reading.mistyped(item, "a table", "write `config = { key = value }`");
    }
    reading.json(item)
}

fn isolation(reading: &mut Reading<'_>, item: Item<'_>) -> Option<Isolation> {
    match reading.text(item)?.as_str() {
        "reuse" => Some(Isolation::Reuse),
        "message" => Some(Isolation::Message),
        _ => {
            let help = "write \"reuse\" for instances that see many messages, or \"message\" for a fresh one each";
            let meant = did_you_mean(item.value.text()?, ["reuse", "message"]);
            let help = meant.map_or(help.to_owned(), |meant| format!("did you mean \"{meant}\"?"));
            reading.refuse(
                Fault::error("`isolation` is neither \"reuse\" nor \"message\"").at(&item.value.span).help(help),
            )
        }
    }
}

/// What may be left out: decoded if it is there.
fn optional<T>(item: Option<Item<'_>>, decode: impl FnOnce(Item<'_>) -> Option<T>) -> Option<Option<T>> {
    item.map_or(Some(None), |item| decode(item).map(Some))
}
