//! What Redis says is in flight: when its holder is gone, that may come twice, and nothing else.

use gristmill_tests::Redis;
use std::collections::HashMap;

/// What the node with this process id has in flight.
pub(super) fn by_node(redis: &Redis, id: u32) -> usize {
    held(redis, |holder| holder.contains(&format!("-{id}-")))
}

/// What anybody has in flight.
pub(super) fn by_all(redis: &Redis) -> usize {
    held(redis, |_| true)
}

fn held(redis: &Redis, is_meant: impl Fn(&str) -> bool) -> usize {
    let lanes = redis.keys("gristmill:*:lanes").into_iter().flat_map(|lanes| {
        let lanes: HashMap<String, String> = redis.ask(&["HGETALL", &lanes]);
        lanes
    });
    let in_lanes: usize =
        lanes.filter(|(lane, _)| is_meant(lane)).map(|(lane, told)| in_lane(redis, &lane, &told)).sum();
    in_lanes + pending(redis, is_meant)
}

/// Not settled in a lane, and put aside.
fn in_lane(redis: &Redis, lane: &str, register: &str) -> usize {
    let all: usize = redis.ask(&["LLEN", lane]);
    let slow: usize = redis.ask(&["HLEN", &format!("{lane}:slow")]);
    let marks = register.rsplit(' ').next().unwrap_or_default();
    let settled: u32 = marks.chars().filter_map(|digit| digit.to_digit(16)).map(u32::count_ones).sum();
    all.saturating_sub(settled as usize) + slow
}

/// What consumers that are nodes have pending.
fn pending(redis: &Redis, is_meant: impl Fn(&str) -> bool) -> usize {
    let groups: Vec<redis::Value> = redis.ask(&["XINFO", "GROUPS", "events"]);
    if groups.is_empty() {
        return 0;
    }
    let consumers: Vec<HashMap<String, redis::Value>> = redis.ask(&["XINFO", "CONSUMERS", "events", "workers"]);
    let pending = consumers.into_iter().filter_map(|mut consumer| {
        let name: String = redis::from_redis_value(consumer.remove("name")?).ok()?;
        let pending: usize = redis::from_redis_value(consumer.remove("pending")?).ok()?;
        is_meant(&name).then_some(pending)
    });
    pending.sum()
}
