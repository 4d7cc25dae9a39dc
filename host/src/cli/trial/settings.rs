//! What a plugin is told and allowed when it is tried: the table of a configuration file, or what the command line says.

use crate::{
    cli::talk,
    config::{self, Ambient, Config, HttpGrant, RedisGrant, Reserved, Store, did_you_mean},
    plugin::{Means, Need, Needs, plugin_name},
};
use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

#[derive(Debug, Default, Args)]
pub(in crate::cli) struct Settings {
    /// Gives the plugin what `[plugin.NAME]` of this file says
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The NAME of that table, where it is not that of the plugin's file
    #[arg(long, value_name = "NAME", requires = "config")]
    plugin: Option<String>,
    /// The plugin's own `config`, a JSON object
    #[arg(long, value_name = "JSON", conflicts_with = "config")]
    plugin_config: Option<String>,
    /// One value of the plugin's own `config`, as JSON or else as text; KEY may be a path such as `user.name`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Everything that loading a plugin takes but its file.
#[derive(Debug)]
pub(in crate::cli) struct Setting {
    /// The plugin's.
    pub(in crate::cli) name: String,
    pub(in crate::cli) plugin: config::Plugin,
    pub(in crate::cli) compile: config::Compile,
    /// Where compiled plugins are kept.
    pub(in crate::cli) cache: PathBuf,
    /// What the pipelines of the configuration take from; none where nobody has said what the plugin may do.
    pub(in crate::cli) reserved: Option<Reserved>,
}

impl Settings {
    /// Those of the plugin in `file`.
    pub(in crate::cli) fn of(&self, file: &Path) -> anyhow::Result<Setting> {
        let mut setting = match &self.config {
            Some(path) => self.configured(&talk::load(path)?.config, file)?,
            None => Setting {
                name: stem(file)?,
                plugin: unbound(file),
                compile: config::Compile::default(),
                cache: user_cache(),
                reserved: None,
            },
        };
        if let Some(json) = &self.plugin_config {
            let value: Value = serde_json::from_str(json).context("`--plugin-config` is not JSON")?;
            setting.plugin.config = value;
        }
        for assignment in &self.set {
            assign(&mut setting.plugin.config, assignment)?;
        }
        if setting.plugin.lookups.store == Store::Redis {
            // What is tried leaves nothing behind in the one that the node works with.
            setting.plugin.lookups.store = Store::Memory;
        }
        if !setting.plugin.config.is_object() {
            bail!("`--plugin-config` is not a JSON object, such as '{{\"fields\": [\"ip\"]}}'");
        }
        Ok(setting)
    }

    /// Where the config of the plugin `name` comes from.
    pub(super) fn origin(&self, name: &str) -> String {
        let options = "`--set` and `--plugin-config`";
        match &self.config {
            None => format!("with the config that {options} give it"),
            Some(file) if self.set.is_empty() => format!("with the config of [plugin.{name}] in `{}`", file.display()),
            Some(file) => format!("with the config of [plugin.{name}] in `{}` and of `--set`", file.display()),
        }
    }

