//! What one member of a Cluster knows of all, read from `CLUSTER NODES`.

use crate::Redis;
use std::{collections::BTreeMap, ops::RangeInclusive};

pub(super) struct View {
    nodes: Vec<Node>,
}

struct Node {
    id: String,
    flags: Vec<String>,
    master: String,
    slots: Vec<RangeInclusive<u16>>,
}

impl View {
    pub(super) fn of(member: &Redis) -> Self {
        Self::read(&member.ask::<String>(&["CLUSTER", "NODES"]))
    }

    fn read(text: &str) -> Self {
        Self { nodes: text.lines().filter_map(Node::read).collect() }
    }

    /// How many members it has shaken hands with, itself included.
    pub(super) fn count(&self) -> usize {
        self.nodes.iter().filter(|node| !node.is("handshake")).count()
    }

    pub(super) fn owner(&self, slot: u16) -> Option<String> {
        let has = |node: &&Node| node.slots.iter().any(|range| range.contains(&slot));
        self.nodes.iter().find(has).map(|node| node.id.clone())
    }

    /// The ranges of all slots that are served, and by whom.
    pub(super) fn owners(&self) -> BTreeMap<u16, (u16, &str)> {
        let ranges = |node: &Node| node.slots.iter().map(|range| (*range.start(), *range.end())).collect::<Vec<_>>();
        let of = |node| ranges(node).into_iter().map(|(start, end)| (start, (end, node.id.as_str())));
        self.nodes.iter().flat_map(of).collect()
    }

    pub(super) fn replica_of(&self, master: &str) -> Option<String> {
        let follows = |node: &&Node| node.master == master && !node.is("fail");
        self.nodes.iter().find(follows).map(|node| node.id.clone())
    }

    /// Whether it holds all of these for healthy.
    pub(super) fn trusts(&self, ids: &[&String]) -> bool {
        let ill = |node: &Node| ["fail", "fail?", "handshake"].iter().any(|flag| node.is(flag));
        ids.iter().all(|&id| self.nodes.iter().any(|node| node.id == *id && !ill(node)))
    }

    pub(super) fn is_master(&self, id: &str) -> bool {
        self.nodes.iter().any(|node| node.id == id && node.is("master"))
    }
}

impl Node {
    /// `id address flags master ping pong epoch link slots…`; slots that are moving stand in brackets.
    fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [id, _, flags, master, _, _, _, _, slots @ ..] = fields.as_slice() else { return None };
        Some(Self {
            id: (*id).to_owned(),
            flags: flags.split(',').map(str::to_owned).collect(),
            master: (*master).to_owned(),
            slots: slots.iter().filter_map(|range| read_range(range)).collect(),
        })
    }

    fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| known == flag)
    }
}

fn read_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    Some(start.parse().ok()?..=end.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_flags_and_moving_slots_are_told_apart() {
        let view = View::read(
            "a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5 7 [7->-b]\n\
             b 127.0.0.1:3@4 master - 0 0 2 connected 6\n\
             c 127.0.0.1:5@6 slave,fail a 0 0 1 connected\n\
             d 127.0.0.1:7@8 slave a 0 0 1 connected\n\
             e 127.0.0.1:9@9 handshake - 0 0 0 connected\n",
        );
        assert_eq!(view.count(), 4);
        assert_eq!((view.owner(7), view.owner(6), view.owner(8)), (Some("a".into()), Some("b".into()), None));
        assert_eq!(view.owners(), BTreeMap::from([(0, (5, "a")), (6, (6, "b")), (7, (7, "a"))]));
        assert!(view.trusts(&[&"a".to_owned(), &"d".to_owned()]) && !view.trusts(&[&"c".to_owned()]));
        assert_eq!(view.replica_of("a").as_deref(), Some("d"));
        assert!(view.is_master("b") && !view.is_master("d"));
    }
}
