//! A parsed file in which every key and value remembers where it stands.

use super::fault::{Fault, Faults, Source};
use std::{ops::Range, sync::Arc};
use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

/// Nothing here needs more than five levels; a plugin's own configuration may.
const DEEPEST: usize = 64;

/// A whole file.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) source: Arc<Source>,
    pub(super) root: Vec<Entry>,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Value,
}

/// A value and the bytes that spell it; for a table with a header of its own, the header.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

/// What a value is, in TOML's terms; strings are not expanded yet.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Text(String),
    /// Larger than any range here allows where the file's number is too large even for this.
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Datetime(String),
    List(Vec<Value>),
    /// In the order of the file.
    Table(Vec<Entry>),
}

impl Document {
    /// Fails with the first place at which the text is not TOML.
    pub(super) fn parse(source: Source) -> Result<Self, Faults> {
        let source = Arc::new(source);
        match on_a_deep_stack(|| tree(&source.text)) {
            Ok(root) => Ok(Self { source, root }),
            Err(fault) => Err(Faults::new(&source, vec![fault])),
        }
    }
}

impl Kind {
    /// As a person would call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a fraction",
            Self::Boolean(_) => "true or false",
            Self::Datetime(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Value {
    /// The entries, if it is a table.
    pub(super) fn table(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The string as the file spells it, before `${NAME}` is replaced.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The entry for `key`.
pub(super) fn find<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.key == key)
}

/// The parser allows 80 levels each of tables, dotted keys and dotted keys in each inline table. Freeing the
/// 6,400 that a file can make of that by way of recursion needs more stack than a thread of ours has.
fn on_a_deep_stack<T: Send>(parse: impl FnOnce() -> Result<T, Fault> + Send) -> Result<T, Fault> {
    const STACK: usize = 32 << 20;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        match thread.spawn_scoped(scope, parse).map(|thread| thread.join()) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Fault::error("reading this file ended in a panic")
                .help("this is a mistake in gristmill; please report it with the file")),
            Err(error) => Err(Fault::error(format!("no thread to read this file: {error}"))
                .help("allow the process more threads and memory")),
        }
    })
}

fn tree(text: &str) -> Result<Vec<Entry>, Fault> {
    let table = DeTable::parse(text).map_err(|error| syntax_fault(&error, text))?;
    entries(table.get_ref(), 0).map_err(|TooDeep(span)| deep_fault(&span))
}

struct TooDeep(Range<usize>);

fn entries(table: &DeTable<'_>, depth: usize) -> Result<Vec<Entry>, TooDeep> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table.iter() {
        entries.push(Entry { key: key.get_ref().to_string(), key_span: key.span(), value: convert(value, depth + 1)? });
    }
    entries.sort_by_key(|entry| entry.key_span.start);
    Ok(entries)
}

fn convert(value: &Spanned<DeValue<'_>>, depth: usize) -> Result<Value, TooDeep> {
    let span = value.span();
    if depth > DEEPEST {
        return Err(TooDeep(span));
    }
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) => Kind::Integer(integer(number)),
        DeValue::Float(number) => Kind::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(truth) => Kind::Boolean(*truth),
        DeValue::Datetime(moment) => Kind::Datetime(moment.to_string()),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| convert(item, depth + 1));
            Kind::List(items.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => Kind::Table(entries(table, depth)?),
    };
    Ok(Value { span, kind })
}

fn integer(number: &DeInteger<'_>) -> i128 {
    let beyond = match number.as_str().starts_with('-') {
        true => i128::MIN,
        false => i128::MAX,
    };
    i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(beyond)
}

fn syntax_fault(error: &toml::de::Error, text: &str) -> Fault {
    let message = match error.message() {
        "duplicate key" => "this key or table stands here for the second time",
        "recursion limit" => "this is nested too deeply",
        other => other,
    };
    let fault = Fault::error(format!("not valid TOML: {message}"))
        .help("`gristmill config default` shows how each key is written");
    match error.span() {
        Some(span) => fault.at(&(span.start..span.end.min(text.len()))),
        None => fault,
    }
}

fn deep_fault(span: &Range<usize>) -> Fault {
    Fault::error(format!("this is nested more than {DEEPEST} levels deep"))
        .at(span)
        .help("a plugin can read a deep structure from a string of JSON")
}
