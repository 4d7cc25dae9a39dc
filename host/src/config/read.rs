//! Reads one table after the other: knows the keys and defaults from `default.toml`, and collects what is wrong.

use super::{
    document::{Entry, Kind, Value, find},
    expand::{Environment, Reason, Unexpandable, expand},
    fault::{Fault, did_you_mean, shown},
    notation::{self, Wrong},
};
use std::{
    ops::{Range, RangeInclusive},
    time::Duration,
};

/// What reading a file needs, and the faults found on the way.
///
/// Every decoder returns `None` after it has reported why.
pub(super) struct Reading<'a> {
    pub(super) text: &'a str,
    pub(super) environment: &'a Environment<'a>,
    pub(super) faults: Vec<Fault>,
    /// The root of `default.toml`.
    pub(super) defaults: &'static [Entry],
}

/// A value and the name by which messages call it.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a Value,
}

impl Reading<'_> {
    /// Reports `fault`; `None` so that decoders can end with it.
    pub(super) fn refuse<T>(&mut self, fault: Fault) -> Option<T> {
        self.faults.push(fault);
        None
    }

    /// Passes on what the notation of `item` says.
    pub(super) fn accept<T>(&mut self, item: Item<'_>, result: Result<T, Wrong>) -> Option<T> {
        self.accept_at(item.name, &item.value.span, result)
    }

    /// Passes on what a notation says of `name`, which stands at `span`.
    pub(super) fn accept_at<T>(&mut self, name: &str, span: &Range<usize>, result: Result<T, Wrong>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Wrong { what, help }) => {
                self.refuse(Fault::error(format!("`{}` {what}", shown(name))).at(span).help(help))
            }
        }
    }

    /// The value is of another type than its key takes.
    pub(super) fn mistyped<T>(&mut self, item: Item<'_>, wanted: &str, help: &str) -> Option<T> {
        let found = item.value.kind.name();
        self.refuse(
            Fault::error(format!("`{}` is {found}, not {wanted}", shown(item.name))).at(&item.value.span).help(help),
        )
    }

    /// A string with its variables replaced.
    pub(super) fn text(&mut self, item: Item<'_>) -> Option<String> {
        match &item.value.kind {
            Kind::Text(text) => self.expanded(item, text),
            _ => self.mistyped(item, "a string", "put the value into quotes"),
        }
    }

    /// A string that is not empty.
    pub(super) fn some_text(&mut self, item: Item<'_>) -> Option<String> {
        let text = self.text(item)?;
        let wrong = Wrong { what: "is empty", help: "write a value, or leave the key out for its default" };
        self.accept(item, if text.is_empty() { Err(wrong) } else { Ok(text) })
    }

    /// A whole number in `range`.
    pub(super) fn number<T>(&mut self, item: Item<'_>, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i128> + PartialOrd + std::fmt::Display,
    {
        let (low, high) = (range.start(), range.end());
        let Kind::Integer(number) = item.value.kind else {
            let help = format!("write a number from {low} to {high}, without quotes");
            return self.mistyped(item, "a whole number", &help);
        };
        match T::try_from(number) {
            Ok(number) if range.contains(&number) => Some(number),
            _ => self.refuse(
                Fault::error(format!("`{}` is out of range", item.name))
                    .at(&item.value.span)
                    .help(format!("write a number from {low} to {high}")),
            ),
        }
    }

    /// A duration from `shortest`, which is spelled as in a file, to a year.
    pub(super) fn duration(&mut self, item: Item<'_>, shortest: &str) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_secs(365 * 86_400);
        if let Kind::Integer(number @ 0..=1_000_000_000) = item.value.kind {
            return self.refuse(
                Fault::error(format!("`{}` has no unit", item.name)).at(&item.value.span).help(format!(
                    "write \"{number}s\" for seconds or \"{number}ms\" for milliseconds, with the quotes"
                )),
            );
        }
        let Kind::Text(_) = item.value.kind else {
            return self.mistyped(item, "a duration", "write it such as \"250ms\" or \"30s\"");
        };
        let text = self.text(item)?;
        let duration = self.accept(item, notation::duration(&text))?;
        let least = notation::duration(shortest).unwrap_or_default();
        if (least..=LONGEST).contains(&duration) {
            return Some(duration);
        }
        self.refuse(
            Fault::error(format!("`{}` is out of range", item.name))
                .at(&item.value.span)
                .help(format!("write a duration from \"{shortest}\" to \"365d\"")),
        )
    }

    /// A list, each of its items decoded; every bad one is reported.
    pub(super) fn list<T>(
        &mut self,
        item: Item<'_>,
        mut decode: impl FnMut(&mut Self, Item<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Kind::List(values) = &item.value.kind else {
            let help = format!("write `{} = [\"…\"]`", item.name);
            return self.mistyped(item, "a list", &help);
        };
        let decoded: Vec<Option<T>> = values.iter().map(|value| decode(self, Item { value, ..item })).collect();
        decoded.into_iter().collect()
    }

    /// Any value as JSON, its strings with their variables replaced, its dates as strings.
    pub(super) fn json(&mut self, item: Item<'_>) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        match &item.value.kind {
            Kind::Text(text) => self.expanded(item, text).map(Json::String),
            Kind::Integer(number) => match i64::try_from(*number) {
                Ok(number) => Some(number.into()),
                Err(_) => self.unfit(item, "is a number of more than 64 bits", "write a smaller number, or a string"),
            },
            Kind::Float(number) => match serde_json::Number::from_f64(*number) {
                Some(number) => Some(Json::Number(number)),
                None => self.unfit(item, "is a number that JSON does not have", "write a finite number, or a string"),
            },
            Kind::Boolean(truth) => Some(Json::Bool(*truth)),
            Kind::Datetime(moment) => Some(Json::String(moment.clone())),
            Kind::List(_) => self.list(item, Self::json).map(Json::Array),
            Kind::Table(entries) => self.json_object(entries),
        }
    }

    fn json_object(&mut self, entries: &[Entry]) -> Option<serde_json::Value> {
        let pairs: Vec<Option<(String, serde_json::Value)>> = entries
            .iter()
            .map(|Entry { key, value, .. }| {
                let json = self.json(Item { name: key, value })?;
                Some((key.clone(), json))
            })
            .collect();
        let object: Option<serde_json::Map<_, _>> = pairs.into_iter().collect();
        object.map(serde_json::Value::Object)
    }

    fn unfit<T>(&mut self, item: Item<'_>, what: &'static str, help: &'static str) -> Option<T> {
        self.accept(item, Err(Wrong { what, help }))
    }

    fn expanded(&mut self, item: Item<'_>, text: &str) -> Option<String> {
        match expand(text, self.environment) {
            Ok(expanded) => Some(expanded),
            Err(wrong) => {
                for wrong in &wrong {
                    self.faults.push(self.unexpandable(item, wrong));
                }
                None
            }
        }
    }

    fn unexpandable(&self, item: Item<'_>, wrong: &Unexpandable<'_>) -> Fault {
        let (message, help) = match wrong.reason {
            Reason::Missing(name) => (
                format!("the environment variable `{}` is not set", shown(name)),
                format!("set it, or give a default: `${{{}:-…}}`", shown(name)),
            ),
            Reason::Unclosed => {
                ("this `${` has no `}`".to_owned(), "write `${NAME}`, or `$${` for a literal `${`".to_owned())
            }
            Reason::NotAName => (
                "this `${…}` holds no name of a variable".to_owned(),
                "write `${NAME}` or `${NAME:-default}`, or `$${` for a literal `${`".to_owned(),
            ),
        };
        Fault::error(message).at(&self.span_within(&item.value.span, wrong.from)).help(help)
    }

    /// Where in the file the `${…}` stands with which `from` begins; the whole value where escapes hide it.
    fn span_within(&self, whole: &Range<usize>, from: &str) -> Range<usize> {
        let token = from.find('}').map_or(from, |end| from.get(..=end).unwrap_or(from));
        let written = self.text.get(whole.clone()).unwrap_or("");
        match written.find(token) {
            Some(at) => whole.start + at..whole.start + at + token.len(),
            None => whole.clone(),
        }
    }
}

