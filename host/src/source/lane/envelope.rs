//! The form in which a message waits for another attempt: a line of JSON, then the original bytes.

use crate::message::Trouble;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What is known of a message beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::source) struct Envelope {
    pub(in crate::source) id: String,
    /// Attempts made so far.
    pub(in crate::source) attempts: u32,
    pub(in crate::source) received_ms: u64,
    /// How often a node ended while it was being tried on its own account.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(in crate::source) crashes: u32,
    /// What it is about, where that is not its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::source) topic: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::source) headers: Vec<(String, String)>,
    /// Its id in the system it came from, where that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::source) item: Option<String>,
    /// Where it stood when it was taken first, if the order matters and its id does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::source) place: Option<String>,
    /// One for each failed attempt, oldest first.
    #[serde(default)]
    pub(in crate::source) troubles: Vec<Trouble>,
    /// Publishers that are not run again.
    #[serde(default)]
    pub(in crate::source) succeeded: Vec<String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Envelope {
    /// How often it has broken a plugin or ended a node.
    pub(in crate::source) fn broken(&self) -> u32 {
        self.crashes + self.troubles.iter().filter(|trouble| trouble.broke).count() as u32
    }

    /// One more attempt has failed.
    pub(in crate::source) fn failed(&mut self, trouble: &Trouble, succeeded: &[String]) {
        self.attempts = trouble.attempt.saturating_sub(self.crashes);
        self.troubles.push(trouble.clone());
        self.succeeded = succeeded.to_vec();
    }

    /// The envelope and `payload` as Redis keeps them.
    pub(in crate::source) fn seal(&self, payload: &[u8]) -> Vec<u8> {
        let mut sealed = self.line();
        sealed.reserve_exact(payload.len() + 1);
        sealed.push(b'\n');
        sealed.extend_from_slice(payload);
        sealed
    }

    /// The envelope alone.
    pub(in crate::source) fn line(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }

    /// The envelope in `sealed`, and the payload behind it; none where it was not sealed by us.
    pub(in crate::source) fn open(sealed: &Bytes) -> Option<(Self, Bytes)> {
        let end = sealed.iter().position(|byte| *byte == b'\n')?;
        let envelope = serde_json::from_slice(sealed.get(..end)?).ok()?;
        Some((envelope, sealed.slice(end + 1..)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_payload_comes_back_as_it_was() {
        let trouble = Trouble {
            attempt: 1,
            plugin: Some("http".into()),
            digest: None,
            broke: true,
            limit: Some(crate::message::Limit::Time),
            reason: "503\nbusy".into(),
        };
        let envelope = Envelope {
            id: "x-1".into(),
            attempts: 1,
            received_ms: 7,
            crashes: 1,
            topic: Some("news".into()),
            headers: vec![("user".into(), "ü".into())],
            item: Some("abc".into()),
            place: Some("o-7".into()),
            troubles: vec![trouble],
            succeeded: vec!["a".into()],
        };
        for payload in [&b""[..], b"\n", b"\0\xff\n{}", b"{\"a\":1}"] {
            let sealed = Bytes::from(envelope.seal(payload));
            assert_eq!(Envelope::open(&sealed), Some((envelope.clone(), Bytes::copy_from_slice(payload))));
        }
    }

    #[test]
    fn what_we_did_not_seal_is_not_opened() {
        assert_eq!(Envelope::open(&Bytes::from_static(b"no line")), None);
        assert_eq!(Envelope::open(&Bytes::from_static(b"{}\n")), None);
    }
}
