//! `gristmill compile`: what a node calls itself with to have a plugin compiled; nothing for people.

use std::process::ExitCode;

/// What the child may take.
#[derive(Debug, clap::Args)]
pub(super) struct Limits {
    /// Bytes of address space
    #[arg(long)]
    memory: u64,
    /// Seconds of CPU time
    #[arg(long)]
    seconds: u64,
}

/// Compiles the component on stdin.
pub(super) fn run(limits: &Limits) -> ExitCode {
    crate::plugin::compile_stdin(limits.memory, limits.seconds)
}
