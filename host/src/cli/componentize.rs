//! `gristmill componentize`: a plugin out of what a compiler that knows no components has made.

use crate::plugin;
use anyhow::Context;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The core module: built for WASI 0.1 as a reactor, it exports the functions of the plugin API
    module: PathBuf,
    /// Where the plugin goes
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Makes the plugin.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { module, output } = arguments;
    let bytes = fs::read(module).with_context(|| format!("cannot read `{}`", module.display()))?;
    let component =
        plugin::componentize(&bytes).with_context(|| format!("`{}` cannot be made a plugin", module.display()))?;
    write(output, &component).with_context(|| format!("cannot write `{}`", output.display()))
}

/// Writes beside and renames, so that a running node sees the old plugin or the new one.
fn write(output: &Path, component: &[u8]) -> io::Result<()> {
    let beside = output.with_extension("new");
    fs::write(&beside, component)?;
    fs::rename(&beside, output)
}
