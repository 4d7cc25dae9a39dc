//! What cannot be used of a configuration although it can be read, as faults of its file.

use super::Error;
use crate::{
    admin::Tokens,
    config::{Fault, Faults, Loaded, Place, did_you_mean},
    edge,
    effect::{Endpoints, Unusable},
    lookup,
    plugin::{self, Cause, Refusal},
};
use std::path::Path;

/// Refuses databases whose addresses nobody can connect to.
pub fn check_databases(loaded: &Loaded) -> Result<(), Error> {
    let fault = |(name, reason): (&str, String)| {
        let text = format!("`url` of [database.{name}] cannot be used: {reason}");
        loaded.fault_at(Place::DatabaseKey(name, "url"), Fault::error(text))
    };
    let faults: Vec<Fault> = lookup::unusable(&loaded.config.databases).into_iter().map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Config(loaded.faults(faults))) }
}

/// What is said of servers, or every file for that which cannot be used.
pub fn endpoints(loaded: &Loaded) -> Result<Endpoints, Error> {
    let fault = |unusable: Unusable| {
        let text = format!("`tls` of [endpoint.\"{}\"] cannot be used: {}", unusable.endpoint, unusable.reason());
        loaded.fault_at(Place::EndpointKey(&unusable.endpoint, "tls"), Fault::error(text))
    };
    let unusable = |list: Vec<Unusable>| Error::Config(loaded.faults(list.into_iter().map(fault).collect()));
    Endpoints::read(&loaded.config.endpoints).map_err(unusable)
}

/// What holds at the edge, or why the keys of its tokens cannot be used.
pub fn edge_settings(loaded: &Loaded) -> Result<edge::Settings, Error> {
    edge::Settings::read(&loaded.config.edge).map_err(|error| {
        let fault = Fault::error(format!("`token_keys` of [edge] cannot be used: {error}"));
        Error::Config(loaded.faults(vec![loaded.fault_at(Place::EdgeKey("token_keys"), fault)]))
    })
}

/// Who may do what with the node, as the file for that says.
pub fn tokens(loaded: &Loaded) -> Result<Option<Tokens>, Error> {
    let Some(path) = &loaded.config.admin.tokens else { return Ok(None) };
    Tokens::read(path).map(Some).map_err(|reason| {
        let fault = Fault::error(format!("`tokens` of [admin] cannot be used: {reason}"));
        Error::Config(loaded.faults(vec![loaded.fault_at(Place::AdminKey("tokens"), fault)]))
    })
}

/// The refusals as faults of the file that names the plugins.
pub fn explain(loaded: &Loaded, refused: &[Refusal]) -> Faults {
    loaded
        .faults(refused.iter().map(|refusal| loaded.fault_at(place(loaded, refusal), fault(loaded, refusal))).collect())
}

fn place<'a>(loaded: &'a Loaded, refusal: &'a Refusal) -> Place<'a> {
    let key = match &refusal.cause {
        Cause::Config(_) => Some("config"),
        Cause::Ungranted(needs) => needs.first().and_then(|need| need.means.key()),
        Cause::NoProgram => Some("mode"),
        Cause::Directory { .. } => Some("allow_dirs"),
        _ => None,
    };
    if let Some(key) = key {
        return Place::PluginKey(&refusal.plugin, key);
    }
    let named = loaded.config.pipelines.iter().find_map(|(name, pipeline)| {
        let position = |names: &[String]| names.iter().position(|name| *name == refusal.plugin);
        let filter = position(&pipeline.filters).map(|index| Place::Filter(name, index));
        filter.or_else(|| position(&pipeline.publish).map(|index| Place::Publisher(name, index)))
    });
    named.unwrap_or(Place::Plugin(&refusal.plugin))
}

fn fault(loaded: &Loaded, refusal: &Refusal) -> Fault {
    let fault = Fault::error(refusal.to_string());
    if refusal.cause != Cause::NoFile {
        return fault;
    }
    let known = plugins_in(&loaded.config.plugins_dir);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    match did_you_mean(&refusal.plugin, known.iter().copied()) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => fault.help(format!(
            "there is no plugin in `{}`; put the `.wasm` file there, or set `plugins_dir`",
            loaded.config.plugins_dir.display()
        )),
        None => fault.help(format!("plugins in `{}`: {}", loaded.config.plugins_dir.display(), known.join(", "))),
    }
}

fn plugins_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| plugin::plugin_name(&entry.path())).collect();
    names.sort();
    names
}
