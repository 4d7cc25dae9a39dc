//! Where clients subscribe to channels, as types.

use super::Rate;
use crate::command::Pattern;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// The name by which pipelines publish to channels of the edge.
pub const EDGE: &str = "edge";

/// `[edge]`, and the tables of channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Nowhere when absent.
    pub listen: Option<SocketAddr>,
    /// Threads that serve clients, 1 to 1,024; as many as there are processors when absent.
    pub threads: Option<usize>,
    /// What tokens are signed with, 32 bytes or more.
    pub token_secret: Option<String>,
    /// The file with keys that tokens are signed with.
    pub token_keys: Option<PathBuf>,
    /// What tokens must be for.
    pub token_audience: Option<String>,
    /// Pages that may connect, by their origin; `*` is any.
    pub origins: Vec<String>,
    /// How much of everything.
    pub limits: EdgeLimits,
    /// How long clients may take.
    pub timeouts: EdgeTimeouts,
    /// What comes this soon after something else waits for what follows.
    pub coalesce: Duration,
    /// What becomes of a client that is too slow.
    pub slow: Slow,
    /// When clients come back that were sent away.
    pub reconnect: Duration,
    /// Whether and how the dialect of push stream is spoken.
    pub push_stream: Option<PushStream>,
    /// By pattern; the longest that matches holds.
    pub channels: Vec<(Pattern, Channel)>,
}

/// The dialect of nginx's push stream module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushStream {
    /// How a message is put into words.
    pub template: String,
    /// Whether anyone may publish.
    pub open: bool,
}

/// How much clients may have.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeLimits {
    /// In all, 1 to 10,000,000.
    pub connections: usize,
    /// From one address, 1 to 10,000,000.
    pub per_address: usize,
    /// How fast they may come from one address; as fast as they like when absent.
    pub connects: Option<Rate>,
    /// 1 to 10,000,000.
    pub channels: usize,
    /// Of the head of a request, in bytes.
    pub head_bytes: usize,
    /// Of one message, in bytes.
    pub message_bytes: usize,
    /// That wait for one client in this process.
    pub queue_bytes: usize,
    /// That wait for one client in the system.
    pub send_buffer_bytes: u32,
    /// Of all histories together.
    pub history_bytes: usize,
}

/// How long clients may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeTimeouts {
    /// To send the head of a request.
    pub head: Duration,
    /// To send the body of a request.
    pub body: Duration,
    /// Between signs of life, 1 to 240 seconds.
    pub ping: Duration,
    /// To answer one.
    pub pong: Duration,
    /// To take anything of what waits for them.
    pub stall: Duration,
}

/// What becomes of a client that is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// It is told to come back and go on from where it was.
    Close,
    /// It misses the oldest of what waits for it, and is told so.
    Drop,
}

/// What holds for a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Whether anyone may read it.
    pub open: bool,
    /// What is kept of it.
    pub history: HistoryBounds,
}

/// What is kept of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryBounds {
    /// 0 to 1,000,000.
    pub messages: usize,
    /// Of their payloads together.
    pub bytes: usize,
    /// How long each.
    pub age: Duration,
}

/// Where a pipeline's messages go at the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeTarget {
    /// What makes the channel's name.
    pub channel: Template,
    /// What makes the name of the event; empty for none.
    pub event: Template,
}

/// A text with parts that stand for something of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(pub Vec<Part>);

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Text(String),
    /// `{topic}`.
    Topic,
    /// `{source}`.
    Source,
    /// `{header:NAME}`.
    Header(String),
    /// `{json:/pointer}`.
    Json(String),
}

impl Template {
    /// Whether it makes nothing, whatever the message.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
