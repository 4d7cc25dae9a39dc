//! Keys that change nothing where they stand; one with its default value is left alone.

use super::{
    super::{
        From, ThoonkKind,
        document::{Entry, Kind, Value, find},
        fault::shown,
        place::header,
        reference::{SourceKind, named_defaults},
    },
    Draft, Fault, Reading,
};

pub(super) fn of(reading: &mut Reading<'_>, pipeline: &Draft<'_>) {
    drops_everything(reading, pipeline);
    let Some(from) = &pipeline.from else { return };
    wrong_source(reading, pipeline, from);
    without_companion(reading, pipeline, from);
    jobs_only(reading, pipeline, from);
}

fn drops_everything(reading: &mut Reading<'_>, pipeline: &Draft<'_>) {
    let empty = |names: &Option<Vec<String>>| names.as_ref().is_some_and(Vec::is_empty);
    if empty(&pipeline.filters) && empty(&pipeline.publish) {
        let name = shown(&pipeline.entry.key);
        reading.faults.push(
            Fault::warning(format!(
                "[pipeline.{name}] has neither filters nor publishers, so it takes messages and drops them"
            ))
            .at(&header(pipeline.entry))
            .help("name plugins in `filters` or `publish`"),
        );
    }
}

fn wrong_source(reading: &mut Reading<'_>, pipeline: &Draft<'_>, from: &From) {
    let (lists, channels) = (matches!(from, From::Lists(_)), matches!(from, From::Channels(_)));
    let again = from.redelivers();
    let once = "leave it out; what comes from there is kept by nobody but the node";
    for (key, works, help) in [
        ("take", lists, "leave it out; only a list can be taken from at either end"),
        ("backlog", lists || channels, "leave it out; only lists and channels have one"),
        ("journal", again, once),
        ("dead_letters", again, once),
        ("keep_dead", again, once),
    ] {
        if !works {
            idle(reading, pipeline.entry, named_defaults("pipeline"), Idle { key, why: kind(from), help });
        }
    }
}

fn without_companion(reading: &mut Reading<'_>, pipeline: &Draft<'_>, from: &From) {
    if pipeline.order == Some(None) {
        let help = "say in `order_by` what is kept in order, or leave it out";
        let idle_key = Idle { key: "order_retries", why: "without `order_by`", help };
        idle(reading, pipeline.entry, named_defaults("pipeline"), idle_key);
    }
    if pipeline.rate == Some(None) {
        for key in ["burst", "rate_scope", "ramp"] {
            let help = "say how fast messages may be taken, such as `rate = \"500/s\"`, or leave it out";
            let idle_key = Idle { key, why: "without `rate`", help };
            idle(reading, pipeline.entry, named_defaults("pipeline"), idle_key);
        }
    }
    if matches!(from, From::Lists(_) | From::Channels(_)) && pipeline.backlog == Some(None) {
        let help = "say how many messages may wait: `backlog = { keep = 100000 }`";
        let idle_key = Idle { key: "backlog", why: "without `keep`", help };
        idle(reading, pipeline.entry, named_defaults("pipeline"), idle_key);
    }
}

/// What a Thoonk source has for claimed jobs.
fn jobs_only(reading: &mut Reading<'_>, pipeline: &Draft<'_>, from: &From) {
    let From::Thoonk(thoonk) = from else { return };
    if !matches!(thoonk.kind, Some(ThoonkKind::Feed | ThoonkKind::Queue)) {
        return;
    }
    let entry = pipeline.entry.value.table().and_then(|table| find(table, "from"));
    let Some((entry, source)) = entry.and_then(|entry| Some((entry, SourceKind::named_in(entry.value.table()?)?)))
    else {
        return;
    };
    for key in ["claim", "cancels", "result"] {
        let why = "where `kind` is not \"job\"";
        idle(reading, entry, source.keys, Idle { key, why, help: "leave it out; only jobs are claimed and finished" });
    }
}

/// A key without effect, and why.
struct Idle {
    key: &'static str,
    why: &'static str,
    help: &'static str,
}

/// Warns of a key of `table`, unless it says what it would say anyway.
fn idle(reading: &mut Reading<'_>, table: &Entry, defaults: &[Entry], Idle { key, why, help }: Idle) {
    let Some(written) = table.value.table().and_then(|entries| find(entries, key)) else {
        return;
    };
    if !find(defaults, key).is_some_and(|default| same(&written.value, &default.value)) {
        let fault = Fault::warning(format!("`{key}` has no effect {why}"));
        reading.faults.push(fault.at(&written.value.span).help(help));
    }
}

/// Whether `written`, with what it leaves out, is the default.
fn same(written: &Value, default: &Value) -> bool {
    match (&written.kind, &default.kind) {
        (Kind::Text(written), Kind::Text(default)) => written == default,
        (Kind::Integer(written), Kind::Integer(default)) => written == default,
        (Kind::Boolean(written), Kind::Boolean(default)) => written == default,
        (Kind::Table(written), Kind::Table(defaults)) => written
            .iter()
            .all(|entry| find(defaults, &entry.key).is_some_and(|default| same(&entry.value, &default.value))),
        _ => false,
    }
}

/// Without names, because they could come out of variables.
fn kind(from: &From) -> &'static str {
    match from {
        From::Lists(_) => "on a list",
        From::Stream(_) => "on a stream",
        From::Channels(_) => "on channels",
        From::Resque(_) => "on Resque queues",
        From::Thoonk(_) => "on a Thoonk feed",
    }
}
