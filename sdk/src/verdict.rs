//! What a filter decides about a message.

use crate::Message;

/// What becomes of a message after a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// On it goes, unchanged; nothing is copied back.
    Pass,
    /// On it goes, changed.
    Replace(Change),
    /// It becomes one message for each change; it is done when all of them are.
    Split(Vec<Change>),
    /// It is done and goes no further, with the reason where one was given.
    Drop(Option<String>),
}

impl Verdict {
    /// On it goes, unchanged.
    pub fn pass() -> Self {
        Self::Pass
    }

    /// It is done and goes no further; the reason shows in the log.
    pub fn drop(reason: impl Into<String>) -> Self {
        Self::Drop(Some(reason.into()))
    }

    /// It becomes these messages, which share whatever they do not change.
    pub fn split<I>(children: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Change>,
    {
        Self::Split(children.into_iter().map(Into::into).collect())
    }
}

/// An edited message goes on as edited, only the edits crossing to the host; an unedited one passes.
impl From<Message> for Verdict {
    fn from(message: Message) -> Self {
        let change = Change::from(message);
        if change == Change::default() { Self::Pass } else { Self::Replace(change) }
    }
}

impl From<Change> for Verdict {
    fn from(change: Change) -> Self {
        Self::Replace(change)
    }
}

/// How a message differs from the one the filter was given; what is absent stays as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// The new topic.
    pub topic: Option<String>,
    /// Headers to set, or to remove where the value is absent.
    pub headers: Vec<(String, Option<String>)>,
    /// The new payload.
    pub payload: Option<Vec<u8>>,
}

impl Change {
    /// A change of the payload alone.
    pub fn payload(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: Some(payload.into()), ..Self::default() }
    }

    /// With this topic.
    #[must_use]
    pub fn with_topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// With this header, which replaces others of the name.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set_header(name.into(), Some(value.into()));
        self
    }

    /// Sets or removes a header; the last word on a name counts.
    pub(crate) fn set_header(&mut self, name: String, value: Option<String>) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        self.headers.push((name, value));
    }

    /// What this change says about the header `name`, if it does.
    pub(crate) fn header(&self, name: &str) -> Option<Option<&str>> {
        let (_, value) = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value.as_deref())
    }
}

/// A payload for a child of a split.
impl From<Vec<u8>> for Change {
    fn from(payload: Vec<u8>) -> Self {
        Self::payload(payload)
    }
}

/// A payload for a child of a split.
impl From<&[u8]> for Change {
    fn from(payload: &[u8]) -> Self {
        Self::payload(payload)
    }
}
