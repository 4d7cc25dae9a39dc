//! How the verbs speak to people: results on stdout, everything else on stderr.

use crate::{
    config::{self, Faults, Loaded},
    connection, node,
    plugin::{Cause, Refusal},
    source::dead,
};
use anyhow::Context;
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

const UNAVAILABLE: u8 = 69;
const BAD_CONFIG: u8 = 78;

/// Says why a verb failed, and with which exit code the process is to end.
pub(super) fn fail(error: &anyhow::Error) -> ExitCode {
    if let Some(Broken) = error.downcast_ref() {
        return ExitCode::SUCCESS;
    }
    tell(error);
    ExitCode::from(code(error))
}

/// Says what went wrong.
pub(super) fn tell(error: &anyhow::Error) {
    match faults(error) {
        Some(faults) => say(faults.render(io::stderr().is_terminal()).trim_end()),
        None => say(&format!("gristmill: {}", chain(error))),
    }
}

fn code(error: &anyhow::Error) -> u8 {
    let node = error.downcast_ref::<node::Error>();
    let refused_config = |refusal: &Refusal| matches!(refusal.cause, Cause::Config(_));
    if faults(error).is_some() || error.downcast_ref().is_some_and(refused_config) {
        BAD_CONFIG
    } else if error.is::<connection::Error>()
        || matches!(error.downcast_ref(), Some(dead::Error::Redis(_)))
        || matches!(node, Some(node::Error::Redis(_) | node::Error::Embedded(_)))
    {
        UNAVAILABLE
    } else {
        1
    }
}

fn faults(error: &anyhow::Error) -> Option<&Faults> {
    match error.downcast_ref::<node::Error>() {
        Some(node::Error::Config(faults)) => Some(faults),
        _ => error.downcast_ref(),
    }
}

/// The error and its causes on one line.
fn chain(error: &anyhow::Error) -> String {
    let mut causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    // An error that shows its cause as its own text has said it.
    causes.dedup();
    causes.join(": ")
}

/// A line on stderr. There is nobody to tell if that is closed.
pub(super) fn say(line: &str) {
    let _closed = writeln!(io::stderr(), "{line}").is_err();
}

/// How a stream shows what matters: in colours on a terminal, unless `NO_COLOR` is set, and without elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(bool);

/// What a colour stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tone {
    Added,
    Removed,
    Changed,
    Bad,
    Quiet,
    Title,
}

impl Paint {
    /// None at all.
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self(false);

    pub(super) fn on_stdout() -> Self {
        Self::on(io::stdout().is_terminal())
    }

    pub(super) fn on_stderr() -> Self {
        Self::on(io::stderr().is_terminal())
    }

    fn on(terminal: bool) -> Self {
        Self(terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    /// `text` in the colour of `tone`.
    pub(super) fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Added => "32",
            Tone::Removed => "31",
            Tone::Changed => "33",
            Tone::Bad => "1;31",
            Tone::Quiet => "2",
            Tone::Title => "1",
        };
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The reader of stdout has had enough, as `head` has.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads stdout any more")]
struct Broken;

/// A result on stdout.
pub(super) fn print(result: &[u8]) -> anyhow::Result<()> {
    match io::stdout().write_all(result).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Broken.into()),
        written => Ok(written?),
    }
}

/// The configuration at `path`; its warnings are told.
pub(super) fn load(path: &Path) -> Result<Loaded, Faults> {
    let loaded = config::load(path, &config::process_environment)?;
    if !loaded.warnings.is_empty() {
        say(loaded.warnings.render(io::stderr().is_terminal()).trim_end());
    }
    Ok(loaded)
}

/// A runtime for verbs that do one thing.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// A duration among the arguments.
pub(super) fn duration(text: &str) -> anyhow::Result<Duration> {
    config::duration(text).context("write a whole number and its unit: `30s`, `10m`, `2h` or `1d`")
}
