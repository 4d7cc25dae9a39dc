//! Conditions of rules: what is looked at, and what it has to be.

use crate::facts::Facts;
use gristmill_sdk::{
    Error, Result,
    json::{Found, Paths},
};
use regex_lite::Regex;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;
use std::{borrow::Cow, fmt};

/// `when`: one table, or a list of them.
#[derive(Debug, Default)]
pub(crate) struct Conditions(Vec<Written>);

/// One condition as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    json: Option<String>,
    header: Option<String>,
    envelope: Option<Envelope>,
    equals: Option<Value>,
    #[serde(rename = "in")]
    among: Option<Vec<Value>>,
    prefix: Option<String>,
    matches: Option<String>,
    exists: Option<bool>,
    #[serde(default)]
    not: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Envelope {
    Topic,
    Source,
}

/// One condition.
#[derive(Debug)]
pub(crate) struct Condition {
    subject: Subject,
    test: Test,
    /// Holds where the test fails.
    not: bool,
}

/// What is looked at.
#[derive(Debug)]
enum Subject {
    /// A path, by the walk that finds it and its place among the paths of that.
    Json {
        walk: usize,
        path: usize,
    },
    Header(String),
    Envelope(Envelope),
}

/// What it has to be.
#[derive(Debug)]
enum Test {
    /// One of these: strings, numbers and booleans.
    Among(Vec<Value>),
    Prefix(String),
    Matches(Regex),
    Exists,
}

/// The paths of all conditions: those that cannot meet are found in one walk, each other one has a walk of its own.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    /// Without brackets and quotes: different texts lead to different values.
    plain: Vec<String>,
    walks: Vec<Paths>,
}

impl Subjects {
    /// The walks that conditions name by their number.
    pub(crate) fn walks(&self) -> &[Paths] {
        &self.walks
    }

    fn add(&mut self, path: &str) -> Result<Subject> {
        // The walk for plain paths is the first, also where there are none.
        if self.walks.is_empty() {
            self.walks.push(paths(&[])?);
        }
        if path.contains(['[', '"']) {
            self.walks.push(paths(&[path.to_owned()])?);
            return Ok(Subject::Json { walk: self.walks.len() - 1, path: 0 });
        }
        if let Some(known) = self.plain.iter().position(|known| known == path) {
            return Ok(Subject::Json { walk: 0, path: known });
        }
        self.plain.push(path.to_owned());
        let all = paths(&self.plain)?;
        self.walks.first_mut().into_iter().for_each(|walk| walk.clone_from(&all));
        Ok(Subject::Json { walk: 0, path: self.plain.len() - 1 })
    }
}

fn paths(list: &[String]) -> Result<Paths> {
    Paths::new(list).map_err(|error| Error::reject(format!("json: {error}")))
}

impl Conditions {
    /// # Errors
    /// The first that will not do, beginning with its place in the rule.
    pub(crate) fn read(self, subjects: &mut Subjects) -> Result<Vec<Condition>> {
        let many = self.0.len() > 1;
        let read = |(at, written): (usize, Written)| {
            let place = if many { format!("when[{at}]") } else { "when".to_owned() };
            written.read(subjects).map_err(|error| Error::reject(format!("{place}.{}", error.reason())))
        };
        self.0.into_iter().enumerate().map(read).collect()
    }
}

impl Written {
    fn read(self, subjects: &mut Subjects) -> Result<Condition> {
        let (test, mut not) = self.test()?;
        not ^= self.not;
        let subject = match (self.json, self.header, self.envelope) {
            (Some(path), None, None) => subjects.add(&path)?,
            (None, Some(name), None) => Subject::Header(name),
            (None, None, Some(envelope)) => Subject::Envelope(envelope),
            _ => return Err(Error::reject("json: expected one of `json`, `header` and `envelope`")),
        };
        Ok(Condition { subject, test, not })
    }

