//! One table of a file with what the reference file has for it, and what is said of keys that it does not have.

use super::{
    document::{Entry, Value, find},
    fault::{Fault, did_you_mean, shown},
    read::{Item, Reading},
    reference::{SourceKind, defaults, named_defaults},
};

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
        let fields = Self::unchecked(title, entries, defaults);
        reading.faults.extend(fields.strangers().map(|entry| fields.unknown(entry)));
        fields
    }

    /// Like `new`, but it is left to the caller to report the strangers.
    pub(super) fn unchecked(title: String, entries: &'a [Entry], defaults: &'a [Entry]) -> Self {
        Self { title, entries, defaults }
    }

    /// The entries that are not among the defaults' ones.
    pub(super) fn strangers(&self) -> impl Iterator<Item = &'a Entry> {
        let defaults = self.defaults;
        self.entries.iter().filter(move |entry| find(defaults, &entry.key).is_none())
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

    /// Says of a stranger where it belongs, or what is known here.
    pub(super) fn unknown(&self, entry: &Entry) -> Fault {
        let keys = || self.defaults.iter().map(|known| known.key.as_str());
        let help = match (did_you_mean(&entry.key, keys()), home(&entry.key)) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, Some(home)) => format!("`{}` belongs {home}", entry.key),
            (None, None) => format!("the keys here are {}", listed(keys())),
        };
        Fault::error(format!("unknown key `{}` {}", shown(&entry.key), self.title)).at(&entry.key_span).help(help)
    }
}

/// Where a key of another table should stand.
fn home(key: &str) -> Option<String> {
    let holds = |entries: &[Entry]| find(entries, key).is_some();
    if holds(defaults()) {
        return Some("at the top of the file, before the first table".to_owned());
    }
    let mut tables = defaults().iter().filter_map(|table| {
        let named = named_defaults(&table.key);
        match named {
            [] => Some((table.key.clone(), table.value.table()?)),
            _ => Some((format!("{}.NAME", table.key), named)),
        }
    });
    let table = tables.find(|(_, entries)| holds(entries)).map(|(title, _)| format!("under [{title}]"));
    let source = || SourceKind::with_key(key).next().map(|kind| format!("in `from`, beside `{}`", kind.name));
    table.or_else(source)
}

fn listed<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
    keys.join(", ")
}
