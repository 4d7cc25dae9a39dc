//! `[plugin.NAME]`.

use super::{
    super::{
        Ambient, Batch, DirGrant, Isolation, Limits, Mode, Plugin, Secrets, check,
        document::Entry,
        expand::SECRET,
        fields::Fields,
        notation,
        read::{Item, Reading},
    },
    Path, lookups,
    named::Named,
    optional,
};
use std::collections::{BTreeMap, BTreeSet};

/// A plugin's table, under the name by which pipelines call it.
pub(in crate::config) type PluginDraft<'a> = Named<'a, Plugin>;

/// The table of a plugin; relative paths are taken from `directory`.
pub(in crate::config) fn plugin(reading: &mut Reading<'_>, fields: &Fields<'_>, directory: &Path) -> Option<Plugin> {
    let file = optional(fields.written("file"), |item| {
        let file = reading.some_text(item)?;
        reading.accept(item, notation::wasm_file(&file))?;
        Some(file)
    });
    let secrets = secrets(reading, fields.item("secrets"));
    let config = plugin_config(reading, fields.item("config"), secrets.as_ref());
    let timeout = reading.duration(fields.item("timeout"), "1ms");
    let memory_mib = reading.number(fields.item("memory_mib"), 1..=4_096);
    let isolations = [("reuse", Isolation::Reuse), ("message", Isolation::Message)];
    let isolation = reading.one_of(fields.item("isolation"), &isolations);
    let limits = limits(reading, fields);
    let batch = batch(reading, fields);
    let modes = [("auto", Mode::Auto), ("cgi", Mode::Cgi), ("lines", Mode::Lines)];
    let mode = reading.one_of(fields.item("mode"), &modes);
    let allow_http = reading.list(fields.item("allow_http"), |reading, item| {
        let host = reading.text(item)?;
        reading.accept(item, notation::http_grant(&host))
    });
    let http_timeout = reading.duration(fields.item("http_timeout"), "1ms");
    let http_response_kib = reading.number(fields.item("http_response_kib"), 1..=1_048_576);
    let allow_redis = reading.list(fields.item("allow_redis"), |reading, item| {
        let grant = reading.text(item)?;
        reading.accept(item, notation::redis_grant(&grant))
    });
    let allow_dirs = dirs(reading, fields.item("allow_dirs"), directory);
    let allow_env = reading.list(fields.item("allow_env"), |reading, item| {
        let name = reading.text(item)?;
        reading.accept(item, notation::variable(&name)).map(|()| name)
    });
    let allow = ambient(reading, fields.item("allow"));
    check::idle_secrets(reading, fields, secrets.as_ref(), config.as_ref());
    let lookups = lookups::lookups(reading, fields);
    Some(Plugin {
        file: file?,
        config: config?,
        timeout: timeout?,
        memory_mib: memory_mib?,
        isolation: isolation?,
        limits: limits?,
        batch: batch?,
        mode: mode?,
        allow_http: allow_http?,
        http_timeout: http_timeout?,
        http_response_kib: http_response_kib?,
        allow_redis: allow_redis?,
        allow_dirs: allow_dirs?,
        allow_env: allow_env?,
        allow: allow?,
        secrets: secrets?,
        lookups: lookups?,
    })
}

pub(super) fn named_plugin<'a>(
    reading: &mut Reading<'_>,
    entry: &'a Entry,
    fields: &Fields<'_>,
    directory: &Path,
) -> PluginDraft<'a> {
    Named {
        entry,
        name: reading.accept_at("plugin", &entry.key_span, notation::plugin_name(&entry.key)),
        value: plugin(reading, fields, directory),
    }
}

