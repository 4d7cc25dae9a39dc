//! One dead letter, and how a stream holds it.

use crate::{
    message::Trouble,
    source::{lane::envelope::Envelope, queue::shared::Shared},
};
use bytes::Bytes;
use std::collections::HashMap;

/// What an entry of a stream holds, by field.
pub(super) type Fields = HashMap<Vec<u8>, Vec<u8>>;

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Letter {
    /// Its place in the dead letters, such as `1700000000000-0`; begins with the millisecond of its death.
    pub entry: String,
    /// The key of the stream that holds it.
    pub stream: String,
    /// The message's id.
    pub id: String,
    /// The pipeline that gave it up.
    pub pipeline: String,
    /// The queue it came from.
    pub source: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was first taken or first failed, in milliseconds since 1970.
    pub received_ms: u64,
    /// One for each failed attempt, oldest first.
    pub troubles: Vec<Trouble>,
    /// Publishers that had succeeded; a replay through the same pipeline does not run them again.
    pub succeeded: Vec<String>,
    /// What it is about, where that is not its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// As the source gave them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Its id in the system it came from, where that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The original bytes.
    #[serde(skip)]
    pub payload: Vec<u8>,
}

impl Letter {
    /// Why it was given up.
    pub fn reason(&self) -> &str {
        self.troubles.last().map_or("unknown", |trouble| &trouble.reason)
    }

    /// The plugin that failed last; none where the host gave up.
    pub fn plugin(&self) -> Option<&str> {
        self.troubles.last()?.plugin.as_deref()
    }

    /// When it was given up, in milliseconds since 1970 by the clock of Redis.
    pub fn died_ms(&self) -> u64 {
        self.age().0
    }

    /// Orders letters of several streams by their death.
    pub(super) fn age(&self) -> (u64, u64) {
        age(&self.entry).unwrap_or_default()
    }

    /// The letter that an entry of `stream` holds; none where it is something else.
    pub(in crate::source) fn read(stream: &str, entry: &str, mut fields: Fields) -> Option<Self> {
        let envelope: Envelope = serde_json::from_slice(fields.get(&b"envelope"[..])?).ok()?;
        let text = |name: &str| fields.get(name.as_bytes()).map(|text| String::from_utf8_lossy(text).into_owned());
        let (pipeline, source) = (text("pipeline").unwrap_or_default(), text("source").unwrap_or_default());
        let Envelope { id, attempts, crashes, received_ms, topic, headers, item, troubles, succeeded, place: _ } =
            envelope;
        Some(Self {
            entry: entry.to_owned(),
            stream: stream.to_owned(),
            id,
            pipeline,
            source,
            attempts: attempts.saturating_add(crashes),
            received_ms,
            troubles,
            succeeded,
            topic,
            headers,
            item,
            payload: fields.remove(&b"payload"[..]).unwrap_or_default(),
        })
    }
}

/// The millisecond and the number within it that an entry's id consists of.
pub(super) fn age(entry: &str) -> Option<(u64, u64)> {
    let (ms, number) = entry.split_once('-')?;
    Some((ms.parse().ok()?, number.parse().ok()?))
}

/// What a stream entry of a dead letter holds: `envelope` is for us, the others are for people who look with other tools.
pub(in crate::source) fn fields(shared: &Shared, envelope: &Envelope, payload: &Bytes) -> Vec<(&'static str, Bytes)> {
    let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let reason = envelope.troubles.last().map_or("", |trouble| &trouble.reason);
    vec![
        ("id", text(&envelope.id)),
        ("pipeline", text(&shared.pipeline)),
        ("source", text(&shared.source)),
        ("reason", text(reason)),
        ("envelope", envelope.line().into()),
        ("payload", payload.clone()),
    ]
}
