//! `gristmill config`: the configuration in words.

use super::{ConfigFile, talk};
use crate::config;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Every key with its default and one sentence
    Default,
    /// The file with all defaults filled in; variables stay as they are written
    Effective(ConfigFile),
}

/// Prints what `verb` asks for.
pub(super) fn run(verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Default => talk::print(config::DEFAULT.as_bytes()),
        Verb::Effective(file) => talk::print(config::effective(&talk::load(&file.path)?).as_bytes()),
    }
}
