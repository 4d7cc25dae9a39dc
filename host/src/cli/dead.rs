//! `gristmill dead`: messages that could not be delivered.

mod act;
mod choose;
mod edit;
mod show;

use super::talk;
use choose::{Chosen, Filters, Of};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// One line for each, oldest first
    List {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        filters: Filters,
        /// One JSON object on each line, with all attempts
        #[arg(long)]
        json: bool,
        /// How many at most
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: u64,
    },
    /// The story of one, and its payload
    Show {
        #[command(flatten)]
        of: Of,
        /// As `list` shows it
        entry: String,
        /// One JSON object, with the payload as text, or as `payload_base64` where it is none
        #[arg(long)]
        json: bool,
        /// Nothing but the payload, byte for byte
        #[arg(long, conflicts_with = "json")]
        payload: bool,
    },
    /// Try them again, from the first attempt; under their own ids unless they are edited
    Replay(Replay),
    /// Forget them for good
    Drop(Drop),
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    chosen: Chosen,
    /// Through this pipeline instead of the one that gave them up; all of its publishers run
    #[arg(long, value_name = "PIPELINE")]
    to: Option<String>,
    /// Edit each payload in $VISUAL or $EDITOR first; what is not changed there is not replayed
    #[arg(long, conflicts_with_all = ["all", "payload"])]
    edit: bool,
    /// With the bytes of this file as payload, or `-` for those of standard input; for one entry
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    payload: Option<PathBuf>,
    /// One JSON object on a line for each that is replayed
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Drop {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    chosen: Chosen,
    /// Do not ask; nothing is asked where there is no terminal
    #[arg(long)]
    yes: bool,
    /// One JSON object on a line for each that is dropped
    #[arg(long)]
    json: bool,
}

/// Does what `verb` says.
pub(super) fn run(verb: Verb) -> anyhow::Result<()> {
    talk::runtime()?.block_on(async {
        match verb {
            Verb::List { of, filters, json, limit } => show::list(&of, &filters, json, limit).await,
            Verb::Show { of, entry, json, payload } => show::show(&of, &entry, json, payload).await,
            Verb::Replay(replay) => act::replay(&replay).await,
            Verb::Drop(drop) => act::drop(&drop).await,
        }
    })
}