    /// The configuration file, where one is named.
    pub(in crate::cli) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    fn configured(&self, config: &Config, file: &Path) -> anyhow::Result<Setting> {
        let name = match &self.plugin {
            Some(name) => named(config, &name.replace('_', "-"))?,
            None => by_file(config, file)?,
        };
        let plugin = config.plugins.get(&name).cloned().unwrap_or_default();
        let (compile, cache) = (config.compile.clone(), config.data_dir.join("cache"));
        Ok(Setting { name, plugin, compile, cache, reserved: Some(Reserved::of(config)) })
    }
}

fn named(config: &Config, name: &str) -> anyhow::Result<String> {
    if config.plugins.contains_key(name) {
        return Ok(name.to_owned());
    }
    match did_you_mean(name, config.plugins.keys().map(String::as_str)) {
        Some(meant) => bail!("the configuration has no `[plugin.{name}]`; did you mean `{meant}`?"),
        None => bail!("the configuration has no `[plugin.{name}]`"),
    }
}

/// The plugin that the configuration makes of `file`, by its name or by the key `file`.
fn by_file(config: &Config, file: &Path) -> anyhow::Result<String> {
    let stem = stem(file)?;
    let is_file = |table: &config::Plugin| {
        table.file.as_deref().is_some_and(|named| Path::new(named).file_name() == file.file_name())
    };
    let mut names: Vec<&String> =
        config.plugins.iter().filter(|(_, table)| is_file(table)).map(|(name, _)| name).collect();
    names.extend(config.plugins.get_key_value(&stem).filter(|(_, table)| table.file.is_none()).map(|(name, _)| name));
    match &names[..] {
        [] => {
            talk::say(&format!("the configuration has no `[plugin.{stem}]`, so the plugin gets the defaults"));
            Ok(stem)
        }
        [name] => Ok((*name).clone()),
        names => {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            bail!(
                "the configuration makes several plugins of this file; add `--plugin` and one of: {}",
                names.join(", ")
            )
        }
    }
}

/// The defaults, and whatever the plugin declares that it asks the host for: nothing of it is carried out here.
fn unbound(file: &Path) -> config::Plugin {
    let mut plugin = config::Plugin::default();
    // A file that cannot be read is told of when it is loaded.
    for Need { means, which } in Needs::of(&fs::read(file).unwrap_or_default()).iter() {
        let which = which.as_deref();
        match means {
            Means::Http => plugin.allow_http.extend(HttpGrant::parse(which.unwrap_or("*"))),
            Means::Redis => plugin.allow_redis.extend(RedisGrant::parse(which.unwrap_or("* *"))),
            Means::Clock => plugin.allow.extend([Ambient::Clock]),
            Means::Random => plugin.allow.extend([Ambient::Random]),
            Means::Store => plugin.lookups.store = Store::Memory,
            Means::Sql | Means::Files | Means::Environment | Means::Sockets => {}
        }
    }
    plugin
}

fn stem(file: &Path) -> anyhow::Result<String> {
    plugin_name(file).with_context(|| format!("`{}` has no name that a plugin could have", file.display()))
}

/// Compiled plugins of one user, who may try the same one in many directories.
fn user_cache() -> PathBuf {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    caches.unwrap_or_else(env::temp_dir).join("gristmill")
}

/// Puts what `assignment` says into `config`.
fn assign(config: &mut Value, assignment: &str) -> anyhow::Result<()> {
    let (path, value) = assignment
        .split_once('=')
        .filter(|(path, _)| path.split('.').all(|key| !key.is_empty()))
        .with_context(|| format!("`--set {assignment}` is not KEY=VALUE"))?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let mut place = config;
    for key in path.split('.') {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let object = place.as_object_mut();
        place = object
            .with_context(|| format!("`--set {assignment}`: what is above `{key}` is no object"))?
            .entry(key)
            .or_insert(Value::Null);
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(text: &str) -> Config {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gristmill.toml");
        std::fs::write(&file, format!("redis = \"redis://localhost\"\nplugins_dir = \"p\"\n{text}")).unwrap();
        config::load(&file, &|_| None).unwrap().config
    }

    fn found(text: &str, file: &str) -> Result<String, String> {
        by_file(&config(text), Path::new(file)).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_json_or_else_text_and_keys_may_be_paths() {
        let mut config = json!({"a": {"b": 1}});
        for assignment in ["a.c=[2]", "d.e.f=true", "url=http://h/?a=b", "n=007"] {
            assign(&mut config, assignment).unwrap();
        }
        let expected = json!({"a": {"b": 1, "c": [2]}, "d": {"e": {"f": true}}, "url": "http://h/?a=b", "n": "007"});
        assert_eq!(config, expected);
        for wrong in ["a", "=1", "a..b=1", "a.b.c=1"] {
            assert!(assign(&mut config, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_table_of_a_file_is_the_one_of_its_name_or_the_one_that_names_it() {
        let tables = "[plugin.my-filter]\n[plugin.other]\nfile = \"old.wasm\"\n";
        assert_eq!(found(tables, "x/my_filter.wasm").as_deref(), Ok("my-filter"));
        assert_eq!(found(tables, "old.wasm").as_deref(), Ok("other"));
        assert_eq!(found(tables, "third.wasm").as_deref(), Ok("third"));
    }

    #[test]
    fn a_file_of_several_plugins_asks_for_a_name() {
        let tables = "[plugin.one]\nfile = \"f.wasm\"\n[plugin.two]\nfile = \"f.wasm\"\n";
        assert!(found(tables, "f.wasm").unwrap_err().ends_with("one of: one, two"));
        assert!(named(&config(tables), "tvo").unwrap_err().to_string().ends_with("did you mean `two`?"));
    }
}
