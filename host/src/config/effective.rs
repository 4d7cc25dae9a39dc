//! Writes a configuration out with every default filled in, and with `${NAME}` as the file has it.

use super::{
    document::{Entry, Kind, Value, find},
    load::Loaded,
    place,
    reference::{DEFAULT, SourceKind, defaults},
    secret::{is_variable, without_passwords},
};

/// The whole configuration as TOML, which loads to the same `Config` from the same directory, unless there are passwords in it.
///
/// Values of the environment do not appear: `${NAME}` stays as written; a password or secret that is something else is not shown. `file`, `dead_letters` and the `host` of
/// Resque, whose defaults follow from other names, appear only where the file has them.
pub fn effective(loaded: &Loaded) -> String {
    let document = &loaded.document;
    let file = &*without_passwords(&document.source.text);
    let (tables, keys): (Vec<_>, Vec<_>) = defaults().iter().partition(|entry| entry.value.table().is_some());
    let mut out = lines(&document.root, keys, file);
    for default in tables {
        let inner = default.value.table().unwrap_or(&[]);
        if let Some(named) = find(inner, "NAME") {
            let inner = named.value.table().unwrap_or(&[]);
            for entry in place::named(document, &default.key) {
                let title = format!("{}.{}", default.key, spelled_key(&entry.key));
                out += &section(&title, entry.value.table(), inner, file);
            }
        } else {
            let written = find(&document.root, &default.key);
            let written = written.and_then(|entry| entry.value.table());
            out += &section(&default.key, written, inner, file);
        }
    }
    out
}

fn section(title: &str, written: Option<&[Entry]>, defaults: &[Entry], file: &str) -> String {
    let lines = lines(written.unwrap_or(&[]), defaults, file);
    format!("\n[{title}]\n{lines}")
}

fn lines<'a>(written: &[Entry], defaults: impl IntoIterator<Item = &'a Entry>, file: &str) -> String {
    pairs(written, defaults, file).into_iter().map(|pair| pair + "\n").collect()
}

/// `key = value` for each key that has a value.
fn pairs<'a>(written: &[Entry], defaults: impl IntoIterator<Item = &'a Entry>, file: &str) -> Vec<String> {
    let pair = |default: &Entry| {
        let value = merged(find(written, &default.key), default, file)?;
        Some(format!("{} = {value}", spelled_key(&default.key)))
    };
    defaults.into_iter().filter_map(pair).collect()
}

/// The value as written, its missing keys filled in; or the default, unless that follows from other names.
fn merged(written: Option<&Entry>, default: &Entry, file: &str) -> Option<String> {
    let Some(written) = written else {
        let default = spelled(&default.value, DEFAULT);
        return Some(default).filter(|default| !default.contains("NAME"));
    };
    let defaults = match default.key.as_str() {
        "secrets" => return Some(braced(&veiled(&written.value, file))),
        "from" => written.value.table().and_then(SourceKind::named_in).map(|kind| kind.keys),
        _ => default.value.table(),
    };
    match (written.value.table(), defaults) {
        // An empty table as default takes any keys: it is the plugin's own.
        (Some(entries), Some(defaults @ [_, ..])) => Some(braced(&pairs(entries, defaults, file))),
        _ => Some(spelled(&written.value, file)),
    }
}

/// The secrets of a plugin, of which only names of variables are shown.
fn veiled(secrets: &Value, file: &str) -> Vec<String> {
    let pair = |Entry { key, value, .. }: &Entry| match value.text().is_some_and(is_variable) {
        true => format!("{} = {}", spelled_key(key), spelled(value, file)),
        false => format!("{} = \"…\"", spelled_key(key)),
    };
    secrets.table().unwrap_or(&[]).iter().map(pair).collect()
}

/// A value as `text`, which it was parsed from, spells it.
fn spelled(value: &Value, text: &str) -> String {
    match &value.kind {
        Kind::List(values) => {
            let values: Vec<String> = values.iter().map(|value| spelled(value, text)).collect();
            format!("[{}]", values.join(", "))
        }
        Kind::Table(entries) => {
            let pair = |Entry { key, value, .. }: &Entry| format!("{} = {}", spelled_key(key), spelled(value, text));
            braced(&entries.iter().map(pair).collect::<Vec<_>>())
        }
        _ => text.get(value.span.clone()).unwrap_or("").to_owned(),
    }
}

fn braced(pairs: &[String]) -> String {
    match pairs {
        [] => "{}".to_owned(),
        _ => format!("{{ {} }}", pairs.join(", ")),
    }
}

fn spelled_key(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        // JSON's strings are TOML's basic ones, but for the one control character that JSON lets stand.
        serde_json::Value::from(key).to_string().replace('\u{7f}', "\\u007f")
    }
}
