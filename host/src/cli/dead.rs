//! `gristmill dead`: messages that could not be delivered.

use super::{ConfigFile, talk};
use crate::{
    config::{self, Config},
    node,
    source::{
        Connector,
        dead::{DeadLetters, Letter},
    },
};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use std::fmt::Write;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// One line for each
    List {
        #[command(flatten)]
        of: Of,
        /// One JSON object on each line, with all attempts
        #[arg(long)]
        json: bool,
        /// How many at most, oldest first
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// The story of one, and its payload
    Show {
        #[command(flatten)]
        of: Of,
        /// As `list` shows it
        entry: String,
        /// One JSON object, with the payload as text
        #[arg(long)]
        json: bool,
        /// Nothing but the payload, byte for byte
        #[arg(long, conflicts_with = "json")]
        payload: bool,
    },
    /// Try them again, from the first attempt and under their own ids
    Replay(Which),
    /// Forget them for good
    Drop(Which),
}

#[derive(Debug, Args)]
pub(super) struct Of {
    #[command(flatten)]
    file: ConfigFile,
    /// Which pipeline; not needed where there is only one
    #[arg(long)]
    pipeline: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Chosen {
    /// As `list` shows them
    entries: Vec<String>,
    /// All of them
    #[arg(long, conflicts_with = "entries")]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct Which {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    chosen: Chosen,
}

/// Does what `verb` says.
pub(super) fn run(verb: Verb) -> anyhow::Result<()> {
    talk::runtime()?.block_on(async {
        match verb {
            Verb::List { of, json, limit } => list(&mut of.open().await?, json, limit).await,
            Verb::Show { of, entry, json, payload } => show(&mut of.open().await?, &entry, json, payload).await,
            Verb::Replay(which) => {
                let mut letters = which.of.open().await?;
                let mut count = 0;
                for letter in which.chosen.find(&mut letters).await? {
                    count += u64::from(letters.replay(&letter).await?);
                }
                talk::print(format!("replayed {count}\n").as_bytes())
            }
            Verb::Drop(which) => {
                let mut letters = which.of.open().await?;
                let mut count = 0;
                for letter in which.chosen.find(&mut letters).await? {
                    count += u64::from(letters.drop(&letter).await?);
                }
                talk::print(format!("dropped {count}\n").as_bytes())
            }
        }
    })
}

impl Of {
    async fn open(&self) -> anyhow::Result<DeadLetters> {
        let config = talk::load(&self.file.path)?.config;
        let pipeline = self.choose(&config)?;
        let connector = Connector::new(&node::redis_url(&config))?;
        Ok(DeadLetters::open(&connector, &pipeline.from, pipeline.dead_letters.as_deref()).await?)
    }

    fn choose<'a>(&self, config: &'a Config) -> anyhow::Result<&'a config::Pipeline> {
        let known = || config.pipelines.keys().cloned().collect::<Vec<_>>().join(", ");
        match &self.pipeline {
            Some(name) => config
                .pipelines
                .get(name)
                .with_context(|| format!("there is no pipeline `{name}`; there are: {}", known())),
            None if config.pipelines.len() == 1 => config.pipelines.values().next().context("there is no pipeline"),
            None => bail!("say which pipeline with `--pipeline`: {}", known()),
        }
    }
}

impl Chosen {
    async fn find(&self, letters: &mut DeadLetters) -> anyhow::Result<Vec<Letter>> {
        if self.all {
            return Ok(letters.all().await?);
        }
        let mut found = Vec::new();
        for entry in &self.entries {
            found.push(one(letters, entry).await?);
        }
        Ok(found)
    }
}

async fn one(letters: &mut DeadLetters, entry: &str) -> anyhow::Result<Letter> {
    letters
        .get(entry)
        .await?
        .with_context(|| format!("there is no dead letter `{entry}`; `gristmill dead list` shows what there is"))
}

async fn list(letters: &mut DeadLetters, json: bool, limit: usize) -> anyhow::Result<()> {
    let mut said = Vec::new();
    for letter in letters.list(None, limit).await? {
        if json {
            serde_json::to_writer(&mut said, &letter)?;
            said.push(b'\n');
        } else {
            said.extend(line(&letter).into_bytes());
        }
    }
    let (shown, all) = (limit as u64, letters.count().await?);
    if all > shown {
        talk::say(&format!("{shown} of {all}; `--limit` shows more"));
    }
    talk::print(&said)
}

/// Control characters of a reason stay out of the terminal.
fn line(letter: &Letter) -> String {
    let plugin = letter.troubles.last().and_then(|trouble| trouble.plugin.as_deref()).unwrap_or("-");
    let reason = letter.reason().escape_debug();
    format!("{}  {}  attempts {}  {plugin}  {reason}\n", letter.entry, letter.id, letter.attempts)
}

async fn show(letters: &mut DeadLetters, entry: &str, json: bool, payload: bool) -> anyhow::Result<()> {
    let letter = one(letters, entry).await?;
    if payload {
        return talk::print(&letter.payload);
    }
    if json {
        let mut object = serde_json::to_value(&letter)?;
        let text = String::from_utf8_lossy(&letter.payload).into_owned();
        if let Some(object) = object.as_object_mut() {
            object.insert("payload".to_owned(), text.into());
        }
        return talk::print(format!("{object}\n").as_bytes());
    }
    talk::print(story(&letter).as_bytes())
}

fn story(letter: &Letter) -> String {
    let Letter { entry, id, pipeline, source, attempts, .. } = letter;
    let mut said =
        format!("entry     {entry}\nid        {id}\npipeline  {pipeline}\nsource    {source}\nattempts  {attempts}\n");
    for trouble in &letter.troubles {
        let plugin = trouble.plugin.as_deref().unwrap_or("host");
        let digest = trouble.digest.as_deref().unwrap_or("-");
        // Writing to a string cannot fail.
        let _ok =
            writeln!(said, "attempt {} {plugin} {digest} {}", trouble.attempt, trouble.reason.escape_debug()).is_ok();
    }
    let _ok = writeln!(said, "\n{}", String::from_utf8_lossy(&letter.payload)).is_ok();
    said
}
