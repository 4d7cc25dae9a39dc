//! Messages out of standard input: lines, all of it, or envelopes in JSON.

use crate::{cli::payload, message::Message};
use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{BufRead, Read},
    time::SystemTime,
};

/// Bytes of the longest payload; Redis holds none that is longer.
const LONGEST: u64 = 512 << 20;

#[derive(Debug, Args)]
pub(super) struct Form {
    /// All of standard input is the payload of one message
    #[arg(long, conflicts_with = "envelopes")]
    pub(super) whole: bool,
    /// Each line is a JSON object with `payload` or `payload_base64`, and as you like `id`, `topic`, `source`, `attempt`,
    /// `received_ms` and `headers`, which is also what `dead show --json` prints
    #[arg(long)]
    envelopes: bool,
    /// A header of every message
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = pair)]
    headers: Vec<(String, String)>,
    /// The topic, where the envelope has none; that of a message from a pipeline is its source
    #[arg(long)]
    topic: Option<String>,
    /// The queue that the messages seem to come from
    #[arg(long, default_value = "try")]
    source: String,
    /// Which attempt it seems to be
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    attempt: u32,
}

/// Splits `name: value`.
pub(super) fn pair(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => bail!("a header is written NAME:VALUE"),
    }
}

/// A message as JSON.
#[derive(Debug, Deserialize)]
struct Envelope {
    id: Option<String>,
    source: Option<String>,
    topic: Option<String>,
    #[serde(alias = "attempts")]
    attempt: Option<u32>,
    received_ms: Option<u64>,
    #[serde(default)]
    headers: Headers,
    payload: Option<Value>,
    payload_base64: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Headers {
    List(Vec<(String, String)>),
    Object(BTreeMap<String, String>),
}

impl Default for Headers {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Form {
    /// The messages that `input` holds.
    pub(super) fn messages<R>(&self, input: R) -> Messages<'_, R> {
        Messages { form: self, input, count: 0 }
    }

    fn message(&self, count: usize, payload: Bytes) -> Message {
        Message {
            id: format!("try-{count}").into(),
            source: self.source.as_str().into(),
            topic: self.topic.as_ref().unwrap_or(&self.source).as_str().into(),
            attempt: self.attempt,
            received_ms: now_ms(),
            headers: self.headers.clone(),
            payload,
        }
    }

    fn of_envelope(&self, count: usize, line: &[u8]) -> anyhow::Result<Message> {
        let envelope: Envelope = serde_json::from_slice(line)?;
        let mut message = self.message(count, envelope.bytes()?);
        message.id = envelope.id.map_or(message.id, Into::into);
        if let Some(source) = envelope.source {
            message.topic = self.topic.as_ref().unwrap_or(&source).as_str().into();
            message.source = source.into();
        }
        message.topic = envelope.topic.map_or(message.topic, Into::into);
        message.attempt = envelope.attempt.unwrap_or(message.attempt).max(1);
        message.received_ms = envelope.received_ms.unwrap_or(message.received_ms);
        match envelope.headers {
            Headers::List(list) => message.headers.extend(list),
            Headers::Object(object) => message.headers.extend(object),
        }
        Ok(message)
    }
}

impl Envelope {
    /// A string is the payload itself; any other JSON is written out.
    fn bytes(&self) -> anyhow::Result<Bytes> {
        match (&self.payload, &self.payload_base64) {
            (Some(Value::String(text)), None) => Ok(text.clone().into()),
            (Some(value), None) => Ok(value.to_string().into()),
            (None, Some(text)) => Ok(payload::from_base64(text).context("`payload_base64` is no base64")?.into()),
            (Some(_), Some(_)) => bail!("it has both `payload` and `payload_base64`"),
            (None, None) => bail!("it has neither `payload` nor `payload_base64`"),
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// One message after the other.
#[derive(Debug)]
pub(super) struct Messages<'a, R> {
    form: &'a Form,
    input: R,
    count: usize,
}

impl<R: BufRead> Messages<'_, R> {
    fn next_message(&mut self) -> anyhow::Result<Option<Message>> {
        if self.form.whole {
            return self.whole();
        }
        while let Some(line) = self.line()? {
            self.count += 1;
            if !self.form.envelopes {
                return Ok(Some(self.form.message(self.count, line)));
            }
            if !line.trim_ascii().is_empty() {
                let message = self.form.of_envelope(self.count, &line);
                return Ok(Some(message.with_context(|| format!("line {} is no envelope", self.count))?));
            }
        }
        Ok(None)
    }

    fn whole(&mut self) -> anyhow::Result<Option<Message>> {
        if self.count > 0 {
            return Ok(None);
        }
        let mut payload = Vec::new();
        self.input.by_ref().take(LONGEST + 1).read_to_end(&mut payload).context("cannot read standard input")?;
        self.count += 1;
        Ok(Some(self.form.message(self.count, fitting(payload)?)))
    }

    /// The next line without its end.
    fn line(&mut self) -> anyhow::Result<Option<Bytes>> {
        let mut line = Vec::new();
        // Two more than what fits: the end of the line, and one to see that it is too long.
        let limited = self.input.by_ref().take(LONGEST + 2).read_until(b'\n', &mut line);
        if limited.context("cannot read standard input")? == 0 {
            return Ok(None);
        }
        line.pop_if(|last| *last == b'\n');
        Ok(Some(fitting(line)?))
    }
}

fn fitting(payload: Vec<u8>) -> anyhow::Result<Bytes> {
    ensure!(
        payload.len() as u64 <= LONGEST,
        "a message is longer than {LONGEST} bytes, which is all that Redis can hold"
    );
    Ok(payload.into())
}

impl<R: BufRead> Iterator for Messages<'_, R> {
    type Item = anyhow::Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_message().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        Form {
            whole: false,
            envelopes: false,
            headers: vec![("a".into(), "b".into())],
            topic: None,
            source: "try".into(),
            attempt: 1,
        }
    }

