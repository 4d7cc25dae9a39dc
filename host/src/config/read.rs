//! Reads one value after the other, and collects what is wrong with them.

use super::{
    document::{Entry, Kind, Value},
    expand::{Environment, Reason, SECRET, Unexpandable, expand},
    fault::{Fault, did_you_mean, shown},
    notation::{self, Wrong},
};
use std::{
    collections::BTreeMap,
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

    /// A string that is left out by leaving it empty.
    pub(super) fn optional_text(&mut self, item: Item<'_>) -> Option<Option<String>> {
        self.text(item).map(|text| Some(text).filter(|text| !text.is_empty()))
    }

    /// Whether the value is just `word`; says nothing of what is wrong with it otherwise.
    pub(super) fn is(&self, item: Item<'_>, word: &str) -> bool {
        let text = item.value.text().map(|text| expand(text, self.environment));
        matches!(text, Some(Ok(text)) if text == word)
    }

    /// A value of its kind, or `word` for none.
    pub(super) fn unless<T>(
        &mut self,
        item: Item<'_>,
        word: &str,
        decode: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.is(item, word) {
            return Some(None);
        }
        let before = self.faults.len();
        let value = decode(self);
        let new = self.faults.split_off(before);
        self.faults.extend(new.into_iter().map(|fault| fault.or_write(word)));
        value.map(Some)
    }

    /// One of several words.
    pub(super) fn one_of<T: Copy>(&mut self, item: Item<'_>, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(item)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known = || words.iter().map(|(word, _)| *word);
        let quoted: Vec<String> = known().map(|word| format!("\"{word}\"")).collect();
        // The text as the file has it, because the value of a variable must not get into a message.
        let help = match item.value.text().and_then(|text| did_you_mean(text, known())) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("write {}", quoted.join(" or ")),
        };
        let what = match &quoted[..] {
            [one, other] => format!("neither {one} nor {other}"),
            _ => format!("none of {}", quoted.join(", ")),
        };
        self.refuse(Fault::error(format!("`{}` is {what}", item.name)).at(&item.value.span).help(help))
    }

    /// `true` or `false`.
    pub(super) fn truth(&mut self, item: Item<'_>) -> Option<bool> {
        match item.value.kind {
            Kind::Boolean(truth) => Some(truth),
            _ => self.mistyped(item, "true or false", "write true or false, without quotes"),
        }
    }

    /// One string or a list of them, each as `check` wants it: at least one, none empty, none twice.
    pub(super) fn names(&mut self, item: Item<'_>, check: impl Fn(&str) -> Result<(), Wrong>) -> Option<Vec<String>> {
        let name = |reading: &mut Self, item: Item<'_>| {
            let name = reading.some_text(item)?;
            reading.accept(item, check(&name)).map(|()| name)
        };
        let Kind::List(values) = &item.value.kind else {
            return name(self, item).map(|name| vec![name]);
        };
        if values.is_empty() {
            let what = Fault::error(format!("`{}` names nothing", item.name)).at(&item.value.span);
            return self
                .refuse(what.help(format!("write `{name} = \"…\"` or `{name} = [\"…\", \"…\"]`", name = item.name)));
        }
        let names = self.list(item, name)?;
        self.without_doublets(item, names, values)
    }

    fn without_doublets(&mut self, item: Item<'_>, names: Vec<String>, values: &[Value]) -> Option<Vec<String>> {
        let mut seen = BTreeMap::new();
        let mut doublets = Vec::new();
        for (name, value) in names.iter().zip(values) {
            if let Some(first) = seen.insert(name, &value.span) {
                let fault = Fault::error(format!("this stands in `{}` twice", item.name)).at(&value.span);
                doublets.push(fault.and_at(first, "first here").help("leave one of them out"));
            }
        }
        let alone = doublets.is_empty();
        self.faults.extend(doublets);
        alone.then_some(names)
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

    /// A part of a whole, above 0 and at most 1.
    pub(super) fn share(&mut self, item: Item<'_>) -> Option<f64> {
        const HELP: &str = "write a number above 0 and at most 1, such as 0.5 for a half";
        let share = match item.value.kind {
            Kind::Float(share) => share,
            Kind::Integer(share) => share as f64,
            _ => return self.mistyped(item, "a number", HELP),
        };
        if share > 0.0 && share <= 1.0 {
            return Some(share);
        }
        self.refuse(Fault::error(format!("`{}` is out of range", item.name)).at(&item.value.span).help(HELP))
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
        let secret = |name: &'_ str| name.strip_prefix(SECRET).map(shown);
        let (message, help) = match wrong.reason {
            Reason::Missing(name) if let Some(name) = secret(name) => (
                format!("there is no secret `{name}` here"),
                format!("a plugin's `config` may hold those of its table: `secrets = {{ {name} = \"${{…}}\" }}`"),
            ),
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
