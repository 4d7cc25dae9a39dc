//! One queue of a source: everything that takes from it, settles what was taken, and looks after it.

pub(super) mod flow;
pub(super) mod lead;
pub(super) mod shared;
mod survey;
pub(super) mod turns;
mod upkeep;

use super::lane::{Content, lease, take};
use crate::shutdown::Shutdown;
use shared::Shared;
use std::{sync::Arc, time::Duration};

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    shared: Arc<Shared>,
    /// Outlives the takers: what drains must stay ours.
    keeper: Shutdown,
}

impl Queue {
    /// Starts to take, on `takers` connections; two overlap client and server.
    pub(super) fn open(shared: Arc<Shared>, takers: usize) -> Self {
        let shutdown = shared.shutdown.clone();
        for _ in 0..takers {
            shutdown.track_until_stop(take::run(Arc::clone(&shared), Content::Raw));
        }
        if let Some(backlog) = shared.backlog {
            shutdown.track_until_stop(upkeep::bound(Arc::clone(&shared), backlog));
        }
        Self::tend(shared)
    }

    /// Starts what every reliable source needs beside taking what producers push: retries, dead letters, takeover.
    pub(super) fn tend(shared: Arc<Shared>) -> Self {
        let keeper = Shutdown::default();
        keeper.track_until_stop(lease::keep(Arc::clone(&shared)));
        let shutdown = shared.shutdown.clone();
        shutdown.track_until_stop(take::run(Arc::clone(&shared), Content::Sealed));
        shutdown.track_until_stop(lease::move_due(Arc::clone(&shared)));
        shutdown.track_until_stop(lease::reap(Arc::clone(&shared)));
        shutdown.track_until_stop(upkeep::expire(Arc::clone(&shared)));
        shutdown.track_until_stop(survey::run(Arc::clone(&shared)));
        Self { shared, keeper }
    }

    /// Gives up what is left, once the takers have ended.
    pub(super) async fn close(self) {
        self.keeper.end(Duration::ZERO).await;
        lease::release(&self.shared).await;
    }

    /// Leaves everything as a killed process does.
    #[cfg(test)]
    pub(super) async fn forget(self) {
        self.keeper.end(Duration::ZERO).await;
    }
}
