//! What a pipeline takes from, and in which order, as types.

use crate::message::Message;
use std::{fmt, time::Duration};

/// What a pipeline takes from.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// Redis lists.
    Lists(Lists),
    /// A Redis stream, read through a consumer group.
    Stream(Stream),
    /// Redis channels: at most once.
    Channels(Channels),
    /// Resque queues.
    Resque(Resque),
    /// A Thoonk feed of the Python generation.
    Thoonk(Thoonk),
}

/// Redis lists: `{ list = "a" }`, `{ list = ["a", "b"] }`, `{ list = ["a", "b"], weights = [3, 1] }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Lists {
    /// At least one, none twice; where there are no weights, each goes before those behind it.
    pub names: Vec<String>,
    /// One for each list, 1 to 1,000: its share while several hold messages.
    pub weights: Option<Vec<u32>>,
    /// Where producers push: `pushed = "right"` (`RPUSH`, the default) or `"left"`.
    pub pushed: End,
}

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The head, index 0.
    Left,
    /// The tail.
    Right,
}

/// Which message of a list is taken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// The one pushed first.
    Oldest,
    /// The one pushed last.
    Newest,
}

/// A bound on what waits: `{ keep = 100000, drop = "oldest" }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// How many messages may wait, at least 1.
    pub keep: u64,
    /// Which go when there are more.
    pub drop: Take,
}

/// A Redis stream: `{ stream = "s", group = "g", … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Its key.
    pub name: String,
    /// The consumer group, created if it is missing.
    pub group: String,
    /// Where a new group begins.
    pub start: Start,
    /// The field that is the payload; the others become headers.
    pub payload: String,
    /// What becomes of an entry that is settled.
    pub done: Done,
    /// How long an entry may be idle with a consumer that is no Gristmill node before it is claimed; never when absent.
    pub claim: Option<Duration>,
}

/// Where a new consumer group begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// `"oldest"`: with everything that is in the stream.
    Oldest,
    /// `"newest"`: with what is added from now on.
    Newest,
    /// Behind the entry with this id, such as `1700000000000-0`.
    After(String),
}

/// What becomes of a stream's entry that is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// `"keep"`: it stays.
    Keep,
    /// `"delete"`: it is deleted at once, whether other groups have read it or not.
    Delete,
    /// `"trim"`: it goes once every group of the stream has settled it and all before it.
    Trim,
}

/// Redis channels: `{ channel = "c" }`, `{ channel = ["a", "b"] }`, `{ pattern = "news.*" }`, `{ shard_channel = "c" }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Channels {
    /// How they are named.
    pub kind: ChannelKind,
    /// At least one, none twice.
    pub names: Vec<String>,
}

/// How channels are subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// `SUBSCRIBE`.
    Exact,
    /// `PSUBSCRIBE`.
    Pattern,
    /// `SSUBSCRIBE`, Redis 7 and later.
    Sharded,
}

/// Resque queues: `{ resque = ["critical", "*"], namespace = "resque", … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resque {
    /// Names and patterns in order of priority, at least one, as a Ruby worker takes them in `QUEUES`.
    pub queues: Vec<String>,
    /// Goes before every key, with a colon; empty for none.
    pub namespace: String,
    /// What stands for the host in worker ids; unlike the host's own name so that Ruby workers do not prune us.
    pub host: Option<String>,
    /// Retries go through the structures of resque-scheduler instead of our own: `retries = "scheduler"`.
    pub scheduler: bool,
}

/// A Thoonk feed: `{ thoonk = "jobs", kind = "job", … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Thoonk {
    /// The feed's name.
    pub feed: String,
    /// What the feed is; as Redis has it when absent.
    pub kind: Option<ThoonkKind>,
    /// Jobs claimed for longer than this by anyone else are cancelled.
    pub claim: Duration,
    /// How often a job may be cancelled by the sweep before it is stalled.
    pub cancels: u32,
    /// Whether a job is finished with what the filters made of its payload as its result.
    pub result: bool,
}

/// The kinds of Thoonk feed that can be taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThoonkKind {
    /// Its publications: at most once.
    Feed,
    /// Taken without claim.
    Queue,
    /// Claimed, then finished, cancelled or stalled.
    Job,
}

/// What messages must share to be kept in order: `"topic"`, `"header:NAME"` or `"json:/pointer"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// The topic.
    Topic,
    /// The value of this header, as the source gives it.
    Header(String),
    /// The value at this JSON pointer (RFC 6901) in the payload.
    Json(String),
}

impl OrderBy {
    /// What `message` says there, as one key of all; a value of JSON as it is written.
    pub fn key(&self, message: &Message) -> Option<String> {
        match self {
            Self::Topic => Some(message.topic.to_string()),
            Self::Header(name) => message.header(name).map(str::to_owned),
            Self::Json(pointer) => json(pointer, message).map(|value| value.to_string()),
        }
    }

    /// The same, a text of JSON without its quotes.
    pub fn value(&self, message: &Message) -> Option<String> {
        match self {
            Self::Topic | Self::Header(_) => self.key(message),
            Self::Json(pointer) => json(pointer, message)?.as_str().map(str::to_owned),
        }
    }
}

fn json(pointer: &str, message: &Message) -> Option<serde_json::Value> {
    let mut document: serde_json::Value = serde_json::from_slice(&message.payload).ok()?;
    document.pointer_mut(pointer).map(serde_json::Value::take)
}

/// How messages of one key are kept in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What the key is.
    pub by: OrderBy,
    /// Whether a message that waits for another attempt holds back those behind it: `order_retries = "hold"` or `"overtake"`.
    pub hold: bool,
}

/// How many dead letters are kept, and for how long: `{ most = 100000, longest = "90d" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepDead {
    /// At least 1.
    pub most: u64,
    /// From their death on.
    pub longest: Duration,
}

impl From {
    /// Whether the source hands a message out again that was not settled.
    pub fn redelivers(&self) -> bool {
        match self {
            Self::Channels(_) => false,
            Self::Thoonk(thoonk) => thoonk.kind != Some(ThoonkKind::Feed),
            Self::Lists(_) | Self::Stream(_) | Self::Resque(_) => true,
        }
    }
}

/// Such as "lists `a`, `b`".
impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, names): (&str, Vec<&String>) = match self {
            Self::Lists(lists) => ("list", lists.names.iter().collect()),
            Self::Stream(stream) => return write!(f, "stream `{}` as group `{}`", stream.name, stream.group),
            Self::Channels(channels) => (channels.kind.name(), channels.names.iter().collect()),
            Self::Resque(resque) => ("Resque queue", resque.queues.iter().collect()),
            Self::Thoonk(thoonk) => ("Thoonk feed", vec![&thoonk.feed]),
        };
        let plural = if names.len() > 1 { "s" } else { "" };
        write!(f, "{kind}{plural} ")?;
        for (index, name) in names.into_iter().enumerate() {
            write!(f, "{}`{name}`", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl ChannelKind {
    fn name(self) -> &'static str {
        match self {
            Self::Exact => "channel",
            Self::Pattern => "channel pattern",
            Self::Sharded => "sharded channel",
        }
    }
}
