//! The lines of JSON that host and program exchange where `mode = "lines"`.

use super::Garbled;
use crate::message::{Change, Fault, Message, Verdict};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// What a program is asked.
#[derive(Serialize)]
struct Question<'a> {
    id: &'a str,
    source: &'a str,
    topic: &'a str,
    attempt: u32,
    received_ms: u64,
    /// Names in lower case; the first of several values counts.
    headers: BTreeMap<String, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    /// Instead of `payload` where that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

/// The line that asks for a verdict on `message`.
pub(super) fn question(message: &Message) -> Bytes {
    let text = str::from_utf8(&message.payload);
    let mut headers = BTreeMap::new();
    for (name, value) in &message.headers {
        headers.entry(name.to_ascii_lowercase()).or_insert(value.as_str());
    }
    let question = Question {
        id: &message.id,
        source: &message.source,
        topic: &message.topic,
        attempt: message.attempt,
        received_ms: message.received_ms,
        headers,
        payload: text.ok(),
        payload_base64: text.is_err().then(|| STANDARD.encode(&message.payload)),
    };
    let mut line = Vec::with_capacity(message.payload.len() + 512);
    serde_json::to_writer(&mut line, &question).expect("a question has only strings and numbers in it");
    line.push(b'\n');
    line.into()
}

/// What a program answers: one verdict, or a change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    pass: Option<bool>,
    drop: Option<Value>,
    reject: Option<String>,
    retry: Option<String>,
    after_ms: Option<u64>,
    split: Option<Vec<Part>>,
    topic: Option<String>,
    headers: Option<BTreeMap<String, Option<String>>>,
    payload: Option<String>,
    payload_base64: Option<String>,
}

/// How a message is to differ.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Part {
    topic: Option<String>,
    headers: Option<BTreeMap<String, Option<String>>>,
    payload: Option<String>,
    payload_base64: Option<String>,
}

/// The verdict in `line`: an object with one of `pass`, `drop`, `reject`, `retry` and `split`, or with what is to change.
///
/// # Errors
/// What is no such object.
pub fn parse_line(line: &[u8]) -> Result<Result<Verdict, Fault>, Garbled> {
    let answer: Answer = serde_json::from_slice(line).map_err(|error| Garbled(error.to_string()))?;
    let Answer { pass, drop, reject, retry, after_ms, split, topic, headers, payload, payload_base64 } = answer;
    if after_ms.is_some() && retry.is_none() {
        return Err(Garbled("`after_ms` belongs to `retry`".to_owned()));
    }
    let changes = [topic.is_some(), headers.is_some(), payload.is_some(), payload_base64.is_some()].contains(&true);
    let part = changes.then_some(Part { topic, headers, payload, payload_base64 });
    match (pass, drop, reject, retry, split, part) {
        (Some(true), None, None, None, None, None) => Ok(Ok(Verdict::Pass)),
        (None, Some(drop), None, None, None, None) => Ok(Ok(Verdict::Drop(reason(drop)?))),
        (None, None, Some(reason), None, None, None) => Ok(Err(Fault::Reject { reason })),
        (None, None, None, Some(reason), None, None) => {
            Ok(Err(Fault::Retry { after: after_ms.map(Duration::from_millis), reason }))
        }
        (None, None, None, None, Some(parts), None) => {
            let changes: Result<_, Garbled> = parts.into_iter().map(Part::into_change).collect();
            Ok(Ok(Verdict::Split(changes?)))
        }
        (None, None, None, None, None, Some(part)) => Ok(Ok(Verdict::Replace(part.into_change()?))),
        (Some(false), ..) => Err(Garbled("`pass` is false; leave it out and say what is to become of it".to_owned())),
        (None, None, None, None, None, None) => Err(Garbled("there is no verdict in it".to_owned())),
        _ => Err(Garbled("there is more than one verdict in it".to_owned())),
    }
}

fn reason(drop: Value) -> Result<Option<String>, Garbled> {
    match drop {
        Value::String(reason) => Ok(Some(reason)),
        Value::Bool(true) => Ok(None),
        _ => Err(Garbled("`drop` is neither true nor a reason".to_owned())),
    }
}