/// One table with the defaults for its keys.
pub(super) struct Fields<'a> {
    /// Such as `in [pipeline.notifications]`, for messages.
    title: String,
    entries: &'a [Entry],
    defaults: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// Reports the keys that are not among the defaults' ones.
    pub(super) fn new(reading: &mut Reading<'_>, title: String, entries: &'a [Entry], defaults: &'a [Entry]) -> Self {
        let fields = Self { title, entries, defaults };
        for entry in entries {
            if find(defaults, &entry.key).is_none() {
                let fault = fields.unknown(reading, entry);
                reading.faults.push(fault);
            }
        }
        fields
    }

    /// The value of `key` as the file has it.
    pub(super) fn written(&self, key: &'a str) -> Option<Item<'a>> {
        find(self.entries, key).map(|entry| Item { name: key, value: &entry.value })
    }

    /// The value of `key`, or its default.
    pub(super) fn item(&self, key: &'a str) -> Item<'a> {
        self.written(key).unwrap_or_else(|| Item { name: key, value: self.default(key) })
    }

    /// The table `key` of this one, empty where it is left out.
    pub(super) fn table(&self, reading: &mut Reading<'_>, key: &'a str) -> Fields<'a> {
        let entries = match self.written(key) {
            None => Some([].as_slice()),
            Some(item) => item.value.table().or_else(|| {
                let help = "write it as `{ key = value }`, or under a header in square brackets";
                reading.mistyped(item, "a table", help)
            }),
        };
        let defaults = self.default(key).table().unwrap_or(&[]);
        Fields::new(reading, format!("in `{key}`"), entries.unwrap_or(&[]), defaults)
    }

    fn default(&self, key: &str) -> &'a Value {
        &find(self.defaults, key).expect("only keys of `default.toml` are asked for").value
    }

    fn unknown(&self, reading: &Reading<'_>, entry: &Entry) -> Fault {
        let keys = || self.defaults.iter().map(|known| known.key.as_str());
        let help = match (did_you_mean(&entry.key, keys()), home(reading, &entry.key)) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, Some(home)) => format!("`{}` belongs {home}", entry.key),
            (None, None) => format!("the keys here are {}", listed(keys())),
        };
        Fault::error(format!("unknown key `{}` {}", shown(&entry.key), self.title)).at(&entry.key_span).help(help)
    }
}

/// Where a key of another table should stand.
fn home(reading: &Reading<'_>, key: &str) -> Option<String> {
    let holds = |entries: &[Entry]| find(entries, key).is_some();
    if holds(reading.defaults) {
        return Some("at the top of the file, before the first table".to_owned());
    }
    let tables = reading.defaults.iter().filter_map(|table| {
        let entries = table.value.table()?;
        match find(entries, "NAME") {
            Some(named) => Some((format!("{}.NAME", table.key), named.value.table()?)),
            None => Some((table.key.clone(), entries)),
        }
    });
    let mut homes = tables.filter(|(_, entries)| holds(entries));
    homes.next().map(|(title, _)| format!("under [{title}]"))
}

fn listed<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
    keys.join(", ")
}
