//! The message a plugin is given: its payload at hand, the rest of its envelope read from the host when asked for.

use crate::{
    Change, Error, Result,
    envelope::{Envelope, Sample},
    job::Job,
    json::{Edit, Found, Json, Paths},
};
use serde::de::DeserializeOwned;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A message on its way through a pipeline.
///
/// Reading the payload costs nothing; each other getter asks the host once per call. Edits are kept here until the message is
/// turned into a verdict with `message.into()`, and only what was edited crosses to the host.
#[derive(Clone, Debug)]
pub struct Message {
    payload: Vec<u8>,
    new_payload: bool,
    change: Change,
    envelope: Envelope,
}

impl Message {
    /// The message of the call that the host is making right now.
    #[cfg(target_family = "wasm")]
    pub(crate) fn of_call(payload: Vec<u8>) -> Self {
        Self { payload, new_payload: false, change: Change::default(), envelope: Envelope::Host }
    }

    /// A message of the batch that the call is about, after so many answered rounds.
    #[cfg(target_family = "wasm")]
    pub(crate) fn of_batch(message: crate::component::wire::BatchedMessage, round: u32) -> Self {
        let crate::component::wire::BatchedMessage { id, source, topic, attempt, received_ms, headers, payload } =
            message;
        let sample = Sample { id, source, topic, attempt, round, received_ms, headers };
        let envelope = Envelope::Sample(Box::new(sample));
        Self { payload, new_payload: false, change: Change::default(), envelope }
    }

    /// A message for a test of a plugin, with a plain envelope that the `with_…` methods fill in.
    pub fn test(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            payload: payload.into(),
            new_payload: false,
            change: Change::default(),
            envelope: Envelope::Sample(Box::default()),
        }
    }

    /// The bytes, as the producer pushed them or as edited.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload as text.
    ///
    /// # Errors
    /// A rejection if it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.payload).map_err(misread)
    }

    /// The payload as JSON.
    ///
    /// # Errors
    /// A rejection that names the line and column if it is not JSON or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.payload).map_err(misread)
    }

    /// The payload as a job of Resque: its class, and its arguments of any type.
    ///
    /// ```
    /// use gristmill_sdk::Message;
    ///
    /// let message = Message::test(r#"{"class":"SendMail","args":[7,"hello"]}"#);
    /// let job = message.job()?;
    /// let (user, text): (u64, String) = job.args()?;
    /// assert_eq!((job.class(), user, &*text), ("SendMail", 7, "hello"));
    /// # Ok::<(), gristmill_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rejection if it is not JSON, has no class, or arguments that are no array.
    pub fn job(&self) -> Result<Job<'_>> {
        Job::read(&self.payload).map_err(|error| error.within("payload"))
    }

    /// Stable over all attempts and takeovers; the children of a split append `/0`, `/1`, ….
    pub fn id(&self) -> String {
        self.envelope.id()
    }

    /// The queue it came from, such as `notifications`.
    pub fn source(&self) -> String {
        self.envelope.source()
    }

    /// What it is about; the source's name unless a filter said otherwise.
    pub fn topic(&self) -> String {
        self.change.topic.clone().unwrap_or_else(|| self.envelope.topic())
    }

    /// Counts from 1.
    pub fn attempt(&self) -> u32 {
        self.envelope.attempt()
    }

    /// How many rounds of a publisher's requests have been answered in this attempt: 0 in `publish`, 1 in the first `answered`.
    pub fn round(&self) -> u32 {
        self.envelope.round()
    }

    /// When it was first taken from its source, to the millisecond, by the clock of the node that took it.
    pub fn received(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.envelope.received_ms())
    }

    /// The first value of the header `name`, which is compared without regard to case.
    pub fn header(&self, name: &str) -> Option<String> {
        match self.change.header(name) {
            Some(edited) => edited.map(str::to_owned),
            None => self.envelope.header(name),
        }
    }

    /// All headers, in order; edited ones last.
    pub fn headers(&self) -> Vec<(String, String)> {
        let mut headers = self.envelope.headers();
        headers.retain(|(name, _)| self.change.header(name).is_none());
        headers.extend(self.change.headers.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))));
        headers
    }

    /// Replaces the payload.
    pub fn set_payload(&mut self, payload: impl Into<Vec<u8>>) {
        self.payload = payload.into();
        self.new_payload = true;
    }

    /// Replaces the payload by `value` as JSON.
    ///
    /// # Errors
    /// A rejection if `value` has no form in JSON, such as a map whose keys are not strings.
    pub fn set_json(&mut self, value: &impl serde::Serialize) -> Result<()> {
        self.set_payload(serde_json::to_vec(value)?);
        Ok(())
    }

    /// Edits the JSON values at `paths` in place and says whether anything changed; the rest of the payload keeps its bytes.
    ///
    /// # Errors
    /// A rejection that names the position if the payload is not JSON.
    pub fn edit(&mut self, paths: &Paths, judge: impl FnMut(Found<'_>) -> Edit) -> Result<bool> {
        let edited = paths.edit(&self.payload, judge).map_err(misread)?;
        Ok(self.take_edited(edited))
    }

    /// Sets `value` at `paths` in the payload, see [`Paths::set`], and says whether anything changed.
    ///
    /// # Errors
    /// A rejection that names the position if the payload is not JSON.
    pub fn set(&mut self, paths: &Paths, value: &Json) -> Result<bool> {
        let edited = paths.set(&self.payload, value).map_err(misread)?;
        Ok(self.take_edited(edited))
    }

    /// Keeps what `paths` lead to in the payload and nothing else, see [`Paths::pick`], and says whether anything changed.
    ///
    /// # Errors
    /// A rejection that names the position if the payload is not JSON.
    pub fn pick(&mut self, paths: &Paths) -> Result<bool> {
        let edited = paths.pick(&self.payload).map_err(misread)?;
        Ok(self.take_edited(edited))
    }

    fn take_edited(&mut self, edited: Option<Vec<u8>>) -> bool {
        let changed = edited.is_some();
        if let Some(payload) = edited {
            self.set_payload(payload);
        }
        changed
    }

    /// Replaces the topic.
    pub fn set_topic(&mut self, topic: impl Into<String>) {
        self.change.topic = Some(topic.into());
    }

    /// Sets a header, which replaces others of the name.
    pub fn set_header(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.change.set_header(name.into(), Some(value.into()));
    }

    /// Removes all headers of the name.
    pub fn remove_header(&mut self, name: impl Into<String>) {
        self.change.set_header(name.into(), None);
    }
}

