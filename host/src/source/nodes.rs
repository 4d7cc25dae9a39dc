//! The nodes that Redis knows of: who holds a lane, and whose lease lives.

use super::{
    connection::{self, Connector},
    keys::Keys,
    stream::group,
};
use crate::config::{self, From};
use redis::{RedisError, aio::MultiplexedConnection};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Queues of Resque that are looked at.
const MOST: usize = 1_000;

/// A node, as one source knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The node's id.
    pub node: String,
    /// What it takes from.
    pub source: String,
    /// How many lanes it holds.
    pub lanes: usize,
    /// Whether its lease lives; where it is over, others take over what the node held.
    pub alive: bool,
}

/// All nodes that hold anything of what a pipeline takes from. Channels hold nothing, so nobody is seen there.
///
/// # Errors
/// Where Redis cannot be asked.
pub async fn seen(connector: &Connector, from: &From) -> Result<Vec<Seen>, connection::Error> {
    let mut found = Vec::new();
    for keys in queues(connector, from).await? {
        let mut link = connector.at(&keys.list).shared().await?;
        let names = match from {
            From::Stream(stream) => consumers(&mut link, &keys, &stream.group).await?,
            _ => Vec::new(),
        };
        found.extend(holders(&mut link, &keys, names).await?);
    }
    Ok(found)
}

async fn queues(connector: &Connector, from: &From) -> Result<Vec<Keys>, RedisError> {
    Ok(match from {
        From::Lists(lists) => lists.names.iter().map(|list| Keys::new(list)).collect(),
        From::Stream(stream) => vec![Keys::of_group(&stream.name, &stream.group)],
        From::Channels(_) => Vec::new(),
        From::Thoonk(thoonk) => vec![Keys::new(&format!("feed.ids:{}", thoonk.feed))],
        From::Resque(resque) => resque_queues(connector, resque).await?,
    })
}

/// All that producers have made known; which of them a pattern takes from does not matter here.
async fn resque_queues(connector: &Connector, resque: &config::Resque) -> Result<Vec<Keys>, RedisError> {
    let key = match resque.namespace.as_str() {
        "" => "queues".to_owned(),
        namespace => format!("{namespace}:queues"),
    };
    let mut link = connector.at(&key).shared().await?;
    let queues: Vec<String> = redis::cmd("SMEMBERS").arg(&key).query_async(&mut link).await?;
    let keys = |queue: String| Keys::new(&super::keys::resque_queue(&resque.namespace, &queue));
    Ok(queues.into_iter().take(MOST).map(keys).collect())
}

/// The lanes of a group's consumers that are nodes.
async fn consumers(link: &mut MultiplexedConnection, keys: &Keys, name: &str) -> Result<Vec<String>, RedisError> {
    let mut info = redis::cmd("XINFO");
    info.arg("CONSUMERS").arg(&*keys.list).arg(name);
    let told: Vec<HashMap<String, redis::Value>> = match info.query_async(link).await {
        Err(error) if group::is_gone(&error) => return Ok(Vec::new()),
        told => told?,
    };
    let name = |mut told: HashMap<String, redis::Value>| {
        let name: String = redis::from_redis_value(told.remove("name")?).ok()?;
        group::lane(keys, &name)
    };
    Ok(told.into_iter().filter_map(name).collect())
}

async fn holders(link: &mut MultiplexedConnection, keys: &Keys, more: Vec<String>) -> Result<Vec<Seen>, RedisError> {
    let mut lanes: BTreeSet<String> = redis::cmd("HKEYS").arg(keys.lanes()).query_async(link).await?;
    lanes.extend(more);
    let mut held: BTreeMap<&str, usize> = BTreeMap::new();
    for (holder, _) in lanes.iter().filter_map(|lane| keys.holder(lane)) {
        *held.entry(holder).or_default() += 1;
    }
    let mut seen = Vec::new();
    for (node, lanes) in held {
        let alive: bool = redis::cmd("EXISTS").arg(keys.lease(node)).query_async(link).await?;
        seen.push(Seen { node: node.to_owned(), source: keys.list.to_string(), lanes, alive });
    }
    Ok(seen)
}
