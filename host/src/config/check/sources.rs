//! Sources that several pipelines have to do with.

use super::{
    super::{
        From, Resque, ThoonkKind,
        fault::shown,
        place::{header, key_of},
    },
    Draft, Fault, Reading,
};
use std::collections::{BTreeMap, BTreeSet};

/// Something of which every message goes to one taker only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Taken<'a> {
    List(&'a str),
    /// A stream and a group.
    Stream(&'a str, &'a str),
    /// A namespace and a queue in it.
    Queue(&'a str, &'a str),
    Feed(&'a str),
}

pub(super) fn shared(reading: &mut Reading<'_>, pipelines: &[Draft<'_>]) {
    let mut owners: BTreeMap<Taken<'_>, &Draft<'_>> = BTreeMap::new();
    for pipeline in pipelines {
        let Some(from) = &pipeline.from else { continue };
        let mut told = false;
        for taken in taken(from) {
            let other = *owners.entry(taken).or_insert(pipeline);
            if !told && !std::ptr::eq(other, pipeline) {
                reading.faults.push(one_of_two(pipeline, other, taken));
                told = true;
            }
        }
    }
    for pipeline in pipelines {
        lists_of_resque(reading, pipeline, pipelines);
    }
}

fn taken(from: &From) -> Vec<Taken<'_>> {
    match from {
        From::Lists(lists) => lists.names.iter().map(|name| Taken::List(name)).collect(),
        From::Stream(stream) => vec![Taken::Stream(&stream.name, &stream.group)],
        From::Resque(resque) => resque.queues.iter().map(|name| Taken::Queue(&resque.namespace, name)).collect(),
        From::Thoonk(thoonk) if thoonk.kind != Some(ThoonkKind::Feed) => vec![Taken::Feed(&thoonk.feed)],
        // Each taker gets every message.
        From::Channels(_) | From::Thoonk(_) => Vec::new(),
    }
}

fn one_of_two(pipeline: &Draft<'_>, other: &Draft<'_>, taken: Taken<'_>) -> Fault {
    let both = "to treat each message in two ways, name both publishers in one pipeline";
    let (what, help) = match taken {
        Taken::List(_) => ("the same list", both),
        Taken::Stream(..) => (
            "the same stream in the same group",
            "to treat each message in two ways, give each pipeline a group of its own, or name both publishers in one",
        ),
        Taken::Queue(..) => ("the same Resque queue", both),
        Taken::Feed(_) => ("the same Thoonk feed", both),
    };
    let fault = Fault::warning(format!(
        "[pipeline.{}] and [pipeline.{}] take from {what}, so each message goes to one of them",
        shown(&other.entry.key),
        shown(&pipeline.entry.key),
    ));
    fault.at(&header(pipeline.entry)).and_at(&header(other.entry), "takes from it too").help(help)
}

/// A Resque queue is a list, but is not taken from as one.
fn lists_of_resque(reading: &mut Reading<'_>, pipeline: &Draft<'_>, pipelines: &[Draft<'_>]) {
    let Some(From::Lists(lists)) = &pipeline.from else { return };
    let other = pipelines.iter().find(|other| match &other.from {
        Some(From::Resque(resque)) => lists.names.iter().any(|list| takes_list(resque, list)),
        _ => false,
    });
    let Some(other) = other else { return };
    let fault = Fault::warning(format!(
        "[pipeline.{}] takes from the list of a Resque queue of [pipeline.{}], so each job goes to one of them",
        shown(&pipeline.entry.key),
        shown(&other.entry.key),
    ));
    reading.faults.push(
        fault
            .at(&header(pipeline.entry))
            .and_at(&header(other.entry), "takes from it as Resque does")
            .help("name the queue in one of them only; `resque` is what keeps Resque's own books"),
    );
}

/// Whether the list `key` is one of the queues, as far as that can be told without asking Redis.
fn takes_list(resque: &Resque, key: &str) -> bool {
    let prefix = match resque.namespace.as_str() {
        "" => "queue:".to_owned(),
        namespace => format!("{namespace}:queue:"),
    };
    let Some(name) = key.strip_prefix(&prefix) else { return false };
    resque.queues.iter().any(|queue| queue == name || (queue == "*" && !name.starts_with('.')))
}

pub(super) fn dead_letters(reading: &mut Reading<'_>, pipelines: &[Draft<'_>]) {
    for pipeline in pipelines {
        let Some(Some(dead)) = &pipeline.dead_letters else { continue };
        let mut sources = pipelines.iter().filter_map(|pipeline| pipeline.from.as_ref());
        let what = match sources.find_map(|from| living(from, dead)) {
            Some(what) => format!("`dead_letters` is {what} that a pipeline takes from"),
            None if come_back(pipeline, dead, pipelines) => {
                "`dead_letters` is a stream from which they come back to this pipeline without end".to_owned()
            }
            None => continue,
        };
        let help = "name another key; dead letters are kept in a stream of their own";
        reading.faults.push(Fault::error(what).at(&key_of(pipeline.entry, "dead_letters")).help(help));
    }
}

/// What `key` is, if `from` takes from it and it can be no stream of dead letters.
fn living(from: &From, key: &str) -> Option<&'static str> {
    match from {
        From::Lists(lists) => lists.names.iter().any(|name| name == key).then_some("a list"),
        From::Resque(resque) => takes_list(resque, key).then_some("a Resque queue"),
        From::Stream(_) | From::Channels(_) | From::Thoonk(_) => None,
    }
}

/// Whether what `pipeline` gives up, to the stream `dead`, gets back to it, be it by what others give up.
fn come_back(pipeline: &Draft<'_>, dead: &str, pipelines: &[Draft<'_>]) -> bool {
    let (mut seen, mut streams) = (BTreeSet::new(), vec![dead]);
    while let Some(stream) = streams.pop() {
        if !seen.insert(stream) {
            continue;
        }
        let takers = pipelines.iter().filter(|other| takes_stream(other, stream));
        for taker in takers {
            if std::ptr::eq(taker, pipeline) {
                return true;
            }
            streams.extend(taker.dead_letters.iter().flatten().map(String::as_str));
        }
    }
    false
}

fn takes_stream(pipeline: &Draft<'_>, key: &str) -> bool {
    matches!(&pipeline.from, Some(From::Stream(stream)) if stream.name == key)
}
