//! The nodes that share the work, as Redis knows them.

use super::{
    Window,
    reply::{Problem, Reply, json, problem},
};
use crate::source::nodes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// For all that Redis is asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// A node that holds something of what this one takes from, or this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its id.
    pub node: String,
    /// Whether it is the one that was asked.
    pub this: bool,
    /// Whether any of its leases lives. Those of a node that is over are soon taken over.
    pub alive: bool,
    /// What it holds lanes of.
    pub sources: BTreeSet<String>,
    /// Lanes that it holds.
    pub lanes: usize,
}

impl NodeStatus {
    fn nobody(node: &str, this: bool) -> Self {
        Self { node: node.to_owned(), this, alive: this, sources: BTreeSet::new(), lanes: 0 }
    }
}

/// All of them.
pub(super) async fn list(window: &Window) -> Result<Reply, Problem> {
    let found = tokio::time::timeout(PATIENCE, find(window)).await;
    let nodes = match found {
        Ok(nodes) => nodes.map_err(|error| problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()))?,
        Err(_) => return Err(problem(StatusCode::SERVICE_UNAVAILABLE, "Redis does not answer in time")),
    };
    Ok(json(StatusCode::OK, &nodes))
}

async fn find(window: &Window) -> Result<Vec<NodeStatus>, crate::connection::Error> {
    let mut known = BTreeMap::from([(window.node.clone(), NodeStatus::nobody(&window.node, true))]);
    for shown in window.pipelines() {
        for seen in nodes::seen(&window.connector, &shown.source).await? {
            let node = known.entry(seen.node.clone()).or_insert_with(|| NodeStatus::nobody(&seen.node, false));
            node.alive |= seen.alive;
            node.lanes += seen.lanes;
            node.sources.insert(seen.source);
        }
    }
    Ok(known.into_values().collect())
}