impl Part {
    fn into_change(self) -> Result<Change, Garbled> {
        let payload = match (self.payload, self.payload_base64) {
            (Some(_), Some(_)) => return Err(Garbled("`payload` and `payload_base64` are both there".to_owned())),
            (Some(text), None) => Some(text.into()),
            (None, Some(base64)) => {
                Some(STANDARD.decode(base64).map_err(|error| Garbled(format!("`payload_base64`: {error}")))?.into())
            }
            (None, None) => None,
        };
        Ok(Change { topic: self.topic, headers: self.headers.unwrap_or_default().into_iter().collect(), payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &'static [u8]) -> Message {
        Message {
            id: "m-1".into(),
            source: "jobs".into(),
            topic: "news".into(),
            attempt: 2,
            received_ms: 7,
            headers: vec![("User".to_owned(), "ann".to_owned()), ("user".to_owned(), "bob".to_owned())],
            payload: Bytes::from_static(payload),
        }
    }

    fn why(line: &str) -> String {
        parse_line(line.as_bytes()).unwrap_err().to_string()
    }

    fn said(line: &str) -> Result<Verdict, Fault> {
        parse_line(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_question_is_one_line() {
        let line = question(&message(b"a\nb \xc3\xa4"));
        assert_eq!(
            line,
            "{\"id\":\"m-1\",\"source\":\"jobs\",\"topic\":\"news\",\"attempt\":2,\"received_ms\":7,\
             \"headers\":{\"user\":\"ann\"},\"payload\":\"a\\nb ä\"}\n"
        );
        let binary = question(&message(b"\xff\0"));
        assert!(binary.ends_with(b",\"payload_base64\":\"/wA=\"}\n"));
    }

    #[test]
    fn every_verdict_can_be_said() {
        assert_eq!(said("{\"pass\":true}"), Ok(Verdict::Pass));
        assert_eq!(said(" {\"drop\" : true} \r"), Ok(Verdict::Drop(None)));
        assert_eq!(said("{\"drop\":\"a bot\"}"), Ok(Verdict::Drop(Some("a bot".to_owned()))));
        assert_eq!(said("{\"reject\":\"no id\"}"), Err(Fault::Reject { reason: "no id".to_owned() }));
        let retry = Fault::Retry { after: Some(Duration::from_millis(9)), reason: "busy".to_owned() };
        assert_eq!(said("{\"retry\":\"busy\",\"after_ms\":9}"), Err(retry));
        let change = Change {
            topic: Some("t".to_owned()),
            headers: vec![("a".to_owned(), Some("b".to_owned())), ("c".to_owned(), None)],
            payload: Some(Bytes::from_static(b"\xff\0")),
        };
        let line = "{\"topic\":\"t\",\"headers\":{\"a\":\"b\",\"c\":null},\"payload_base64\":\"/wA=\"}";
        assert_eq!(said(line), Ok(Verdict::Replace(change)));
        let parts = vec![Change { payload: Some("1".into()), ..Change::default() }, Change::default()];
        assert_eq!(said("{\"split\":[{\"payload\":\"1\"},{}]}"), Ok(Verdict::Split(parts)));
        assert_eq!(said("{\"split\":[]}"), Ok(Verdict::Split(Vec::new())));
    }

    #[test]
    fn what_is_no_verdict_is_told_as_such() {
        assert_eq!(why("{}"), "there is no verdict in it");
        assert_eq!(why("{\"pass\":true,\"drop\":true}"), "there is more than one verdict in it");
        assert_eq!(why("{\"payload\":\"\",\"drop\":true}"), "there is more than one verdict in it");
        assert!(why("{\"pass\":false}").starts_with("`pass` is false"));
        assert_eq!(why("{\"drop\":1}"), "`drop` is neither true nor a reason");
        assert_eq!(why("{\"pass\":true,\"after_ms\":1}"), "`after_ms` belongs to `retry`");
        assert!(why("{\"pss\":true}").starts_with("unknown field `pss`"));
        assert!(why("{\"payload\":{}}").starts_with("invalid type: map, expected a string"));
        assert!(why("{\"payload\":\"a\",\"payload\":\"b\"}").starts_with("duplicate field `payload`"));
        assert_eq!(why("{\"payload\":\"\",\"payload_base64\":\"\"}"), "`payload` and `payload_base64` are both there");
        assert!(why("{\"split\":[{\"payload_base64\":\"!\"}]}").starts_with("`payload_base64`: "));
        assert!(why("hello").starts_with("expected value"));
        assert!(why("").starts_with("EOF"));
        assert!(
            why(&"[".repeat(100_000)).starts_with("invalid type") || why(&"[".repeat(100_000)).contains("recursion")
        );
    }
}
