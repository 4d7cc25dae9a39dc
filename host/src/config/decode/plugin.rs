//! `[plugin.NAME]`.

use super::{
    super::{
        Isolation, Plugin,
        document::Entry,
        fields::Fields,
        notation,
        read::{Item, Reading},
    },
    optional,
};

/// A plugin's table, under the name by which pipelines call it.
pub(in crate::config) struct PluginDraft<'a> {
    pub(in crate::config) entry: &'a Entry,
    pub(in crate::config) name: Option<String>,
    plugin: Option<Plugin>,
}

/// The table of a plugin.
pub(in crate::config) fn plugin(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Plugin> {
    let file = optional(fields.written("file"), |item| {
        let file = reading.some_text(item)?;
        reading.accept(item, notation::wasm_file(&file))?;
        Some(file)
    });
    let config = plugin_config(reading, fields.item("config"));
    let timeout = reading.duration(fields.item("timeout"), "1ms");
    let memory_mib = reading.number(fields.item("memory_mib"), 1..=4_096);
    let isolations = [("reuse", Isolation::Reuse), ("message", Isolation::Message)];
    let isolation = reading.one_of(fields.item("isolation"), &isolations);
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

pub(super) fn named_plugin<'a>(reading: &mut Reading<'_>, entry: &'a Entry, fields: &Fields<'_>) -> PluginDraft<'a> {
    PluginDraft {
        entry,
        name: reading.accept_at("plugin", &entry.key_span, notation::plugin_name(&entry.key)),
        plugin: plugin(reading, fields),
    }
}

impl PluginDraft<'_> {
    pub(super) fn finish(self) -> Option<(String, Plugin)> {
        Some((self.name?, self.plugin?))
    }
}

fn plugin_config(reading: &mut Reading<'_>, item: Item<'_>) -> Option<serde_json::Value> {
    if item.value.table().is_none() {
        return reading.mistyped(item, "a table", "write `config = { key = value }`");
    }
    reading.json(item)
}
