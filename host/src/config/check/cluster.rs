//! What a Redis Cluster asks of keys: those that change together must lie in one slot.

use super::{
    super::{
        From, Lists,
        document::{Entry, find},
        place::{header, key_of},
    },
    Draft, Fault, Reading,
};
use crate::slot;

pub(super) fn slots(reading: &mut Reading<'_>, pipeline: &Draft<'_>) {
    let Some(from) = &pipeline.from else { return };
    if let Some((fault, key)) = torn(from) {
        reading.faults.push(fault.at(&in_from(pipeline.entry, key)));
    }
    let (Some(Some(dead)), Some(slot)) = (&pipeline.dead_letters, slot_of(from)) else { return };
    if slot::of(dead) != slot {
        let fault = Fault::error("`dead_letters` lies in another slot of the Cluster than its source");
        let help = "leave it out, or put into braces what the source has there, or all of its name: \"dead:{jobs}\" for the list \"jobs\"";
        reading.faults.push(fault.at(&key_of(pipeline.entry, "dead_letters")).help(help));
    }
}

/// A source whose keys lie in several slots, and which of its keys is to blame.
fn torn(from: &From) -> Option<(Fault, &'static str)> {
    match from {
        From::Lists(lists) if !in_one_slot(lists) => {
            let fault = Fault::error("the lists of one source lie in different slots of the Cluster");
            let help = "give their names a common part in braces, such as \"{jobs}:high\" and \"{jobs}:low\", or each a pipeline";
            Some((fault.help(help), "list"))
        }
        From::Resque(resque) if slot::hash_tag(&resque.namespace).is_none() => {
            let fault = Fault::error("on a Cluster, the `namespace` of Resque needs a part in braces");
            let help = "the keys of a queue must lie in one slot: write `namespace = \"{resque}\"`, here and where jobs are pushed";
            Some((fault.help(help), "namespace"))
        }
        From::Thoonk(thoonk) if slot::hash_tag(&thoonk.feed).is_none() => {
            let fault = Fault::error("on a Cluster, the name of a Thoonk feed needs a part in braces");
            let help = "its keys must lie in one slot: name the feed \"{jobs}\", here and where it is published to";
            Some((fault.help(help), "thoonk"))
        }
        _ => None,
    }
}

fn in_one_slot(lists: &Lists) -> bool {
    let mut slots = lists.names.iter().map(|name| slot::of(name));
    let first = slots.next();
    slots.all(|slot| Some(slot) == first)
}

/// Where the keys of a source lie, if it has some and that can be told.
fn slot_of(from: &From) -> Option<u16> {
    let tagged = |name: &str| slot::hash_tag(name).map(|_| slot::of(name));
    match from {
        From::Lists(lists) => lists.names.first().map(|name| slot::of(name)),
        From::Stream(stream) => Some(slot::of(&stream.name)),
        From::Resque(resque) => tagged(&resque.namespace),
        From::Thoonk(thoonk) => tagged(&thoonk.feed),
        From::Channels(_) => None,
    }
}

/// The value of a key in `from`, or all of `from`.
fn in_from(pipeline: &Entry, key: &str) -> std::ops::Range<usize> {
    match pipeline.value.table().and_then(|table| find(table, "from")) {
        Some(from) if from.value.table().is_some_and(|table| find(table, key).is_some()) => key_of(from, key),
        Some(from) => from.value.span.clone(),
        None => header(pipeline),
    }
}
