//! `from`: one function for each kind of source.

use super::{
    super::{
        ChannelKind, Channels, Done, End, From, Lists, Resque, Start, Stream, Thoonk, ThoonkKind,
        document::Entry,
        fault::{Fault, did_you_mean, shown},
        fields::Fields,
        notation,
        place::header,
        read::{Item, Reading},
        reference::{SourceKind, sources},
    },
    optional,
};

pub(super) fn from(reading: &mut Reading<'_>, pipeline: &Entry, fields: &Fields<'_>) -> Option<From> {
    let Some(item) = fields.written("from") else {
        let name = shown(&pipeline.key);
        let fault = Fault::error(format!("[pipeline.{name}] does not say where its messages come from"));
        let help = format!("name a Redis list: `from = {{ list = \"…\" }}`, or another source by one of {}", kinds(1));
        return reading.refuse(fault.at(&header(pipeline)).help(help));
    };
    if let Some(text) = item.value.text() {
        let help = format!("write `from = {{ list = \"{}\" }}`", shown(text));
        return reading.mistyped(item, "a table", &help);
    }
    let Some(entries) = item.value.table() else {
        return reading.mistyped(item, "a table", "write `from = { list = \"…\" }`");
    };
    let kind = kind(reading, item, entries)?;
    let fields = Fields::unchecked("in `from`".to_owned(), entries, kind.keys);
    for entry in fields.strangers() {
        reading.faults.push(stranger(kind, entry).unwrap_or_else(|| fields.unknown(entry)));
    }
    match kind.name {
        "list" => lists(reading, &fields).map(From::Lists),
        "stream" => stream(reading, &fields).map(From::Stream),
        "resque" => resque(reading, &fields).map(From::Resque),
        "thoonk" => thoonk(reading, &fields).map(From::Thoonk),
        name => channels(reading, fields.item(name)).map(From::Channels),
    }
}

/// The one kind of source that `from` names.
fn kind(reading: &mut Reading<'_>, from: Item<'_>, entries: &[Entry]) -> Option<SourceKind> {
    let named = |entry: &&Entry| sources().any(|kind| kind.name == entry.key);
    let mut named = entries.iter().filter(named);
    match (named.next(), named.next()) {
        (Some(first), None) => sources().find(|kind| kind.name == first.key),
        (Some(first), Some(second)) => {
            let fault = Fault::error("`from` names two kinds of source").at(&second.key_span);
            let help = "leave one of them out; every source has a pipeline of its own";
            reading.refuse(fault.and_at(&first.key_span, "the other one").help(help))
        }
        (None, _) => reading.refuse(nameless(from, entries)),
    }
}

/// Points at the key that was meant to name the source, if there is one.
fn nameless(from: Item<'_>, entries: &[Entry]) -> Fault {
    let meant = entries.iter().find_map(|entry| {
        let meant = did_you_mean(&entry.key, sources().map(|kind| kind.name));
        Some((entry, meant?))
    });
    if let Some((entry, meant)) = meant {
        let fault = Fault::error(format!("unknown key `{}` in `from`", shown(&entry.key)));
        return fault.at(&entry.key_span).help(format!("did you mean `{meant}`?"));
    }
    let companion = entries.iter().find_map(|entry| Some((entry, SourceKind::with_key(&entry.key).next()?)));
    let fault = Fault::error("`from` names no source").at(&from.value.span);
    fault.help(match companion {
        Some((entry, kind)) => {
            format!("`{}` goes with `{kind}`: write `{kind} = \"…\"` too", entry.key, kind = kind.name)
        }
        None => format!("write one of {}, such as `from = {{ list = \"…\" }}`", kinds(0)),
    })
}

/// What is said of a key that another kind of source has.
fn stranger(kind: SourceKind, entry: &Entry) -> Option<Fault> {
    let owners: Vec<String> = SourceKind::with_key(&entry.key).map(|owner| format!("`{}`", owner.name)).collect();
    if owners.is_empty() {
        return None;
    }
    let fault = Fault::error(format!("`{}` does not go with `{}`", entry.key, kind.name)).at(&entry.key_span);
    Some(fault.help(format!("leave it out; only a source with {} has it", owners.join(" or "))))
}

