//! `gristmill dashboard`: where the dashboard of a node is, with the token that opens it.

use super::{ask::Which, talk};

/// What `dashboard` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    node: Which,
}

/// Prints the address for a browser. Behind the `#` it stays in the browser, and is sent nowhere but as a token.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let client = options.node.client()?;
    talk::print(format!("{}\n", client.page()?).as_bytes())
}
