//! `gristmill inspect`: what a plugin is, what it was made with, what it asks for, and what it costs to start.

use super::{figures, near, payload::plain, talk, trial::settings::Settings};
use crate::{
    config::{self, Mode},
    plugin::{Anatomy, Cause, Nature, Need, Needs, Plugins, Started, Tool, Version, Wasi},
};
use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
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
    mode: Mode,
    anatomy: Anatomy,
    needs: Needs,
    /// How it came up, or why it does not with these settings.
    start: Result<Start, Cause>,
}

struct Start {
    name: String,
    /// Of compiling it.
    compiled: Duration,
    /// Of its first instance.
    first: Started,
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
    near::exists(file)?;
    let mut setting = asked.settings.of(file)?;
    if asked.settings.config().is_none() {
        (setting.plugin.timeout, setting.plugin.memory_mib) = GENEROUS;
    }
    // A cache of its own, so that it is compiled here and now.
    let cache = tempfile::tempdir().context("cannot make a temporary directory")?;
    let (plugins, _heard) = Plugins::overheard(cache.path(), &setting.compile)?;
    let start = match plugins.load(&setting.name, file, &setting.plugin).await {
        Ok(version) => Ok(Start::from(&*version)),
        Err(refusal) if starts_elsewhere(&refusal.cause) => Err(refusal.cause),
        Err(refusal) => return Err(refusal.into()),
    };
    let bytes = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(Findings { file, mode: setting.plugin.mode, anatomy: Anatomy::of(&bytes), needs: Needs::of(&bytes), start })
}

/// Whether it is a plugin all the same, which other settings would bring up.
fn starts_elsewhere(cause: &Cause) -> bool {
    matches!(cause, Cause::Config(_) | Cause::Start(_) | Cause::Ungranted(_))
}

impl From<&Version> for Start {
    fn from(version: &Version) -> Self {
        let first = version.started();
        Self { name: version.name().to_owned(), compiled: version.took().saturating_sub(first.took), first }
    }
}

impl Findings<'_> {
    /// What it is, and what it speaks.
    fn title(&self) -> String {
        match self.anatomy.nature() {
            Some(Nature::Plugin { kind, api }) => format!("{kind}, speaks version {api} of the plugin API"),
            Some(Nature::Program(wasi)) => format!("filter, a plain WASI program: {}", form(wasi)),
            // Nothing of this kind comes up.
            None => "no plugin".to_owned(),
        }
    }

    /// How it meets messages, where the API does not say so.
    fn runs(&self) -> Option<&'static str> {
        matches!(self.anatomy.nature(), Some(Nature::Program(_))).then_some(match self.mode {
            Mode::Auto => "afresh for each message: the payload on stdin, the new one on stdout (`mode = \"auto\"`)",
            Mode::Cgi => {
                "afresh for each message: the payload on stdin, headers, an empty line and the new payload on stdout (`mode = \"cgi\"`)"
            }
            Mode::Lines => {
                "all the time: a line of JSON on stdin for each message, a line of JSON on stdout as its answer (`mode = \"lines\"`)"
            }
        })
    }
}

fn form(wasi: Wasi) -> &'static str {
    match wasi {
        Wasi::P1 => "a core module for WASI 0.1 (`wasip1`)",
        Wasi::P2 => "a command for WASI 0.2 (`wasip2`)",
    }
}

fn story(findings: &Findings<'_>) -> String {
    let Findings { file, anatomy, needs, start, .. } = findings;
    let mut lines = vec![
        format!("plugin    {}: {}", file.display(), findings.title()),
        format!("file      {}, sha256 {}", figures::size(anatomy.bytes), anatomy.sha256),
    ];
    lines.extend(findings.runs().map(|runs| format!("runs      {runs}")));
    lines.extend(listed("made with", anatomy.tools.iter().map(tool)));
    lines.extend(listed("exports", anatomy.exports.iter().cloned()));
    lines.extend(listed("imports", anatomy.imports.iter().cloned()));
    lines.push(format!("needs     {needs}"));
    lines.extend(listed("grant", needs.iter().filter_map(Need::grant)));
    match start {
        Err(cause) => lines.push(format!("starts    not with these settings: {cause}")),
        Ok(start) => {
            lines.push(format!("compiles  in {}", figures::time(start.compiled)));
            let (started, memory) = (figures::time(start.first.took), figures::size(start.first.memory));
            lines.push(format!("starts    in {started}, with {memory} of memory"));
            lines.extend(advice(start.first.memory).map(|advice| format!("advice    {advice}")));
        }
    }
    lines.iter().map(|line| plain(line) + "\n").collect()
}

/// What the defaults would be too little for.
fn advice(memory: usize) -> Option<String> {
    let default = u64::from(config::Plugin::default().memory_mib);
    let used = (memory as u64).div_ceil(1 << 20);
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
    let (kind, api, program) = match findings.anatomy.nature() {
        Some(Nature::Plugin { kind, api }) => (kind, Some(api), None),
        Some(Nature::Program(wasi)) => ("filter", None, Some(if wasi == Wasi::P1 { "wasip1" } else { "wasip2" })),
        None => ("none", None, None),
    };
    let tools: Vec<Value> = anatomy
        .tools
        .iter()
        .map(|tool| json!({ "role": tool.role, "name": tool.name, "version": tool.version }))
        .collect();
    let start = match start {
        Err(cause) => json!({ "refused": cause.to_string() }),
        Ok(start) => json!({
            "name": start.name,
            "compile_ms": millis(start.compiled),
            "start_us": millis(start.first.took) * 1e3,
            "memory_bytes": start.first.memory,
        }),
    };
    json!({
        "kind": kind,
        "api": api,
        "program": program,
        "runs": findings.runs(),
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