/// The names of all kinds from the one at `first` on.
fn kinds(first: usize) -> String {
    let names: Vec<String> = sources().skip(first).map(|kind| format!("`{}`", kind.name)).collect();
    names.join(", ")
}

fn lists(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Lists> {
    let names = reading.names(fields.item("list"), |_| Ok(()));
    let item = fields.item("weights");
    let weights = reading.list(item, |reading, item| reading.number(item, 1..=1_000));
    let pushed = reading.one_of(fields.item("pushed"), &[("right", End::Right), ("left", End::Left)]);
    let (names, weights) = (names?, weights?);
    if !weights.is_empty() && weights.len() != names.len() {
        let fault = Fault::error(format!(
            "`weights` has {} for {}",
            counted(weights.len(), "number"),
            counted(names.len(), "list")
        ));
        return reading.refuse(fault.at(&item.value.span).help("write one for each list, in the same order"));
    }
    Some(Lists { names, weights: Some(weights).filter(|weights| !weights.is_empty()), pushed: pushed? })
}

fn stream(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Stream> {
    let done = [("keep", Done::Keep), ("delete", Done::Delete), ("trim", Done::Trim)];
    let name = reading.some_text(fields.item("stream"));
    let group = reading.some_text(fields.item("group"));
    let start = start(reading, fields.item("start"));
    let payload = reading.some_text(fields.item("payload"));
    let done = reading.one_of(fields.item("done"), &done);
    let claim = fields.item("claim");
    let claim = reading.unless(claim, "never", |reading| reading.duration(claim, "1s"));
    Some(Stream { name: name?, group: group?, start: start?, payload: payload?, done: done?, claim: claim? })
}

fn start(reading: &mut Reading<'_>, item: Item<'_>) -> Option<Start> {
    let text = reading.text(item)?;
    match text.as_str() {
        "oldest" => Some(Start::Oldest),
        "newest" => Some(Start::Newest),
        _ => reading.accept(item, notation::entry_id(&text)).map(|()| Start::After(text)),
    }
}

fn channels(reading: &mut Reading<'_>, item: Item<'_>) -> Option<Channels> {
    let kind = match item.name {
        "pattern" => ChannelKind::Pattern,
        "shard_channel" => ChannelKind::Sharded,
        _ => ChannelKind::Exact,
    };
    reading.names(item, |_| Ok(())).map(|names| Channels { kind, names })
}

fn resque(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Resque> {
    let queues = reading.names(fields.item("resque"), notation::resque_queue);
    let item = fields.item("namespace");
    let namespace = reading.text(item);
    let namespace = namespace.and_then(|text| reading.accept(item, notation::resque_namespace(&text)).map(|()| text));
    let host = optional(fields.written("host"), |item| {
        let host = reading.some_text(item)?;
        reading.accept(item, notation::resque_host(&host)).map(|()| host)
    });
    let scheduler = reading.one_of(fields.item("retries"), &[("own", false), ("scheduler", true)]);
    Some(Resque { queues: queues?, namespace: namespace?, host: host?, scheduler: scheduler? })
}

fn thoonk(reading: &mut Reading<'_>, fields: &Fields<'_>) -> Option<Thoonk> {
    let kinds = [
        ("auto", None),
        ("feed", Some(ThoonkKind::Feed)),
        ("queue", Some(ThoonkKind::Queue)),
        ("job", Some(ThoonkKind::Job)),
    ];
    let feed = reading.some_text(fields.item("thoonk"));
    let kind = reading.one_of(fields.item("kind"), &kinds);
    let claim = reading.duration(fields.item("claim"), "1s");
    let cancels = reading.number(fields.item("cancels"), 0..=1_000_000);
    let result = reading.truth(fields.item("result"));
    Some(Thoonk { feed: feed?, kind: kind?, claim: claim?, cancels: cancels?, result: result? })
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
