//! What the plugin's `config` says.

use gristmill_sdk::{Error, Result, Span, Template};
use serde::Deserialize;
use std::time::Duration;

/// One of `list`, `stream`, `channel`, `shard_channel`, `key` and `thoonk`, with what belongs to it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    list: Option<Template>,
    pushed: Option<Side>,
    stream: Option<Template>,
    keep: Option<u64>,
    channel: Option<Template>,
    shard_channel: Option<Template>,
    key: Option<Template>,
    expires: Option<Span>,
    only_new: Option<bool>,
    thoonk: Option<Template>,
    kind: Option<Kind>,
    atomic: Option<bool>,
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Right,
    Left,
}

/// A kind of Thoonk feed.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Job,
    Queue,
}

/// Where messages go.
pub(crate) enum Target {
    List { name: Template, pushed: Side },
    Stream { name: Template, keep: Option<u64> },
    Channel { command: &'static str, name: Template },
    Key { name: Template, expires: Option<Duration>, only_new: bool },
    Thoonk { name: Template, kind: Kind },
}

impl Config {
    /// Whether messages go there in the very step that settles them.
    pub(crate) fn is_atomic(&self) -> bool {
        self.atomic.unwrap_or_default()
    }

    /// The one target that it names.
    pub(crate) fn target(self) -> Result<Target> {
        let Self { list, pushed, stream, keep, channel, shard_channel, key, expires, only_new, thoonk, kind, atomic } =
            self;
        let companions = [
            ("pushed", pushed.is_some(), "list", list.is_some()),
            ("keep", keep.is_some(), "stream", stream.is_some()),
            ("expires", expires.is_some(), "key", key.is_some()),
            ("only_new", only_new.is_some(), "key", key.is_some()),
            ("kind", kind.is_some(), "thoonk", thoonk.is_some()),
        ];
        if let Some((name, _, owner, _)) = companions.into_iter().find(|(_, is, _, owner)| *is && !owner) {
            return Err(Error::reject(format!("config.{name}: only `{owner}` has it")));
        }
        if atomic.is_some() && thoonk.is_some() {
            return Err(Error::reject("config.atomic: `thoonk` asks before it puts, and so cannot have it"));
        }
        if expires.is_some_and(|Span(time)| time.is_zero()) {
            return Err(Error::reject("config.expires: expected more than nothing"));
        }
        match (list, stream, channel, shard_channel, key, thoonk) {
            (Some(name), None, None, None, None, None) => {
                Ok(Target::List { name, pushed: pushed.unwrap_or(Side::Right) })
            }
            (None, Some(name), None, None, None, None) => Ok(Target::Stream { name, keep }),
            (None, None, Some(name), None, None, None) => Ok(Target::Channel { command: "PUBLISH", name }),
            (None, None, None, Some(name), None, None) => Ok(Target::Channel { command: "SPUBLISH", name }),
            (None, None, None, None, Some(name), None) => Ok(Target::Key {
                name,
                expires: expires.map(|Span(time)| time),
                only_new: only_new.unwrap_or_default(),
            }),
            (None, None, None, None, None, Some(name)) => Ok(Target::Thoonk { name, kind: kind.unwrap_or(Kind::Job) }),
            _ => Err(Error::reject(
                "config: expected one of `list`, `stream`, `channel`, `shard_channel`, `key` and `thoonk`",
            )),
        }
    }
}
