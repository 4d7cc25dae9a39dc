//! `gristmill pause`, `resume`, `reload` and `drain`: what a running node is told.

use super::{
    ask::{LONG_PATIENCE, Which},
    talk,
};
use bytes::Bytes;
use http::Method;

/// What `pause` and `resume` take.
#[derive(Debug, clap::Args)]
pub(super) struct Pipeline {
    /// As the configuration names it
    pipeline: String,
    #[command(flatten)]
    node: Node,
}

/// What all of them take.
#[derive(Debug, clap::Args)]
pub(super) struct Node {
    #[command(flatten)]
    which: Which,
    /// Print what the node answers, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn pause(wanted: &Pipeline) -> anyhow::Result<()> {
    let Pipeline { pipeline, node } = wanted;
    order(node, &path(pipeline, "pause"), &format!("`{pipeline}` is paused: this node takes nothing new for it"))
}

pub(super) fn resume(wanted: &Pipeline) -> anyhow::Result<()> {
    let Pipeline { pipeline, node } = wanted;
    order(node, &path(pipeline, "resume"), &format!("`{pipeline}` takes again"))
}

pub(super) fn reload(node: &Node) -> anyhow::Result<()> {
    order(node, "/api/reload", "the configuration is in force")
}

pub(super) fn drain(node: &Node) -> anyhow::Result<()> {
    order(node, "/api/drain", "the node takes nothing new, and ends when what is in flight is done")
}

fn path(pipeline: &str, verb: &str) -> String {
    format!("/api/pipelines/{}/{verb}", escaped(pipeline))
}

fn order(node: &Node, path: &str, done: &str) -> anyhow::Result<()> {
    let client = node.which.client()?;
    let answer = talk::runtime()?.block_on(client.send(Method::POST, path, Bytes::new(), LONG_PATIENCE))?;
    if node.json {
        return talk::print(&[&answer[..], b"\n"].concat());
    }
    talk::print(format!("{done}\n").as_bytes())
}

/// A part of a path with whatever would end it behind percent signs.
pub(super) fn escaped(part: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    part.bytes().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path_whatever_is_in_it() {
        assert_eq!(path("a/b ü", "pause"), "/api/pipelines/a%2Fb%20%C3%BC/pause");
        assert_eq!(path("jobs-1_2.x", "resume"), "/api/pipelines/jobs-1_2.x/resume");
    }
}
