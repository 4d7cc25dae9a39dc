//! A slot on its way from one member to another, key by key.

use super::Cluster;
use crate::Redis;

/// A slot that is between two members; left as it is when dropped.
#[derive(Debug)]
#[must_use]
pub struct Move<'a> {
    cluster: &'a Cluster,
    slot: String,
    from: usize,
    to: usize,
}

impl<'a> Move<'a> {
    pub(super) fn begin(cluster: &'a Cluster, slot: u16, to: usize) -> Self {
        let from = cluster.owner(slot);
        assert_ne!(from, to, "the slot {slot} is there already");
        let moving = Self { cluster, slot: slot.to_string(), from, to };
        // In this order no client is ever sent to a member that would send it back.
        moving.tell(to, "IMPORTING", from);
        moving.tell(from, "MIGRATING", to);
        moving
    }

    /// Moves up to `most` keys, and returns how many are left behind.
    pub fn step(&mut self, most: usize) -> usize {
        let source = self.source();
        let keys: Vec<String> = source.ask(&["CLUSTER", "GETKEYSINSLOT", &self.slot, &most.to_string()]);
        if !keys.is_empty() {
            let port = self.cluster.member(self.to).port().to_string();
            let words = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            let keys = keys.iter().map(String::as_str);
            source.ask::<()>(&words.into_iter().chain(keys).collect::<Vec<_>>());
        }
        source.ask(&["CLUSTER", "COUNTKEYSINSLOT", &self.slot])
    }

    /// Makes the new owner known to all, which only works when no key is left behind.
    pub fn finish(self) {
        // The new owner first: were it to fail in between, the old one would still know of the move.
        let masters = [self.to, self.from].into_iter().chain(0..self.cluster.members.len());
        let id = &self.cluster.ids[self.to];
        for number in masters {
            let member = self.cluster.member(number);
            if member.is_up() && is_master(member) {
                member.ask::<()>(&["CLUSTER", "SETSLOT", &self.slot, "NODE", id]);
            }
        }
        self.cluster.wait_ok();
    }

    /// Ends the move where it stands: the slot stays where it was, and keys that have moved are out of reach.
    pub fn abandon(self) {
        for number in [self.from, self.to] {
            self.cluster.member(number).ask::<()>(&["CLUSTER", "SETSLOT", &self.slot, "STABLE"]);
        }
    }

    fn tell(&self, number: usize, state: &str, other: usize) {
        let other = &self.cluster.ids[other];
        self.cluster.member(number).ask::<()>(&["CLUSTER", "SETSLOT", &self.slot, state, other]);
    }

    fn source(&self) -> &Redis {
        self.cluster.member(self.from)
    }
}

fn is_master(member: &Redis) -> bool {
    member.ask::<String>(&["INFO", "replication"]).contains("role:master")
}
