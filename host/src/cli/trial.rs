//! `gristmill try`: messages from standard input through one plugin, with neither Redis nor network.

mod batch;
mod bench;
mod build;
mod diff;
mod input;
mod json;
mod replies;
#[cfg(test)]
mod sample;
pub(super) mod settings;
mod sources;
mod summary;
mod text;
mod watch;

use super::talk::{self, Paint};
use crate::{
    config,
    plugin::{Cause, Refusal},
};
use anyhow::ensure;
use batch::Batches;
use bench::{Bench, Tried, Verdict, Workshop};
use build::Build;
use clap::Args;
use input::{Form, Messages};
use replies::Canned;
use settings::{Setting, Settings};
use std::{
    io::{self, BufReader, IsTerminal},
    path::{Path, PathBuf},
};
use summary::Summary;

#[derive(Debug, Args)]
#[command(after_help = "Each line of standard input is the payload of one message, byte for byte.\n\
    Exit codes: 0 done, 1 the plugin broke or a verdict of `--fail-on` came up, 2 bad arguments, 78 bad configuration")]
pub(super) struct Try {
    /// The plugin, or the directory of a Rust project that makes one, which is built first
    #[arg(value_name = "PLUGIN.wasm")]
    file: PathBuf,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    canned: Canned,
    /// Gives a publisher that takes many messages at once up to so many [default: what the configuration says, or one]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: Option<u64>,
    /// One JSON object on a line for each message
    #[arg(long)]
    json: bool,
    /// Ends with code 1 when a message gets this verdict; may be given several times
    #[arg(long, value_name = "VERDICT")]
    fail_on: Vec<Verdict>,
    /// Runs this shell command first, and with `--watch` again whenever a file below this directory changes
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    /// Tries the same messages again whenever the plugin changes, and shows what is different, until Ctrl-C
    #[arg(long, conflicts_with_all = ["json", "fail_on"])]
    watch: bool,
}

/// Some messages did not get the verdict that they should.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);

/// Tries every message.
pub(super) fn run(asked: &Try) -> anyhow::Result<()> {
    talk::runtime()?.block_on(async {
        let build = Build::of(&asked.file, asked.build.as_deref());
        if asked.watch { watch::watch(asked, &build).await } else { once(asked, &build).await }
    })
}

async fn once(asked: &Try, build: &Build) -> anyhow::Result<()> {
    let file = build.run().await?;
    let setting = setting(asked, &file)?;
    let bench = load(asked, &Workshop::open(&setting)?, &file, &setting).await?;
    introduce(&bench);
    let terms = batch(asked, &bench)?;
    let mut summary = Summary::default();
    for batch in Batches::of(messages(asked), terms) {
        for tried in bench.take(batch?, &asked.canned).await {
            summary.add(&tried);
            talk::print(shown(asked, &tried).as_bytes())?;
        }
    }
    talk::say(&summary.to_string());
    judge(asked, &summary)
}

/// What the plugin is told and allowed; it gets single messages unless somebody says otherwise.
fn setting(asked: &Try, file: &Path) -> anyhow::Result<Setting> {
    let mut setting = asked.settings.of(file)?;
    let size = asked.batch.and_then(|size| usize::try_from(size).ok());
    if let Some(size) = size.or(asked.settings.config().is_none().then_some(1)) {
        setting.plugin.batch.size = size;
    }
    Ok(setting)
}

/// The plugin in `file`; one that refuses its config is told of with where that comes from.
async fn load(asked: &Try, workshop: &Workshop, file: &Path, setting: &Setting) -> anyhow::Result<Bench> {
    let loaded = workshop.load(file, setting).await;
    loaded.map_err(|error| match error.downcast_ref() {
        Some(Refusal { cause: Cause::Config(_), .. }) => error.context(asked.settings.origin(&setting.name)),
        _ => error,
    })
}

/// How many messages the plugin gets at once, if more than one.
fn batch(asked: &Try, bench: &Bench) -> anyhow::Result<Option<config::Batch>> {
    let terms = bench.batch();
    ensure!(
        terms.is_some() || asked.batch.is_none_or(|size| size == 1),
        "`--batch` is for a publisher that takes batches and keeps its instance (`isolation = \"reuse\"`), and this is a {}",
        bench.title()
    );
    Ok(terms)
}

fn introduce(bench: &Bench) {
    talk::say(&bench.introduction());
    for line in text::log(&bench.first_words(), Paint::on_stderr()) {
        talk::say(&line);
    }
}

fn messages(asked: &Try) -> Messages<'_, BufReader<io::Stdin>> {
    if io::stdin().is_terminal() {
        let one = if asked.form.whole { "one message" } else { "one message a line" };
        talk::say(&format!("reading {one} from the terminal, until Ctrl-D"));
    }
    asked.form.messages(BufReader::new(io::stdin()))
}

fn shown(asked: &Try, tried: &Tried) -> String {
    if asked.json {
        return format!("{}\n", json::object(tried));
    }
    text::story(tried, Paint::on_stdout())
}

fn judge(asked: &Try, summary: &Summary) -> anyhow::Result<()> {
    let unwanted = asked.fail_on.iter().copied().chain([Verdict::Broken]);
    match unwanted.map(|verdict| (verdict, summary.count(verdict))).find(|(_, count)| *count > 0) {
        None if summary.broken_batches() > 0 => {
            let count = summary.broken_batches();
            Err(Failed(format!("the plugin broke over {count} batches, and over none of their messages alone")).into())
        }
        None => Ok(()),
        Some((Verdict::Broken, count)) => {
            Err(Failed(format!("the plugin broke over {count} of {} messages", summary.messages())).into())
        }
        Some((verdict, count)) => {
            Err(Failed(format!("{count} of {} messages ended with `{verdict}`", summary.messages())).into())
        }
    }
}
