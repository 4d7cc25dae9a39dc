//! What travels through a pipeline, and what can become of it. Knows neither Redis nor Wasm.

mod limit;

pub use limit::Limit;

use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// One message as plugins see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Stable over every attempt and takeover; children of a split append `/0`, `/1`, ….
    pub id: Arc<str>,
    /// The queue it came from, such as `notifications`.
    pub source: Arc<str>,
    /// What it is about; the source's name unless a filter says otherwise.
    pub topic: Arc<str>,
    /// Counts from 1.
    pub attempt: u32,
    /// Milliseconds since 1970, by this node's clock, at which it was first taken.
    pub received_ms: u64,
    /// Names are compared without regard to case.
    pub headers: Vec<(String, String)>,
    /// The bytes as the producer pushed them; never parsed by the host.
    pub payload: Bytes,
}

impl Message {
    /// The first value of the header `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// This message as `change` wants it.
    #[must_use]
    pub fn changed(mut self, change: Change) -> Self {
        if let Some(topic) = change.topic {
            self.topic = topic.into();
        }
        for (name, value) in change.headers {
            self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            if let Some(value) = value {
                self.headers.push((name, value));
            }
        }
        if let Some(payload) = change.payload {
            self.payload = payload;
        }
        self
    }

    /// The `index`th child of a split, as `change` wants it.
    #[must_use]
    pub fn child(&self, index: usize, change: Change) -> Self {
        let mut child = self.clone().changed(change);
        child.id = format!("{}/{index}", self.id).into();
        child
    }
}

/// How a message is to differ from another; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// The new topic.
    pub topic: Option<String>,
    /// Headers to set, or to remove where the value is absent.
    pub headers: Vec<(String, Option<String>)>,
    /// The new payload.
    pub payload: Option<Bytes>,
}

/// What a filter decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// On it goes, unchanged.
    Pass,
    /// On it goes, changed.
    Replace(Change),
    /// It becomes these messages.
    Split(Vec<Change>),
    /// It is done, with the reason where one was given.
    Drop(Option<String>),
}

/// Why a plugin, or a request made for it, did not succeed.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Heals with time.
    Retry {
        /// The earliest next attempt, from now; the pipeline's backoff when absent.
        after: Option<Duration>,
        /// For the log and the dead letters.
        reason: String,
    },
    /// Never heals.
    Reject {
        /// For the log and the dead letters.
        reason: String,
    },
    /// The plugin itself broke: it trapped, or went beyond one of its limits.
    Broken {
        /// The limit it went beyond, if it was one.
        limit: Option<Limit>,
        /// For the log and the dead letters.
        reason: String,
    },
}

impl Fault {
    /// The reason, whatever the kind.
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry { reason, .. } | Self::Reject { reason } | Self::Broken { reason, .. } => reason,
        }
    }

    /// The limit that the plugin went beyond.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Self::Broken { limit, .. } => *limit,
            Self::Retry { .. } | Self::Reject { .. } => None,
        }
    }

    /// The same with another reason, made of its own.
    #[must_use]
    pub fn reworded(mut self, reword: impl FnOnce(&str) -> String) -> Self {
        match &mut self {
            Self::Retry { reason, .. } | Self::Reject { reason, .. } | Self::Broken { reason, .. } => {
                *reason = reword(reason);
            }
        }
        self
    }
}

/// What is to become of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Consumed: delivered or dropped on purpose.
    Done,
    /// Consumed, with a result for whoever waits for it where it came from.
    Finished {
        /// What the filters made of the payload.
        result: Bytes,
    },
    /// It was not tried; once more, as if this had not been.
    Again {
        /// From now, by the clock of Redis.
        after: Duration,
        /// Publishers that have succeeded besides those that had before, as for `Retry`.
        succeeded: Vec<String>,
    },
    /// Once more, after a pause.
    Retry {
        /// From now, by the clock of Redis.
        after: Duration,
        /// What went wrong in this attempt.
        trouble: Trouble,
        /// Publishers that have succeeded and are not run again, as `publisher` or `child/publisher`.
        succeeded: Vec<String>,
    },
    /// Into the dead letters.
    Dead {
        /// What went wrong in the last attempt.
        trouble: Trouble,
        /// As for `Retry`: a replay does not run them again.
        succeeded: Vec<String>,
    },
}

/// One failed attempt, as the dead letters tell it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Trouble {
    /// The attempt it happened in, from 1.
    pub attempt: u32,
    /// The plugin that failed; absent where the host itself gave up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The plugin's version: the first 12 hex digits of the SHA-256 of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether the plugin broke: a trap, a time-out, memory, an answer beyond its limits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broke: bool,
    /// The limit that it went beyond when it broke.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "limit::known")]
    pub limit: Option<Limit>,
    /// Why, in words.
    pub reason: String,
}
