//! Which dead letters are meant.

use crate::{
    cli::{ConfigFile, talk},
    config::{self, Config},
    node,
    source::dead::{self, DeadLetters, Filter, Letter, Place, Walk},
};
use anyhow::{Context, bail};
use clap::Args;
use std::{collections::VecDeque, time::Duration};

#[derive(Debug, Args)]
pub(in crate::cli) struct Of {
    #[command(flatten)]
    file: ConfigFile,
    /// Only what this pipeline gave up
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Only what came from this queue
    #[arg(long, value_name = "QUEUE")]
    source: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Filters {
    /// Only where the last attempt failed in this plugin
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// Only where this is part of the reason of the last failure
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only the message with this id
    #[arg(long, value_name = "MESSAGE-ID")]
    id: Option<String>,
    /// Only what was given up longer ago, such as `2h`
    #[arg(long, value_name = "DURATION", value_parser = talk::duration)]
    older: Option<Duration>,
    /// Only what was given up since, such as `10m`
    #[arg(long, value_name = "DURATION", value_parser = talk::duration)]
    newer: Option<Duration>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Chosen {
    /// As `list` shows them
    #[arg(
        value_name = "ENTRY",
        required_unless_present = "all",
        conflicts_with_all = ["all", "all_pipelines", "plugin", "reason", "id", "older", "newer", "limit"]
    )]
    entries: Vec<String>,
    /// All that there are now and that pass the filters, oldest first
    #[arg(long)]
    pub(super) all: bool,
    /// Of every pipeline, where there are several
    #[arg(long, requires = "all", conflicts_with = "pipeline")]
    all_pipelines: bool,
    #[command(flatten)]
    filters: Filters,
    /// How many at most
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
}

/// The dead letters that are spoken of.
pub(super) struct Open {
    pub(super) letters: DeadLetters,
    config: Config,
    /// What `Of` says.
    filter: Filter,
}

impl Of {
    pub(super) async fn open(&self) -> anyhow::Result<Open> {
        let config = talk::load(&self.file.path)?.config;
        let places = match &self.pipeline {
            Some(name) => vec![place(&config, name)?],
            None => places(&config)?,
        };
        let connector = node::connector(&config)?;
        let letters = DeadLetters::open(&connector, places).await.map_err(|error| self.explained(&config, error))?;
        let (pipeline, source) = (self.pipeline.clone(), self.source.clone());
        Ok(Open { letters, config, filter: Filter { pipeline, source, ..Filter::default() } })
    }

    /// `error`, with what to do where the server is one that lives with its node.
    fn explained(&self, config: &Config, error: dead::Error) -> anyhow::Error {
        let embedded = matches!(config.redis, config::Redis::Embedded { .. });
        match error {
            dead::Error::Redis(_) if embedded => anyhow::Error::from(error).context(format!(
                "the embedded Redis runs only while its node does; start it with `gristmill run --config {}`",
                self.file.path.display()
            )),
            error => error.into(),
        }
    }
}

impl Open {
    /// The place of a pipeline in the configuration.
    pub(super) fn place(&self, name: &str) -> anyhow::Result<Place> {
        place(&self.config, name)
    }

    /// The one letter at `entry`.
    pub(super) async fn one(&mut self, entry: &str) -> anyhow::Result<Letter> {
        let mut found = self.letters.find(entry, &self.filter).await?;
        if found.len() > 1 {
            let told: Vec<_> = found
                .iter()
                .map(|letter| format!("pipeline `{}`, source `{}`", letter.pipeline, letter.source))
                .collect();
            bail!(
                "there are several dead letters `{entry}`; say which with `--pipeline` and `--source`: {}",
                told.join("; ")
            );
        }
        found
            .pop()
            .with_context(|| format!("there is no dead letter `{entry}`; `gristmill dead list` shows what there is"))
    }

    /// Those that pass the filters.
    pub(super) async fn walk(&self, filters: &Filters) -> anyhow::Result<Walk> {
        Ok(self.letters.walk(filters.filter(&self.filter)).await?)
    }

    /// Those that are chosen; an error, before anything is done, where one of the entries is not there.
    pub(super) async fn chosen(&mut self, chosen: &Chosen) -> anyhow::Result<Choice> {
        if chosen.all {
            let several = self.config.pipelines.len() > 1 && self.filter.pipeline.is_none();
            if several && !chosen.all_pipelines {
                bail!("say which pipeline with `--pipeline`, or `--all-pipelines`: {}", names(&self.config));
            }
            let walk = self.walk(&chosen.filters).await?;
            return Ok(Choice::Walk(Box::new(walk), chosen.limit.unwrap_or(u64::MAX)));
        }
        let mut letters = VecDeque::new();
        for entry in &chosen.entries {
            letters.push_back(self.one(entry).await?);
        }
        Ok(Choice::Named(letters))
    }
}

/// Letters that something is to be done with.
pub(super) enum Choice {
    Named(VecDeque<Letter>),
    /// With how many at most.
    Walk(Box<Walk>, u64),
}

impl Choice {
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Letter>> {
        match self {
            Self::Named(letters) => Ok(letters.pop_front()),
            Self::Walk(_, 0) => Ok(None),
            Self::Walk(walk, left) => {
                *left -= 1;
                Ok(walk.next().await?)
            }
        }
    }

    /// How many entries were named.
    pub(super) fn named(&self) -> usize {
        match self {
            Self::Named(letters) => letters.len(),
            Self::Walk(..) => 0,
        }
    }
}

impl Filters {
    /// What these and `of` let through.
    fn filter(&self, of: &Filter) -> Filter {
        // As the names of plugins are written in the configuration.
        let plugin = self.plugin.as_ref().map(|name| name.replace('_', "-"));
        let (reason, id) = (self.reason.clone(), self.id.clone());
        Filter { plugin, reason, id, older: self.older, newer: self.newer, ..of.clone() }
    }
}

/// Every pipeline that has dead letters.
fn places(config: &Config) -> anyhow::Result<Vec<Place>> {
    let places = config.pipelines.iter().filter(|(_, pipeline)| pipeline.from.redelivers());
    let places: Vec<_> = places.map(|(name, pipeline)| Place::of(name, pipeline)).collect::<Result<_, _>>()?;
    match config.pipelines.iter().next() {
        None => bail!("there is no pipeline"),
        // Says why.
        Some((name, pipeline)) if places.is_empty() => Ok(vec![Place::of(name, pipeline)?]),
        Some(_) => Ok(places),
    }
}

fn place(config: &Config, name: &str) -> anyhow::Result<Place> {
    let unknown = || format!("there is no pipeline `{name}`; there are: {}", names(config));
    let pipeline = config.pipelines.get(name).with_context(unknown)?;
    Ok(Place::of(name, pipeline)?)
}

fn names(config: &Config) -> String {
    config.pipelines.keys().cloned().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_looks_into_an_embedded_redis_without_a_node_is_told_to_start_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("gristmill.toml");
        let config = "redis = \"embedded\"\n[pipeline.p]\nfrom = { list = \"q\" }\npublish = [\"out\"]\n";
        std::fs::write(&path, config).unwrap();
        let of = Of { file: ConfigFile { path: path.clone() }, pipeline: None, source: None };
        let Err(error) = of.open().await else { panic!("there is no server") };
        let expected = format!("start it with `gristmill run --config {}`", path.display());
        assert!(error.to_string().ends_with(&expected), "{error}");
        assert!(matches!(error.downcast_ref(), Some(dead::Error::Redis(_))), "the exit code rests on it: {error:#}");
    }
}
