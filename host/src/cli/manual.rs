//! `gristmill completions` and `gristmill man`: what shells and `man` want to know of the command line.

use super::{Arguments, talk};
use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::PathBuf;

/// What `completions` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// For which shell
    shell: Shell,
}

/// What `man` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Write a page for each verb into this directory, such as `~/.local/share/man/man1`, instead of printing the first one
    directory: Option<PathBuf>,
}

/// Prints a script that lets a shell complete verbs and options.
pub(super) fn completions(wanted: &Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(wanted.shell, &mut Arguments::command(), "gristmill", &mut script);
    talk::print(&script)
}

/// Prints or writes pages for `man`.
pub(super) fn man(wanted: &Man) -> anyhow::Result<()> {
    let command = Arguments::command();
    let Some(directory) = &wanted.directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        return talk::print(&page);
    };
    clap_mangen::generate_to(command, directory).with_context(|| format!("cannot write into `{}`", directory.display()))
}
