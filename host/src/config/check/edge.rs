//! What pipelines and the edge must know of each other.

use super::{
    super::{EDGE, Edge, place::named_in},
    Draft, Entry, Fault, PluginDraft, Reading, header, items,
};

pub(in crate::config) fn edge(
    reading: &mut Reading<'_>,
    root: &[Entry],
    edge: Option<&Edge>,
    pipelines: &[Draft<'_>],
    plugins: &[PluginDraft<'_>],
) {
    reserved(reading, pipelines, plugins);
    let Some(edge) = edge else { return };
    if edge.listen.is_none() {
        nobody_listens(reading, pipelines);
    } else if edge.token_secret.is_none()
        && edge.token_keys.is_none()
        && !edge.channels.iter().any(|(_, channel)| channel.open)
    {
        let what = "nobody can subscribe: there is nothing to check tokens with, and no channel that anyone may read";
        let fault =
            Fault::warning(what).help("set `token_secret` or `token_keys`, or `read = \"anyone\"` in a [channel.NAME]");
        reading.faults.push(match named_in(root, EDGE) {
            Some(entry) => fault.at(&header(entry)),
            None => fault,
        });
    }
}

/// The edge has the name of no plugin.
fn reserved(reading: &mut Reading<'_>, pipelines: &[Draft<'_>], plugins: &[PluginDraft<'_>]) {
    const HELP: &str = "give the plugin another name, with `file = \"edge.wasm\"` in its table";
    for plugin in plugins.iter().filter(|plugin| plugin.name.as_deref() == Some(EDGE)) {
        let fault =
            Fault::error("no plugin can be called `edge`: in `publish` it stands for the channels of this node");
        reading.faults.push(fault.at(&header(plugin.entry)).help(HELP));
    }
    for pipeline in pipelines {
        let filters = pipeline.filters.iter().flatten().zip(items(pipeline.entry, "filters"));
        for (_, value) in filters.filter(|(name, _)| *name == EDGE) {
            reading.faults.push(
                Fault::error("`edge` is no filter: it stands for the channels of this node")
                    .at(&value.span)
                    .help("name it in `publish`"),
            );
        }
    }
}

fn nobody_listens(reading: &mut Reading<'_>, pipelines: &[Draft<'_>]) {
    for pipeline in pipelines {
        let publish = pipeline.publish.iter().flatten().zip(items(pipeline.entry, "publish"));
        for (_, value) in publish.filter(|(name, _)| *name == EDGE) {
            let fault = Fault::error("this pipeline publishes to the edge, which listens nowhere");
            reading.faults.push(fault.at(&value.span).help("set `listen` in [edge], such as \"127.0.0.1:8080\""));
        }
    }
}