fn limits(reading: &mut Reading<'_>, plugin: &Fields<'_>) -> Option<Limits> {
    let fields = plugin.table(reading, "limits");
    let answer_kib = reading.number(fields.item("answer_kib"), 1..=1_048_576);
    let children = reading.number(fields.item("children"), 1..=100_000);
    let requests = reading.number(fields.item("requests"), 1..=100_000);
    let rounds = reading.number(fields.item("rounds"), 1..=1_000);
    let log_lines = reading.number(fields.item("log_lines"), 0..=10_000);
    let table_elements = reading.number(fields.item("table_elements"), 1..=100_000);
    let parts = reading.number(fields.item("parts"), 1..=1_000);
    let handles = reading.number(fields.item("handles"), 1..=100_000);
    let instances = reading.number(fields.item("instances"), 1..=1_000);
    Some(Limits {
        answer_kib: answer_kib?,
        children: children?,
        requests: requests?,
        rounds: rounds?,
        log_lines: log_lines?,
        table_elements: table_elements?,
        parts: parts?,
        handles: handles?,
        instances: instances?,
    })
}

fn batch(reading: &mut Reading<'_>, plugin: &Fields<'_>) -> Option<Batch> {
    let fields = plugin.table(reading, "batch");
    let size = reading.number(fields.item("size"), 1..=10_000);
    let linger = reading.duration(fields.item("linger"), "0ms");
    let kib = reading.number(fields.item("kib"), 1..=1_048_576);
    Some(Batch { size: size?, linger: linger?, bytes: lookups::bytes(kib?) })
}

/// The plugin's own table, with the stand-ins of its secrets where it names them.
fn plugin_config(reading: &mut Reading<'_>, item: Item<'_>, secrets: Option<&Secrets>) -> Option<serde_json::Value> {
    if item.value.table().is_none() {
        return reading.mistyped(item, "a table", "write `config = { key = value }`");
    }
    let variables = reading.environment;
    let lookup = |name: &str| match (name.strip_prefix(SECRET), secrets) {
        (Some(_), None) => Some(String::new()), // What is wrong with them has been said.
        (Some(secret), Some(secrets)) => secrets.stand_in(secret).map(str::to_owned),
        (None, _) => variables(name),
    };
    let mut within = Reading { text: reading.text, environment: &lookup, faults: Vec::new() };
    let config = within.json(item);
    let faults = within.faults;
    reading.faults.extend(faults);
    config
}

fn secrets(reading: &mut Reading<'_>, item: Item<'_>) -> Option<Secrets> {
    let named = entries(reading, item, "write `secrets = { name = \"${VARIABLE}\" }`", |reading, name, item| {
        reading.accept(item, notation::secret_name(name))?;
        reading.some_text(item).map(|value| (name.to_owned(), value))
    });
    named.map(Secrets::new)
}

fn dirs(reading: &mut Reading<'_>, item: Item<'_>, directory: &Path) -> Option<BTreeMap<String, DirGrant>> {
    let help = "write `allow_dirs = { name = \"directory\" }`, or \"directory:ro\" for one that it only reads";
    let grants = entries(reading, item, help, |reading, name, item| {
        reading.accept(item, notation::guest_dir(name))?;
        let text = reading.text(item)?;
        let (host, access) = reading.accept(item, notation::dir_grant(&text))?;
        Some((name.to_owned(), DirGrant { host: directory.join(host), access }))
    });
    grants.map(BTreeMap::from_iter)
}

/// The entries of a table that takes any keys; every bad one is reported.
fn entries<T>(
    reading: &mut Reading<'_>,
    item: Item<'_>,
    help: &str,
    mut decode: impl FnMut(&mut Reading<'_>, &str, Item<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(entries) = item.value.table() else {
        return reading.mistyped(item, "a table", help);
    };
    let decoded = entries.iter().map(|Entry { key, value, .. }| decode(reading, key, Item { name: key, value }));
    decoded.collect::<Vec<_>>().into_iter().collect()
}

fn ambient(reading: &mut Reading<'_>, item: Item<'_>) -> Option<BTreeSet<Ambient>> {
    let known = [("clock", Ambient::Clock), ("random", Ambient::Random)];
    let allowed = reading.list(item, |reading, item| reading.one_of(item, &known))?;
    Some(allowed.into_iter().collect())
}
