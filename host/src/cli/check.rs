//! `gristmill check`: what `run` would do, or every reason why it would not.

use super::talk;
use crate::{
    config::{self, Config, Loaded},
    node,
    plugin::{Plugins, Prepared},
    source::{Connector, embedded},
};
use std::{fmt::Write, path::Path};

/// Checks the file at `path`, the plugins it names, and Redis.
pub(super) fn run(path: &Path) -> anyhow::Result<()> {
    let loaded = talk::load(path)?;
    let said = talk::runtime()?.block_on(check(&loaded))?;
    talk::print(said.as_bytes())
}

async fn check(loaded: &Loaded) -> anyhow::Result<String> {
    let config = &loaded.config;
    let plugins = Plugins::new(&config.data_dir.join("cache"))?;
    let prepared = plugins.prepare(node::wanted(config)).await;
    let prepared = prepared.map_err(|refused| node::Error::Config(node::explain(loaded, &refused)))?;
    let redis = match &config.redis {
        config::Redis::Embedded { .. } => format!("embedded ({})", embedded::program()?),
        config::Redis::Url(url) => {
            let connector = Connector::new(url)?;
            connector.check().await?;
            connector.url().to_owned()
        }
    };
    Ok(describe(config, &prepared, &redis))
}

fn describe(config: &Config, prepared: &Prepared, redis: &str) -> String {
    let mut said = format!("redis     {redis}\n");
    for (name, pipeline) in &config.pipelines {
        let way = [&pipeline.filters[..], &pipeline.publish[..]].concat().join(" → ");
        let way = if way.is_empty() { "nothing".to_owned() } else { way };
        let promise = if pipeline.from.redelivers() { "at least once" } else { "at most once" };
        // Writing to a string cannot fail.
        let _ok = writeln!(said, "pipeline  {name}: {} → {way} ({promise})", pipeline.from).is_ok();
    }
    for version in prepared.versions() {
        let _ok = writeln!(said, "plugin    {}: {} {}", version.name(), version.kind(), version.digest()).is_ok();
    }
    for refusal in prepared.refused() {
        let _ok = writeln!(said, "unused    {refusal}").is_ok();
    }
    said
}
