//! A filter that gives messages topics and headers by the first of its rules that matches.

mod condition;
mod facts;

use condition::{Condition, Conditions, Subjects};
use facts::Facts;
use gristmill_sdk::{Error, Filter, Message, Result, Template, Verdict, filter};
use serde::Deserialize;
use std::collections::BTreeMap;

gristmill_sdk::needs!();

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// In this order; the first that matches counts.
    rules: Vec<RuleConfig>,
    #[serde(default)]
    otherwise: Otherwise,
}

/// One rule as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleConfig {
    /// All of these; none match every message.
    #[serde(default)]
    when: Conditions,
    /// With places such as `{json:country}`, as the values of headers.
    topic: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    drop: bool,
}

/// What becomes of a message that no rule matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Otherwise {
    #[default]
    Pass,
    Drop,
    Reject,
}

/// The filter.
pub struct Route {
    rules: Vec<Rule>,
    subjects: Subjects,
    otherwise: Otherwise,
}

struct Rule {
    when: Vec<Condition>,
    then: Then,
}

/// What a rule does.
enum Then {
    Drop,
    Change { topic: Option<Template>, headers: Vec<(Template, String)> },
}

#[filter]
impl Filter for Route {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        if config.rules.is_empty() {
            return Err(Error::reject("config.rules: expected at least one"));
        }
        let mut subjects = Subjects::default();
        let read = |(at, rule): (usize, RuleConfig)| {
            rule.read(&mut subjects).map_err(|error| Error::reject(format!("config.rules[{at}].{}", error.reason())))
        };
        let rules = config.rules.into_iter().enumerate().map(read).collect::<Result<_>>()?;
        Ok(Self { rules, subjects, otherwise: config.otherwise })
    }

    fn filter(&mut self, mut message: Message) -> Result<Verdict> {
        let Some((at, rule)) = self.first(&message)? else {
            return match self.otherwise {
                Otherwise::Pass => Ok(Verdict::Pass),
                Otherwise::Drop => Ok(Verdict::drop("no rule matches")),
                Otherwise::Reject => Err(Error::reject("no rule matches")),
            };
        };
        let Then::Change { topic, headers } = &rule.then else {
            return Ok(Verdict::drop(format!("rule {} matches", at + 1)));
        };
        // All of them are of the message before.
        let topic = topic.as_ref().map(|topic| topic.fill(&message)).transpose()?;
        let headers = headers.iter().map(|(value, name)| Ok((name.clone(), value.fill(&message)?)));
        let headers = headers.collect::<Result<Vec<_>>>()?;
        topic.into_iter().for_each(|topic| message.set_topic(topic));
        headers.into_iter().for_each(|(name, value)| message.set_header(name, value));
        Ok(message.into())
    }
}

impl Route {
    /// The first rule that matches, with its place.
    fn first(&self, message: &Message) -> Result<Option<(usize, &Rule)>> {
        let mut facts = Facts::of(message, &self.subjects);
        for (at, rule) in self.rules.iter().enumerate() {
            if rule.matches(&mut facts)? {
                return Ok(Some((at, rule)));
            }
        }
        Ok(None)
    }
}

impl Rule {
    fn matches(&self, facts: &mut Facts<'_>) -> Result<bool> {
        for condition in &self.when {
            if !condition.holds(facts)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl RuleConfig {
    fn read(self, subjects: &mut Subjects) -> Result<Rule> {
        if self.drop && (self.topic.is_some() || !self.headers.is_empty()) {
            return Err(Error::reject("drop: what is dropped needs no topic and no headers"));
        }
        let when = self.when.read(subjects)?;
        let topic = self.topic.map(|text| template("topic", &text)).transpose()?;
        let header = |(name, text): (String, String)| Ok((template(&format!("headers.{name}"), &text)?, name));
        let headers = self.headers.into_iter().map(header).collect::<Result<_>>()?;
        Ok(Rule { when, then: if self.drop { Then::Drop } else { Then::Change { topic, headers } } })
    }
}

fn template(key: &str, text: &str) -> Result<Template> {
    Template::parse(text).map_err(|error| Error::reject(format!("{key}: {}", error.reason())))
}

#[cfg(test)]
mod tests;
