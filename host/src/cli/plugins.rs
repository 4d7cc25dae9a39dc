//! `gristmill plugins`: what is in force, and how it came to that.

use super::{ask::Which, figures::age, payload::plain, talk};
use crate::admin::{Absent, PluginStatus, StepStatus};
use serde::Deserialize;
use std::{fmt::Write, time::SystemTime};

/// What `plugins` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    node: Which,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
struct Told {
    plugins: Vec<PluginStatus>,
    without_version: Vec<Absent>,
}

/// Prints the plugins of the node that is meant.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let client = options.node.client()?;
    let answer = talk::runtime()?.block_on(client.get("/api/plugins"))?;
    if options.json {
        return talk::print(&[&answer[..], b"\n"].concat());
    }
    talk::print(describe(&client.parse(&answer)?, SystemTime::now()).as_bytes())
}

fn describe(told: &Told, now: SystemTime) -> String {
    let mut said = String::new();
    for plugin in &told.plugins {
        let PluginStatus { name, kind, digest, since, history, .. } = plugin;
        let _ok = writeln!(said, "{name}: {kind} {digest}, in force for {}", age(*since, now)).is_ok();
        said += &steps(history, now);
    }
    for Absent { name, history } in &told.without_version {
        let _ok = writeln!(said, "{name}: no version in force").is_ok();
        said += &steps(history, now);
    }
    said
}

fn steps(history: &[StepStatus], now: SystemTime) -> String {
    let step = |step: &StepStatus| {
        let digest = step.digest.as_deref().unwrap_or("-");
        let more = step.reason.as_ref().map(|reason| format!(": {}", plain(reason)));
        let more = more.or_else(|| step.replaced.as_ref().map(|old| format!(" {old}"))).unwrap_or_default();
        format!("  {} ago  {digest}  {}{more}\n", age(step.at, now), step.turn)
    };
    history.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn each_step_stands_on_a_line_of_its_own() {
        let step = |at, turn: &str, replaced: Option<&str>, reason: Option<&str>| StepStatus {
            at,
            turn: turn.to_owned(),
            digest: Some("0123456789ab".to_owned()),
            replaced: replaced.map(ToOwned::to_owned),
            reason: reason.map(ToOwned::to_owned),
        };
        let history = vec![
            step(100, "loaded", None, None),
            step(130, "replaced", Some("ba9876543210"), None),
            step(150, "refused", None, Some("two\nlines")),
        ];
        let told = Told { plugins: Vec::new(), without_version: vec![Absent { name: "a".to_owned(), history }] };
        assert_eq!(
            describe(&told, UNIX_EPOCH + Duration::from_secs(160)),
            "a: no version in force\n  1 min 0 s ago  0123456789ab  loaded\n  30 s ago  0123456789ab  replaced \
             ba9876543210\n  10 s ago  0123456789ab  refused: two\\nlines\n"
        );
    }
}
