//! Redis lists, taken through lanes so that nothing in flight is ever only in this process.

use super::{
    Opening,
    dialect::Dialect,
    queue::{
        Queue,
        flow::Flow,
        lead,
        shared::{Shared, Which},
        turns::{Sharing, Turns},
    },
};
use crate::config;
use std::sync::Arc;

/// Lists that are being taken from.
#[derive(Debug)]
pub struct Lists {
    queues: Vec<Queue>,
}

impl Lists {
    /// Starts to take.
    pub(super) fn open(opening: &Opening, lists: &config::Lists) -> Self {
        let sharing = if lists.weights.is_some() { Sharing::Weighted } else { Sharing::Strict };
        let flow = Arc::new(Flow::new(opening, Turns::new(sharing)));
        let ranks = (0..).map(|place| lists.weights.as_ref().map_or(place, |weights| weight(weights, place)));
        let queues = lists.names.iter().zip(ranks).map(|(list, rank)| {
            let which = Which { list, source: list, dialect: Dialect::Plain, rank, pushed: lists.pushed };
            Shared::new(opening, &flow, which)
        });
        // All have entered before one begins, or the last would not be waited for.
        let queues: Vec<_> = queues.collect();
        // Two would hand out in any order.
        let takers = if queues.len() == 1 && opening.ordered.is_none() { 2 } else { 1 };
        if let Some(ordered) = &opening.ordered {
            flow.shut();
            opening.shutdown.track_until_stop(lead::run(queues.clone(), ordered.clone()));
        }
        Self { queues: queues.into_iter().map(|shared| Queue::open(shared, takers)).collect() }
    }

    /// Gives up what is left, once the takers have ended.
    pub async fn close(self) {
        for queue in self.queues {
            queue.close().await;
        }
    }

    /// Leaves everything as a killed process does.
    #[cfg(test)]
    pub(super) async fn forget(self) {
        for queue in self.queues {
            queue.forget().await;
        }
    }
}

fn weight(weights: &[u32], place: u32) -> u32 {
    weights.get(place as usize).copied().unwrap_or(1)
}
