//! The Redis keys of one list, or of one group of a stream, all in the Cluster slot of that list or stream.

use crate::slot;
use std::sync::Arc;

/// The keys that belong to one list, or to one group of a stream.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The list or stream itself: the producers' key, holding their bytes and nothing else.
    pub(super) list: Arc<str>,
    prefix: Arc<str>,
}

impl Keys {
    pub(super) fn new(list: &str) -> Self {
        Self { list: list.into(), prefix: format!("gristmill:{{{}}}:{list}", slot::tag_for(list)).into() }
    }

    /// Of one group of a stream; every group has its own retries and dead letters.
    pub(super) fn of_group(stream: &str, group: &str) -> Self {
        Self {
            list: stream.into(),
            prefix: format!("gristmill:{{{}}}:{stream}:group:{group}", slot::tag_for(stream)).into(),
        }
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

    /// Hash: id of a message in flight → the publishers that have succeeded with it while others still work on it.
    pub(super) fn journal(&self) -> String {
        format!("{}:journal", self.prefix)
    }

    /// String with expiry: how much of its rate the pipeline has used, where all nodes share that.
    pub(super) fn rate(&self, pipeline: &str) -> String {
        format!("{}:rate:{pipeline}", self.prefix)
    }

    /// String with expiry: the node that takes, where one does so at a time.
    pub(super) fn leader(&self) -> String {
        format!("{}:leader", self.prefix)
    }

    /// Set: ids of Thoonk jobs that are in flight or wait for another attempt here.
    pub(super) fn held(&self) -> String {
        format!("{}:held", self.prefix)
    }

    /// String that lives as long as `node` does.
    pub(super) fn lease(&self, node: &str) -> String {
        format!("{}:lease:{node}", self.prefix)
    }

    /// List of what `node` has in flight, or the name under which one of its consumers is registered; `name` tells its lanes apart.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_lies_in_the_slot_of_its_list() {
        for list in ["notifications", "{app}:jobs", "a}b", "{}x", "x{", "a{b}{c}", "}", "q{}{t}", "ü"] {
            let keys = Keys::new(list);
            for key in [
                keys.lanes(),
                keys.retry(),
                keys.dead(),
                keys.journal(),
                keys.rate("p"),
                keys.lease("n-1"),
                keys.lane("n-1", "0.1"),
            ] {
                assert_eq!(slot::of(&key), slot::of(list), "{key} and {list}");
            }
        }
    }

    #[test]
    fn groups_of_a_stream_share_its_slot_and_no_key() {
        let (one, other) = (Keys::of_group("{app}:events", "a:b"), Keys::of_group("{app}:events", "a"));
        assert_eq!(slot::of(&one.delayed()), slot::of("{app}:events"));
        assert_ne!(one.lanes(), other.lanes());
        let lane = one.lane("host-1", "c0");
        assert_eq!((one.holder(&lane), other.holder(&lane)), (Some(("host-1", "c0")), None));
    }

    #[test]
    fn a_lane_names_its_holder() {
        let keys = Keys::new("a:lane:b");
        assert_eq!(keys.holder(&keys.lane("host-1", "0.1")), Some(("host-1", "0.1")));
        assert_eq!(keys.holder("elsewhere"), None);
    }
}