/// What a test says about the message it makes with [`Message::test`]; without effect on a message of the host.
impl Message {
    /// With this id instead of `test`.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        self.sampled(|sample| sample.id = id.into())
    }

    /// With this source instead of `test`; the topic follows unless it is set after.
    #[must_use]
    pub fn with_source(self, source: impl Into<String>) -> Self {
        self.sampled(|sample| {
            sample.source = source.into();
            sample.topic.clone_from(&sample.source);
        })
    }

    /// With this topic instead of `test`.
    #[must_use]
    pub fn with_topic(self, topic: impl Into<String>) -> Self {
        self.sampled(|sample| sample.topic = topic.into())
    }

    /// In this attempt, from 1.
    #[must_use]
    pub fn with_attempt(self, attempt: u32) -> Self {
        self.sampled(|sample| sample.attempt = attempt)
    }

    /// After so many answered rounds of requests.
    #[must_use]
    pub fn with_round(self, round: u32) -> Self {
        self.sampled(|sample| sample.round = round)
    }

    /// Taken at this time instead of 1970, to the millisecond.
    #[must_use]
    pub fn with_received(self, time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.sampled(|sample| sample.received_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// With this header, beside those it has.
    #[must_use]
    pub fn with_header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.sampled(|sample| sample.headers.push((name.into(), value.into())))
    }

    fn sampled(mut self, fill: impl FnOnce(&mut Sample)) -> Self {
        match &mut self.envelope {
            #[cfg(target_family = "wasm")]
            Envelope::Host => {}
            Envelope::Sample(sample) => fill(sample),
        }
        self
    }
}

fn misread(error: impl std::error::Error) -> Error {
    Error::from(error).within("payload")
}

impl From<Message> for Change {
    fn from(message: Message) -> Self {
        Self { payload: message.new_payload.then_some(message.payload), ..message.change }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[test]
    fn an_unedited_message_passes() {
        let message = Message::test("x").with_header("a", "1");
        assert_eq!(Verdict::from(message), Verdict::Pass);
    }

    #[test]
    fn only_what_was_edited_crosses() {
        let mut message = Message::test("x").with_header("a", "1");
        message.set_topic("t");
        message.remove_header("A");
        let change = Change { topic: Some("t".into()), headers: vec![("A".into(), None)], payload: None };
        assert_eq!(Verdict::from(message), Verdict::Replace(change));
    }

    #[test]
    fn getters_see_the_edits() {
        let mut message = Message::test("x").with_source("hits").with_header("a", "1").with_header("b", "2");
        assert_eq!((message.source().as_str(), message.topic().as_str()), ("hits", "hits"));
        message.set_header("B", "3");
        message.remove_header("a");
        message.set_topic("t");
        message.set_payload("y");
        assert_eq!(message.header("a"), None);
        assert_eq!(message.header("b").as_deref(), Some("3"));
        assert_eq!(message.headers(), [("B".to_owned(), "3".to_owned())]);
        assert_eq!((message.topic().as_str(), message.payload()), ("t", b"y".as_slice()));
    }

    #[test]
    fn a_payload_that_is_not_json_is_rejected_with_its_place() {
        let error = Message::test("{\"a\": x}").json::<serde_json::Value>().unwrap_err();
        assert_eq!(error, Error::reject("payload: expected value at line 1 column 7"));
    }

    #[test]
    fn a_payload_that_is_not_text_is_rejected() {
        assert!(Message::test([0xff]).text().is_err());
    }
}
