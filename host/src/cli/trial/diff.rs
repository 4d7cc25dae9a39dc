//! What differs between a message and what a plugin made of it.

use crate::{cli::payload, message::Message};
use serde_json::Value;

/// Lines on either side that are compared one by one; longer texts are shown as a whole.
const LINES: usize = 1_000;

/// One thing that was there, is there now, or both.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(super) struct Change<T> {
    /// A header's name, or the path of a JSON value.
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<T>,
}

/// How two payloads differ.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Payload {
    Same,
    /// JSON with the same values, written in another way.
    SameValues,
    Json(Vec<Change<Value>>),
    Lines(Vec<Edit>),
    /// At least one is no text; they are the same up to this byte.
    Bytes(usize),
}

/// One line of a text that became another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    Removed(String),
    Added(String),
    /// So many lines that are the same.
    Kept(usize),
}

/// The topics where they differ, before and after.
pub(super) fn topic<'a>(before: &'a Message, after: &'a Message) -> Option<(&'a str, &'a str)> {
    (before.topic != after.topic).then_some((&before.topic, &after.topic))
}

/// The headers that differ, by name; several of one name are one value.
pub(super) fn headers(before: &Message, after: &Message) -> Vec<Change<String>> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in before.headers.iter().chain(&after.headers) {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name.clone());
        }
    }
    let changes =
        names.into_iter().map(|name| Change { before: values(before, &name), after: values(after, &name), name });
    changes.filter(|change| change.before != change.after).collect()
}

fn values(message: &Message, name: &str) -> Option<String> {
    let values = message.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// How `after` differs from `before`.
pub(super) fn payload(before: &[u8], after: &[u8]) -> Payload {
    if before == after {
        return Payload::Same;
    }
    if let (Some(before), Some(after)) = (document(before), document(after)) {
        let mut changes = Vec::new();
        compare(&mut changes, "", Some(&before), Some(&after));
        return if changes.is_empty() { Payload::SameValues } else { Payload::Json(changes) };
    }
    match (payload::text(before), payload::text(after)) {
        (Some(before), Some(after)) => Payload::Lines(lines(before, after)),
        _ => Payload::Bytes(before.iter().zip(after).take_while(|(one, other)| one == other).count()),
    }
}

/// The object or array in `bytes`; a lone number or string is shown better as text.
fn document(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().filter(|value: &Value| value.is_object() || value.is_array())
}

fn compare(changes: &mut Vec<Change<Value>>, path: &str, before: Option<&Value>, after: Option<&Value>) {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let new = after.keys().filter(|key| !before.contains_key(*key));
            for key in before.keys().chain(new) {
                compare(changes, &member(path, key), before.get(key), after.get(key));
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => elements(changes, path, before, after),
        (None, None) => {}
        _ => changes.push(Change { name: path.to_owned(), before: before.cloned(), after: after.cloned() }),
    }
}

/// Compares two arrays beyond what they begin and end with alike, so that one element more is one change.
fn elements(changes: &mut Vec<Change<Value>>, path: &str, before: &[Value], after: &[Value]) {
    let (start, end) = alike(before, after);
    let middle = |all: &[Value]| all.len() - end;
    for at in start..middle(before).max(middle(after)) {
        let one = before.get(at).filter(|_| at < middle(before));
        let other = after.get(at).filter(|_| at < middle(after));
        compare(changes, &format!("{path}[{at}]"), one, other);
    }
}

/// How many elements two slices have in common at their start, and then at their end.
fn alike<T: PartialEq>(one: &[T], other: &[T]) -> (usize, usize) {
    let start = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let rest = one.len().min(other.len()) - start;
    let end = one.iter().rev().zip(other.iter().rev()).take(rest).take_while(|(one, other)| one == other).count();
    (start, end)
}

/// Written as in the SDK's paths, with the number of an element in its brackets.
fn member(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && !key.contains(['.', '[', ']', '"']) && !key.contains(char::is_control);
    let key = if plain { key.to_owned() } else { Value::from(key).to_string() };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn lines(before: &str, after: &str) -> Vec<Edit> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.split('\n').collect(), after.split('\n').collect());
    let (start, end) = alike(&before, &after);
    let middle = |all: &[&str]| -> Vec<String> {
        all.iter().take(all.len() - end).skip(start).map(|line| (*line).to_owned()).collect()
    };
    let mut edits = vec![Edit::Kept(start)];
    edits.extend(edited(middle(&before), middle(&after)));
    edits.push(Edit::Kept(end));
    edits.retain(|edit| *edit != Edit::Kept(0));
    edits
}

/// The shortest way from one list of lines to the other, where they are not too long for it.
fn edited(before: Vec<String>, after: Vec<String>) -> Vec<Edit> {
    if before.len() > LINES || after.len() > LINES {
        return before.into_iter().map(Edit::Removed).chain(after.into_iter().map(Edit::Added)).collect();
    }
    let common = common(&before, &after);
    let longest = |one: usize, other: usize| common.get(one).and_then(|row| row.get(other)).copied().unwrap_or(0);
    let mut edits = Vec::new();
    let (mut one, mut other) = (0, 0);
    loop {
        let (old, new) = (before.get(one), after.get(other));
        let removes = new.is_none() || longest(one + 1, other) >= longest(one, other + 1);
        match (old, new) {
            (Some(line), Some(same)) if line == same => {
                keep(&mut edits);
                (one, other) = (one + 1, other + 1);
            }
            (Some(line), _) if removes => {
                edits.push(Edit::Removed(line.clone()));
                one += 1;
            }
            (_, Some(line)) => {
                edits.push(Edit::Added(line.clone()));
                other += 1;
            }
            _ => return edits,
        }
    }
}

fn keep(edits: &mut Vec<Edit>) {
    match edits.last_mut() {
        Some(Edit::Kept(count)) => *count += 1,
        _ => edits.push(Edit::Kept(1)),
    }
}

/// For each pair of places, how many lines can be kept from there on.
fn common(before: &[String], after: &[String]) -> Vec<Vec<u16>> {
    let mut rows = vec![vec![0u16; after.len() + 1]];
    for line in before.iter().rev() {
        let below = rows.last().cloned().unwrap_or_default();
        let mut row = vec![0u16; after.len() + 1];
        let mut right = 0;
        for (at, other) in after.iter().enumerate().rev() {
            let kept = |at: usize| below.get(at).copied().unwrap_or(0);
            right = if line == other { kept(at + 1) + 1 } else { right.max(kept(at)) };
            if let Some(cell) = row.get_mut(at) {
                *cell = right;
            }
        }
        rows.push(row);
    }
    rows.reverse();
    rows
}

#[cfg(test)]
mod tests;
