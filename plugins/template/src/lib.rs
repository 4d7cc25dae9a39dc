//! A filter that makes text of JSON messages by a template, and gives them topics and headers by templates.

mod render;

use gristmill_sdk::{Error, Filter, Message, Result, Verdict, filter};
use minijinja::Value;
use render::{Escape, Templates};
use serde::Deserialize;
use std::collections::BTreeMap;

gristmill_sdk::needs!();

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the payload becomes.
    template: Option<String>,
    topic: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Of what `template` puts in.
    #[serde(default)]
    escape: Escape,
    /// What the payload is.
    #[serde(default)]
    input: Input,
    /// Whether something that a message lacks is an empty text.
    #[serde(default)]
    lenient: bool,
    /// Steps and memory of one template.
    #[serde(default = "fuel")]
    fuel: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Input {
    #[default]
    Json,
    Text,
}

fn fuel() -> u64 {
    100_000
}

/// The filter.
pub struct Template {
    templates: Templates,
    input: Input,
    headers: Vec<String>,
}

/// What templates know.
const KNOWN: [&str; 6] = ["payload", "topic", "source", "id", "attempt", "headers"];

const PAYLOAD: &str = "template";
const TOPIC: &str = "topic";

#[filter]
impl Filter for Template {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        let mut templates = Templates::new(config.escape, config.lenient, config.fuel);
        if let Some(text) = config.template {
            templates.add(PAYLOAD, text, &KNOWN)?;
        }
        if let Some(text) = config.topic {
            templates.add(TOPIC, text, &KNOWN)?;
        }
        let headers: Vec<String> = config.headers.keys().cloned().collect();
        for (name, text) in config.headers {
            templates.add(&header(&name), text, &KNOWN)?;
        }
        if templates.is_empty() {
            return Err(Error::reject("config: expected `template`, `topic` or `headers`"));
        }
        Ok(Self { templates, input: config.input, headers })
    }

    fn filter(&mut self, mut message: Message) -> Result<Verdict> {
        let facts = self.facts(&message)?;
        let topic = self.templates.line(TOPIC, &facts)?;
        let values = self.headers.iter().map(|name| Ok((name, self.templates.line(&header(name), &facts)?)));
        let headers: Vec<_> = values.collect::<Result<_>>()?;
        if let Some(text) = self.templates.text(PAYLOAD, &facts)? {
            message.set_payload(text);
        }
        topic.into_iter().for_each(|topic| message.set_topic(topic));
        for (name, value) in headers {
            message.set_header(name, value.unwrap_or_default());
        }
        Ok(message.into())
    }
}

impl Template {
    /// What the templates name of the message, and nothing else: each costs a crossing.
    fn facts(&self, message: &Message) -> Result<Value> {
        let mut facts = BTreeMap::new();
        for name in KNOWN.into_iter().filter(|name| self.templates.name(name)) {
            let value = match name {
                "payload" => self.payload(message)?,
                "topic" => message.topic().into(),
                "source" => message.source().into(),
                "id" => message.id().into(),
                "attempt" => message.attempt().into(),
                _ => headers(message),
            };
            facts.insert(name, value);
        }
        Ok(facts.into())
    }

    fn payload(&self, message: &Message) -> Result<Value> {
        match self.input {
            Input::Json => message.json(),
            Input::Text => message.text().map(Value::from),
        }
    }
}

/// By their names in small letters; of several the first.
fn headers(message: &Message) -> Value {
    let mut headers = BTreeMap::new();
    for (name, value) in message.headers() {
        headers.entry(name.to_ascii_lowercase()).or_insert_with(|| Value::from(value));
    }
    headers.into()
}

/// The template of a header.
fn header(name: &str) -> String {
    format!("headers.{name}")
}

#[cfg(test)]
mod tests;
