//! What can only be seen from several values together: doublets, contradictions, things without effect.

mod circles;
mod cluster;
mod databases;
mod dirs;
mod edge;
mod effect;
mod server;
mod sources;

pub(super) use databases::databases;
pub(super) use dirs::own_dirs;
pub(super) use edge::edge;

use super::{
    Retry, Secrets,
    decode::{Draft, PluginDraft, Server},
    document::Entry,
    fault::{Fault, did_you_mean},
    fields::Fields,
    notation::Servers,
    place::{header, items},
    read::Reading,
};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that the tables of a file, whose top is `root`, can get wrong between each other.
pub(super) fn together(
    reading: &mut Reading<'_>,
    root: &[Entry],
    server: &Server,
    pipelines: &[Draft<'_>],
    plugins: &[PluginDraft<'_>],
) {
    server::access(reading, root, server);
    for pipeline in pipelines {
        doubled_publishers(reading, pipeline);
        effect::of(reading, pipeline);
    }
    two_kinds(reading, pipelines);
    sources::shared(reading, pipelines);
    sources::dead_letters(reading, pipelines);
    if server.address.is_some_and(|address| address.servers == Servers::Cluster) {
        pipelines.iter().for_each(|pipeline| cluster::slots(reading, pipeline));
    }
    doubled_plugins(reading, plugins);
    unused_plugins(reading, pipelines, plugins);
    circles::circles(reading, pipelines, plugins);
    if pipelines.is_empty() && reading.faults.is_empty() {
        reading.faults.push(
            Fault::warning("there is no pipeline, so there is nothing to do")
                .help("add `[pipeline.NAME]`; `gristmill config default` shows its keys"),
        );
    }
}

/// The first pause cannot be longer than the longest.
pub(super) fn pauses(reading: &mut Reading<'_>, fields: &Fields<'_>, retry: &Retry) {
    if retry.first <= retry.longest {
        return;
    }
    let (first, longest) = (fields.written("first"), fields.written("longest"));
    let fault = Fault::error("`first` is longer than `longest`");
    let fault = match (first, longest) {
        (Some(first), Some(longest)) => fault.at(&first.value.span).and_at(&longest.value.span, "the longest pause"),
        (Some(item), None) | (None, Some(item)) => fault.at(&item.value.span),
        (None, None) => fault,
    };
    let default = match (first, longest) {
        (Some(_), Some(_)) => None,
        (_, None) => fields.item("longest").value.text(),
        (None, _) => fields.item("first").value.text(),
    };
    reading.faults.push(fault.help(match default {
        Some(default) => format!("set both; the one that is left out is \"{default}\""),
        None => "shorten `first` or lengthen `longest`".to_owned(),
    }));
}

/// Most often a slip in the name, or a value that still stands in `config` itself.
pub(super) fn idle_secrets(
    reading: &mut Reading<'_>,
    fields: &Fields<'_>,
    secrets: Option<&Secrets>,
    config: Option<&serde_json::Value>,
) {
    let (Some(secrets), Some(config)) = (secrets, config) else { return };
    let config = config.to_string();
    for Entry { key, key_span, .. } in fields.item("secrets").value.table().unwrap_or(&[]) {
        if secrets.stand_in(key).is_some_and(|stand_in| !config.contains(stand_in)) {
            let fault = Fault::warning(format!("the secret `{key}` is nowhere in `config`")).at(key_span);
            reading.faults.push(fault.help(format!("write `${{secret:{key}}}` where it belongs, or leave it out")));
        }
    }
}

fn doubled_publishers(reading: &mut Reading<'_>, pipeline: &Draft<'_>) {
    let names = pipeline.publish.iter().flatten();
    let mut seen = BTreeMap::new();
    for (name, value) in names.zip(items(pipeline.entry, "publish")) {
        let Some(first) = seen.insert(name, &value.span) else {
            continue;
        };
        let fault = Fault::error("this publisher is listed twice")
            .at(&value.span)
            .and_at(first, "first here")
            .help("list it once, or give it a second name with `file` in a `[plugin.NAME]` of its own");
        reading.faults.push(fault);
    }
}

/// A plugin is either a filter or a publisher, so one of the places that name it is wrong.
fn two_kinds(reading: &mut Reading<'_>, pipelines: &[Draft<'_>]) {
    let mut publishers = BTreeMap::new();
    for pipeline in pipelines {
        publishers.extend(pipeline.publish.iter().flatten().zip(items(pipeline.entry, "publish")));
    }
    for pipeline in pipelines {
        for (name, value) in pipeline.filters.iter().flatten().zip(items(pipeline.entry, "filters")) {
            let Some(publisher) = publishers.get(name) else { continue };
            let fault = Fault::error("this is named as a filter and as a publisher, and no plugin is both")
                .at(&value.span)
                .and_at(&publisher.span, "as a publisher here")
                .help("`gristmill check` says what it is when it is named as only one of them");
            reading.faults.push(fault);
        }
    }
}

fn doubled_plugins(reading: &mut Reading<'_>, plugins: &[PluginDraft<'_>]) {
    let mut seen = BTreeMap::new();
    for plugin in plugins {
        let Some(name) = &plugin.name else {
            continue;
        };
        let Some(first) = seen.insert(name, plugin.entry) else {
            continue;
        };
        reading.faults.push(
            Fault::error(format!("[plugin.{name}] stands here twice"))
                .at(&header(plugin.entry))
                .and_at(&header(first), "first here")
                .help("`_` and `-` are the same in a plugin's name; leave one table out"),
        );
    }
}

/// Most often a slip in the name, and then the plugin runs without what was meant for it.
fn unused_plugins(reading: &mut Reading<'_>, pipelines: &[Draft<'_>], plugins: &[PluginDraft<'_>]) {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for pipeline in pipelines {
        // Where not all names are known, nothing can be said.
        let (Some(filters), Some(publish)) = (&pipeline.filters, &pipeline.publish) else {
            return;
        };
        used.extend(filters.iter().chain(publish).map(String::as_str));
    }
    for plugin in plugins {
        let Some(name) = plugin.name.as_deref().filter(|name| !used.contains(name)) else {
            continue;
        };
        let spelled = |name: &&str| plugin_is_spelled(pipelines, name);
        let help = match did_you_mean(name, used.iter().copied().filter(spelled)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "name it in `filters` or `publish` of a pipeline, or leave the table out".to_owned(),
        };
        reading
            .faults
            .push(Fault::warning(format!("no pipeline uses [plugin.{name}]")).at(&header(plugin.entry)).help(help));
    }
}

/// Whether the file itself spells this name; one out of a variable must not get into a message.
fn plugin_is_spelled(pipelines: &[Draft<'_>], name: &str) -> bool {
    let mut values = pipelines.iter().flat_map(|pipeline| {
        let filters = items(pipeline.entry, "filters").iter();
        filters.chain(items(pipeline.entry, "publish"))
    });
    values.any(|value| value.text().is_some_and(|text| text.replace('_', "-") == name))
}
