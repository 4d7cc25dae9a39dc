//! Messages that may come back to where they came from: the grants of publishers lead from pipeline to pipeline.
//!
//! An entry of a list bears no mark of where it has been, so nothing but the configuration can tell.

use super::{
    super::{ChannelKind, From, RedisGrant, document::Value, fault::shown},
    Draft, Fault, PluginDraft, Reading, items,
};
use crate::command::Pattern;
use std::collections::{BTreeMap, VecDeque};

/// Commands by which a message gets into a list, a stream or a channel.
const PUTTING: [&str; 9] = ["LINSERT", "LMOVE", "LPUSH", "LPUSHX", "PUBLISH", "RPUSH", "RPUSHX", "SPUBLISH", "XADD"];

/// From one pipeline to the source of another, by a grant that stands in the file.
struct Way<'a> {
    to: usize,
    grant: &'a Value,
    publisher: &'a str,
}

/// Tells of each circle once, where its first pipeline in the file has the grant that leads into it.
pub(super) fn circles(reading: &mut Reading<'_>, pipelines: &[Draft<'_>], plugins: &[PluginDraft<'_>]) {
    let ways: Vec<Vec<Way<'_>>> = pipelines.iter().map(|pipeline| leaving(pipeline, pipelines, plugins)).collect();
    let mut told = vec![false; pipelines.len()];
    for start in 0..pipelines.len() {
        if told.get(start).copied().unwrap_or(true) {
            continue;
        }
        let Some(circle) = shortest(&ways, start) else { continue };
        let name = |index: usize| {
            pipelines.get(index).map_or(String::new(), |pipeline| shown(&pipeline.entry.key).to_string())
        };
        let mut path: Vec<String> = circle.iter().map(|(from, _)| name(*from)).collect();
        path.push(name(start));
        for (from, _) in &circle {
            if let Some(told) = told.get_mut(*from) {
                *told = true;
            }
        }
        let Some((_, way)) = circle.first() else { continue };
        let what =
            format!("what `{}` puts there may come back without end: {}", shown(way.publisher), path.join(" → "));
        let help = "let a filter drop what has been there before, bound what waits with `backlog`, or grant less";
        reading.faults.push(Fault::warning(what).at(&way.grant.span).help(help));
    }
}

/// The ways out of `pipeline` into sources of pipelines.
fn leaving<'a>(pipeline: &'a Draft<'_>, pipelines: &[Draft<'_>], plugins: &'a [PluginDraft<'_>]) -> Vec<Way<'a>> {
    let mut ways = Vec::new();
    for publisher in pipeline.publish.iter().flatten() {
        let Some(draft) = plugins.iter().find(|plugin| plugin.name.as_ref() == Some(publisher)) else { continue };
        let grants = draft.value.iter().flat_map(|plugin| &plugin.allow_redis);
        for (grant, value) in grants.zip(items(draft.entry, "allow_redis")) {
            let reached = pipelines.iter().enumerate().filter(|(_, other)| reaches(grant, other.from.as_ref()));
            ways.extend(reached.map(|(to, _)| Way { to, grant: value, publisher }));
        }
    }
    ways
}

/// Whether a message can be put into this source: a pattern reaches none, only the source's own name does.
fn reaches(grant: &RedisGrant, from: Option<&From>) -> bool {
    if !grant.keys.is_literal() || !PUTTING.iter().any(|name| grant.names(name)) {
        return false;
    }
    let key = grant.keys.as_str();
    match from {
        Some(From::Lists(lists)) => lists.names.iter().any(|name| name == key),
        Some(From::Stream(stream)) => stream.name == key,
        Some(From::Channels(channels)) if channels.kind == ChannelKind::Pattern => {
            channels.names.iter().any(|pattern| Pattern::new(pattern).matches(key.as_bytes()))
        }
        Some(From::Channels(channels)) => channels.names.iter().any(|name| name == key),
        Some(From::Resque(_) | From::Thoonk(_)) | None => false,
    }
}

/// The shortest circle through `start`: each pipeline on it, and the way out of that.
fn shortest<'w, 'a>(ways: &'w [Vec<Way<'a>>], start: usize) -> Option<Vec<(usize, &'w Way<'a>)>> {
    let mut came: BTreeMap<usize, (usize, &Way<'a>)> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(here) = next.pop_front() {
        for way in ways.get(here).into_iter().flatten() {
            if came.contains_key(&way.to) {
                continue;
            }
            came.insert(way.to, (here, way));
            if way.to == start {
                return Some(walked(&came, start));
            }
            next.push_back(way.to);
        }
    }
    None
}

/// The circle by which `start` was reached again, from its beginning.
fn walked<'w, 'a>(came: &BTreeMap<usize, (usize, &'w Way<'a>)>, start: usize) -> Vec<(usize, &'w Way<'a>)> {
    let mut circle = Vec::new();
    let mut here = start;
    while let Some((from, way)) = came.get(&here) {
        circle.push((*from, *way));
        here = *from;
        if here == start {
            break;
        }
    }
    circle.reverse();
    circle
}