    fn read(form: &Form, input: &[u8]) -> Vec<Message> {
        form.messages(input).map(Result::unwrap).collect()
    }

    fn payloads(form: &Form, input: &[u8]) -> Vec<Vec<u8>> {
        read(form, input).iter().map(|message| message.payload.to_vec()).collect()
    }

    #[test]
    fn a_line_is_a_payload_byte_for_byte() {
        assert_eq!(payloads(&form(), b"one\n\n\xff\r\nlast"), [&b"one"[..], b"", b"\xff\r", b"last"]);
        assert_eq!(payloads(&form(), b"one\n"), [b"one"]);
        assert!(payloads(&form(), b"").is_empty());
        assert_eq!(payloads(&Form { whole: true, ..form() }, b"one\ntwo\n"), [b"one\ntwo\n"]);
        assert_eq!(payloads(&Form { whole: true, ..form() }, b""), [b""]);
    }

    #[test]
    fn messages_are_numbered_and_wear_what_the_command_line_gives_them() {
        let messages = read(&Form { topic: Some("t".into()), attempt: 3, ..form() }, b"x\ny\n");
        let [_, second] = &messages[..] else { panic!("two lines") };
        assert_eq!((&*second.id, &*second.source, &*second.topic, second.attempt), ("try-2", "try", "t", 3));
        assert_eq!(second.header("A"), Some("b"));
    }

    #[test]
    fn an_envelope_brings_everything_along_in_either_spelling() {
        let form = Form { envelopes: true, ..form() };
        let input = br#"{"id":"x","source":"s","headers":{"h":"1"},"payload":"p","received_ms":5,"more":0}

{"topic":"t","attempts":2,"headers":[["h","1"],["h","2"]],"payload_base64":"/w=="}
{"payload":{"b":[1]}}
"#;
        let messages = read(&form, input);
        let [first, second, third] = &messages[..] else { panic!("three envelopes") };
        assert_eq!((&*first.id, &*first.source, &*first.topic, first.received_ms), ("x", "s", "s", 5));
        assert_eq!((&*second.id, &*second.topic, second.attempt, &second.payload[..]), ("try-3", "t", 2, &b"\xff"[..]));
        assert_eq!(second.headers.len(), 3);
        assert_eq!(third.payload, r#"{"b":[1]}"#);
    }

    #[test]
    fn what_is_no_envelope_is_told_with_its_line() {
        let form = Form { envelopes: true, ..form() };
        for wrong in ["{", "[]", "{}", r#"{"payload":"","payload_base64":""}"#, r#"{"payload_base64":"?"}"#] {
            let error = form.messages(format!("\n{wrong}").as_bytes()).next().unwrap().unwrap_err();
            assert_eq!(error.to_string(), "line 2 is no envelope", "{wrong}");
            assert!(error.source().is_some());
        }
    }

    #[test]
    fn headers_are_pairs() {
        assert_eq!(pair("a: b:c ").unwrap(), ("a".to_owned(), "b:c".to_owned()));
        assert!(pair("a").is_err() && pair(": b").is_err());
    }
}