    /// The test, and whether it is turned around.
    fn test(&self) -> Result<(Test, bool)> {
        let equals = self.equals.as_ref().map(|value| Ok(Test::Among(vec![value.clone()])));
        let among = self.among.as_ref().map(|values| Ok(Test::Among(values.clone())));
        let prefix = self.prefix.as_ref().map(|prefix| Ok(Test::Prefix(prefix.clone())));
        let matches = self.matches.as_ref().map(|pattern| {
            let wrong = |error| Error::reject(format!("matches: {error}"));
            Regex::new(pattern).map(Test::Matches).map_err(wrong)
        });
        let exists = self.exists.map(|_| Ok(Test::Exists));
        let mut tests = [equals, among, prefix, matches, exists].into_iter().flatten();
        let (Some(test), None) = (tests.next(), tests.next()) else {
            let one = "equals: expected one of `equals`, `in`, `prefix`, `matches` and `exists`";
            return Err(Error::reject(one));
        };
        let test = test?;
        self.check(&test)?;
        Ok((test, self.exists == Some(false)))
    }

    /// Texts are compared with texts, and nothing with what holds other values.
    fn check(&self, test: &Test) -> Result<()> {
        let Test::Among(values) = test else { return Ok(()) };
        let is_text = self.json.is_none();
        let is_plain = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
        let wrong = |value: &&Value| if is_text { !value.is_string() } else { !is_plain(value) };
        match values.iter().find(wrong) {
            Some(value) if is_text => Err(Error::reject(format!("equals: expected a string, not `{value}`"))),
            Some(_) => Err(Error::reject("equals: expected a string, a number or a boolean")),
            None => Ok(()),
        }
    }
}

impl Condition {
    /// # Errors
    /// A rejection if it looks at the payload, and that is not JSON.
    pub(crate) fn holds(&self, facts: &mut Facts<'_>) -> Result<bool> {
        let message = facts.message();
        let holds = match &self.subject {
            Subject::Json { walk, path } => facts.found(*walk, *path)?.any(|found| self.test.holds_for(found)),
            Subject::Header(name) => message.header(name).is_some_and(|value| self.test.holds_for_text(&value)),
            Subject::Envelope(Envelope::Topic) => self.test.holds_for_text(&message.topic()),
            Subject::Envelope(Envelope::Source) => self.test.holds_for_text(&message.source()),
        };
        Ok(holds != self.not)
    }
}

impl Test {
    fn holds_for_text(&self, text: &str) -> bool {
        match self {
            Self::Among(values) => values.iter().any(|value| value.as_str() == Some(text)),
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Matches(pattern) => pattern.is_match(text),
            Self::Exists => true,
        }
    }

    fn holds_for(&self, found: &Found<'_>) -> bool {
        match self {
            Self::Among(values) => values.iter().any(|value| equal(value, found)),
            Self::Exists => true,
            Self::Prefix(_) | Self::Matches(_) => text(found).is_some_and(|text| self.holds_for_text(&text)),
        }
    }
}

/// Of a string its text, of a number, boolean or null what is written.
fn text<'d>(found: &Found<'d>) -> Option<Cow<'d, str>> {
    match found.raw.first() {
        Some(b'"') => found.text(),
        Some(b'{' | b'[') => None,
        _ => std::str::from_utf8(found.raw).ok().map(Cow::Borrowed),
    }
}

/// Numbers are equal however they are written.
fn equal(value: &Value, found: &Found<'_>) -> bool {
    match value {
        Value::String(expected) => found.text().is_some_and(|text| text == expected.as_str()),
        Value::Number(expected) => {
            let number = serde_json::from_slice::<serde_json::Number>(found.raw);
            number.is_ok_and(|number| number == *expected || number.as_f64() == expected.as_f64())
        }
        Value::Bool(true) => found.raw == b"true",
        Value::Bool(false) => found.raw == b"false",
        _ => false,
    }
}

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Conditions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a condition or a list of conditions")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Conditions, A::Error> {
                Ok(Conditions(vec![Written::deserialize(MapAccessDeserializer::new(members))?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Conditions, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = items.next_element()? {
                    all.push(one);
                }
                Ok(Conditions(all))
            }
        }

        reader.deserialize_any(OneOrMany)
    }
}
