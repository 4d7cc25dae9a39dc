//! `gristmill inspect`: what a plugin is, what it was made with, what it asks for, and what it costs to start.

use super::{figures, payload::plain, talk, trial::settings::Settings};
use crate::{
    config,
    message::Message,
    plugin::{Anatomy, Cause, Need, Needs, Plugins, Tool, Version},
};
use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What a plugin may take where nobody says what it may: inspecting shows what it does take.
const GENEROUS: (Duration, u32) = (Duration::from_secs(10), 4_096);

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The plugin
    #[arg(value_name = "PLUGIN.wasm")]
    file: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What there is to tell.
struct Findings<'a> {
    file: &'a Path,
    anatomy: Anatomy,
    needs: Needs,
    /// How it came up, or why it does not with these settings.
    start: Result<Start, Cause>,
}

struct Start {
    version: Arc<Version>,
    /// Of compiling it.
    compiled: Duration,
    /// Of one fresh instance, its `init` included.
    started: Duration,
    /// Bytes of that instance.
    memory: usize,
}

/// Looks at the file, and starts the plugin once.
pub(super) fn run(asked: &Inspect) -> anyhow::Result<()> {
    talk::runtime()?.block_on(async {
        let findings = find(asked).await?;
        let said = if asked.json { format!("{}\n", object(&findings)) } else { story(&findings) };
        talk::print(said.as_bytes())
    })
}

async fn find(asked: &Inspect) -> anyhow::Result<Findings<'_>> {
    let file = asked.file.as_path();
    let mut setting = asked.settings.of(file)?;
    if asked.settings.config().is_none() {
        (setting.plugin.timeout, setting.plugin.memory_mib) = GENEROUS;
    }
    // A cache of its own, so that it is compiled here and now.
    let cache = tempfile::tempdir().context("cannot make a temporary directory")?;
    let (plugins, _heard) = Plugins::overheard(cache.path(), &setting.compile)?;
    let start = match plugins.load(&setting.name, file, &setting.plugin).await {
        Ok(version) => Ok(start(version).await?),
        Err(refusal) if starts_elsewhere(&refusal.cause) => Err(refusal.cause),
        Err(refusal) => return Err(refusal.into()),
    };
    let bytes = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(Findings { file, anatomy: Anatomy::of(&bytes), needs: Needs::of(&bytes), start })
}

/// Whether it is a plugin all the same, which other settings would bring up.
fn starts_elsewhere(cause: &Cause) -> bool {
    matches!(cause, Cause::Config(_) | Cause::Start(_) | Cause::Ungranted(_))
}

async fn start(version: Arc<Version>) -> anyhow::Result<Start> {
    let mut lent = version.lend().await.map_err(|fault| anyhow::anyhow!("{}", fault.reason().to_owned()))?;
    let started = lent.prepare(&nothing()).await.ok().flatten().unwrap_or_default();
    let memory = lent.memory().unwrap_or_default();
    Ok(Start { compiled: version.took().saturating_sub(started), started, memory, version })
}

/// A message that is never handed over.
fn nothing() -> Message {
    Message {
        id: "".into(),
        source: "".into(),
        topic: "".into(),
        attempt: 1,
        received_ms: 0,
        headers: Vec::new(),
        payload: bytes::Bytes::new(),
    }
}

impl Findings<'_> {
    /// What it does with messages, and in which version of the API, as far as its exports say so.
    fn kind(&self) -> (&'static str, &str) {
        let exported = |interface: &str| {
            let exports = self.anatomy.exports.iter();
            exports.filter_map(|name| name.strip_prefix(interface)?.strip_prefix('@')).next()
        };
        if let Some(version) = exported("gristmill:plugin/filtering") {
            return ("filter", version);
        }
        if let Some(version) = exported("gristmill:plugin/batching") {
            return ("publisher of batches", version);
        }
        exported("gristmill:plugin/publishing").map_or(("plugin", "unknown"), |version| ("publisher", version))
    }
}

fn story(findings: &Findings<'_>) -> String {
    let Findings { file, anatomy, needs, start } = findings;
    let (kind, api) = findings.kind();
    let mut lines = vec![
        format!("plugin    {}: {kind}, speaks version {api} of the plugin API", file.display()),
        format!("file      {}, sha256 {}", figures::size(anatomy.bytes), anatomy.sha256),
    ];
    lines.extend(listed("made with", anatomy.tools.iter().map(tool)));
    lines.extend(listed("exports", anatomy.exports.iter().cloned()));
    lines.extend(listed("imports", anatomy.imports.iter().cloned()));
    lines.push(format!("needs     {needs}"));
    lines.extend(listed("grant", needs.iter().filter_map(Need::grant)));
    match start {
        Err(cause) => lines.push(format!("starts    not with these settings: {cause}")),
        Ok(start) => {
            lines.push(format!("compiles  in {}", figures::time(start.compiled)));
            let (started, memory) = (figures::time(start.started), figures::size(start.memory));
            lines.push(format!("starts    in {started}, with {memory} of memory"));
            lines.extend(advice(start).map(|advice| format!("advice    {advice}")));
        }
    }
    lines.iter().map(|line| plain(line) + "\n").collect()
}

/// What the defaults would be too little for.
fn advice(start: &Start) -> Option<String> {
    let default = u64::from(config::Plugin::default().memory_mib);
    let used = (start.memory as u64).div_ceil(1 << 20);
    (used * 2 > default)
        .then(|| format!("memory_mib = {} leaves it room; the default is {default}", (used * 2).next_power_of_two()))
}

/// The first on the line of `title`, the others below it.
fn listed(title: &str, items: impl Iterator<Item = String>) -> Vec<String> {
    let titles = std::iter::once(title).chain(std::iter::repeat(""));
    titles.zip(items).map(|(title, item)| format!("{title:<10}{item}")).collect()
}

fn tool(tool: &Tool) -> String {
    let Tool { role, name, version } = tool;
    let version = if version.is_empty() { String::new() } else { format!(" {version}") };
    format!("{name}{version} ({role})")
}

fn object(findings: &Findings<'_>) -> Value {
    let Findings { anatomy, needs, start, .. } = findings;
    let (kind, api) = findings.kind();
    let tools: Vec<Value> = anatomy
        .tools
        .iter()
        .map(|tool| json!({ "role": tool.role, "name": tool.name, "version": tool.version }))
        .collect();
    let start = match start {
        Err(cause) => json!({ "refused": cause.to_string() }),
        Ok(start) => json!({
            "name": start.version.name(),
            "compile_ms": millis(start.compiled),
            "start_us": millis(start.started) * 1e3,
            "memory_bytes": start.memory,
        }),
    };
    json!({
        "kind": kind,
        "api": api,
        "bytes": anatomy.bytes,
        "sha256": anatomy.sha256,
        "made_with": tools,
        "exports": anatomy.exports,
        "imports": anatomy.imports,
        "declares_needs": needs.declares(),
        "needs": needs.iter().map(Need::to_string).collect::<Vec<_>>(),
        "grants": needs.iter().filter_map(Need::grant).collect::<Vec<_>>(),
        "may_try": needs.may_try().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "start": start,
    })
}

fn millis(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}
