//! The Redis keys of one list, all in the list's own Cluster slot.

use std::sync::Arc;

/// The keys that belong to one list.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The list itself: the producers' key, holding their bytes and nothing else.
    pub(super) list: Arc<str>,
    prefix: Arc<str>,
}

impl Keys {
    pub(super) fn new(list: &str) -> Self {
        Self { list: list.into(), prefix: format!("gristmill:{{{}}}:{list}", tag(list)).into() }
    }

    /// Those of all queues of a Resque namespace together: as queues come and go, their dead letters lie in one place.
    pub(super) fn of_resque(namespace: &str) -> Self {
        Self::new(&resque_queue(namespace, ""))
    }

    /// Hash: lane key → its register, what the reaper walks.
    pub(super) fn lanes(&self) -> String {
        format!("{}:lanes", self.prefix)
    }

    /// List of envelopes that are due.
    pub(super) fn retry(&self) -> String {
        format!("{}:retry", self.prefix)
    }

    /// Sorted set of envelopes by the millisecond at which they are due.
    pub(super) fn delayed(&self) -> String {
        format!("{}:delayed", self.prefix)
    }

    /// Stream of dead letters.
    pub(super) fn dead(&self) -> String {
        format!("{}:dead", self.prefix)
    }

    /// Hash of a Resque namespace: a node's group of workers → how many they are.
    pub(super) fn workers(&self) -> String {
        format!("{}:workers", self.prefix)
    }

    /// Hash: id of a message in flight when its node ended → how often it was tried since.
    pub(super) fn tried(&self) -> String {
        format!("{}:tried", self.prefix)
    }

    /// String that lives as long as `node` does.
    pub(super) fn lease(&self, node: &str) -> String {
        format!("{}:lease:{node}", self.prefix)
    }

    /// List of what `node` has in flight; `name` tells its lanes apart.
    pub(super) fn lane(&self, node: &str, name: &str) -> String {
        format!("{}:lane:{node}:{name}", self.prefix)
    }

    /// The node that holds `lane`, and the lane's name.
    pub(super) fn holder<'a>(&self, lane: &'a str) -> Option<(&'a str, &'a str)> {
        lane.strip_prefix(&*self.prefix)?.strip_prefix(":lane:")?.split_once(':')
    }
}

/// The list of a Resque queue.
pub(super) fn resque_queue(namespace: &str, queue: &str) -> String {
    match namespace {
        "" => format!("queue:{queue}"),
        namespace => format!("{namespace}:queue:{queue}"),
    }
}

/// Hash beside a lane: what has been slow in it, by sequence.
pub(super) fn slow(lane: &str) -> String {
    format!("{lane}:slow")
}

/// What goes between braces so that our key hashes to the slot of `name`.
/// Source: Redis Cluster specification, "Hash tags".
fn tag(name: &str) -> String {
    let tagged = name.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    match tagged {
        Some(tag) if !tag.is_empty() => tag.to_owned(),
        _ if !name.contains('}') && !name.is_empty() => name.to_owned(),
        _ => same_slot(name),
    }
}

/// A short string in the slot of `name`, for names that cannot stand between braces.
fn same_slot(name: &str) -> String {
    let slot = slot(name.as_bytes());
    // One in 16,384 strings fits; a million tries miss with a chance of e^-61.
    (0u32..1 << 20).map(|n| format!("{n:x}")).find(|tag| self::slot(tag.as_bytes()) == slot).unwrap_or_default()
}

fn slot(bytes: &[u8]) -> u16 {
    crc16::State::<crc16::XMODEM>::calculate(bytes) % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slot Redis computes for a whole key.
    fn slot_of(key: &str) -> u16 {
        let tagged = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
        slot(tagged.filter(|tag| !tag.is_empty()).unwrap_or(key).as_bytes())
    }

    #[test]
    fn every_key_lies_in_the_slot_of_its_list() {
        for list in ["notifications", "{app}:jobs", "a}b", "{}x", "x{", "a{b}{c}", "}", "q{}{t}", "ü"] {
            let keys = Keys::new(list);
            for key in [keys.lanes(), keys.retry(), keys.dead(), keys.lease("n-1"), keys.lane("n-1", "0.1")] {
                assert_eq!(slot_of(&key), slot_of(list), "{key} and {list}");
            }
        }
    }

    #[test]
    fn the_slot_is_the_one_redis_documents() {
        assert_eq!(slot(b"123456789"), 0x31C3);
    }

    #[test]
    fn a_lane_names_its_holder() {
        let keys = Keys::new("a:lane:b");
        assert_eq!(keys.holder(&keys.lane("host-1", "0.1")), Some(("host-1", "0.1")));
        assert_eq!(keys.holder("elsewhere"), None);
    }
}
