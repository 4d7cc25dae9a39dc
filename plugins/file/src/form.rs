//! What of a message becomes a line.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gristmill_sdk::{Error, Message, Result, json::Json};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

/// How a message is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// The payload, which has no line feed but perhaps one at its end.
    #[default]
    Payload,
    /// The payload with `\n`, `\r` and `\\` for what they stand for.
    Escaped,
    /// A JSON object with payload, headers and the rest.
    Envelope,
}

/// What programs in `mode = "lines"` are given, too, but for the attempt, with which no two attempts would be alike.
#[derive(Serialize)]
struct Envelope<'a> {
    id: String,
    source: String,
    topic: String,
    received_ms: u64,
    /// Names in lower case; the first of several values counts.
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    /// Instead of `payload` where that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

impl Form {
    /// The line for `message`, or nothing where it is the payload as it is.
    ///
    /// # Errors
    /// A rejection of a payload of several lines that is to be written as it is.
    pub(crate) fn line(self, message: &Message) -> Result<Option<Vec<u8>>> {
        let payload = message.payload();
        let whole = payload.strip_suffix(b"\n").unwrap_or(payload);
        match self {
            Self::Payload if whole.contains(&b'\n') => Err(Error::reject(
                "the payload has several lines, so it cannot be one as it is; `write = \"escaped\"` or \"envelope\" can hold it",
            )),
            Self::Payload => Ok((whole.len() < payload.len()).then(|| whole.to_owned())),
            Self::Escaped => Ok(payload.iter().any(|byte| b"\n\r\\".contains(byte)).then(|| escaped(payload))),
            Self::Envelope => Ok(Some(Json::of(&envelope(message))?.as_bytes().to_owned())),
        }
    }
}

fn escaped(payload: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(payload.len() + 16);
    for &byte in payload {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\\' => line.extend_from_slice(b"\\\\"),
            _ => line.push(byte),
        }
    }
    line
}

fn envelope(message: &Message) -> Envelope<'_> {
    let mut headers = BTreeMap::new();
    for (name, value) in message.headers() {
        headers.entry(name.to_ascii_lowercase()).or_insert(value);
    }
    let received = message.received().duration_since(UNIX_EPOCH);
    let text = str::from_utf8(message.payload());
    Envelope {
        id: message.id(),
        source: message.source(),
        topic: message.topic(),
        received_ms: received.as_ref().map_or(0, Duration::as_millis).try_into().unwrap_or(u64::MAX),
        headers,
        payload: text.ok(),
        payload_base64: text.is_err().then(|| STANDARD.encode(message.payload())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(form: Form, payload: &[u8]) -> Option<String> {
        form.line(&Message::test(payload)).unwrap().map(|line| String::from_utf8(line).unwrap())
    }

    #[test]
    fn a_payload_of_one_line_is_written_as_it_is() {
        assert_eq!(line(Form::Payload, b"{}"), None);
        assert_eq!(line(Form::Payload, b"{}\n").as_deref(), Some("{}"));
        assert_eq!(line(Form::Payload, b""), None);
        let several = Form::Payload.line(&Message::test("a\nb\n")).unwrap_err();
        assert!(!several.is_retry() && several.reason().contains("several lines"), "{several}");
    }

    #[test]
    fn an_escaped_payload_can_be_told_from_one_that_looks_so() {
        assert_eq!(line(Form::Escaped, b"plain"), None);
        assert_eq!(line(Form::Escaped, b"a\nb\r\n").as_deref(), Some("a\\nb\\r\\n"));
        assert_eq!(line(Form::Escaped, b"a\\nb").as_deref(), Some("a\\\\nb"));
    }

    #[test]
    fn an_envelope_has_what_belongs_to_the_message() {
        let message = Message::test("a\nb").with_id("l/7").with_topic("t").with_header("X-User", "ü");
        let text = String::from_utf8(Form::Envelope.line(&message).unwrap().unwrap()).unwrap();
        let expected =
            r#"{"id":"l/7","source":"test","topic":"t","received_ms":0,"headers":{"x-user":"ü"},"payload":"a\nb"}"#;
        assert_eq!(text, expected);
        assert!(line(Form::Envelope, &[0xff, 0]).unwrap().ends_with(r#""payload_base64":"/wA="}"#));
    }
}
