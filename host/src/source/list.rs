//! A Redis list, taken through lanes so that nothing in flight is ever only in this process.

use super::{Opening, lane::Content, lease, shared::Shared, take};
use crate::shutdown::Shutdown;
use std::{sync::Arc, time::Duration};

/// Connections that take from the list; two overlap client and server.
pub(super) const TAKERS: usize = 2;

/// A list that is being taken from.
#[derive(Debug)]
pub struct List {
    shared: Arc<Shared>,
    /// Outlives the takers: what drains must stay ours.
    keeper: Shutdown,
}

impl List {
    /// Starts to take.
    pub fn open(opening: Opening<'_>, list: &str) -> Self {
        let shared = Shared::new(opening, list);
        let keeper = Shutdown::default();
        keeper.track_until_stop(lease::keep(Arc::clone(&shared)));
        let shutdown = shared.shutdown.clone();
        for _ in 0..TAKERS {
            shutdown.track_until_stop(take::run(Arc::clone(&shared), Content::Raw));
        }
        shutdown.track_until_stop(take::run(Arc::clone(&shared), Content::Sealed));
        shutdown.track_until_stop(lease::move_due(Arc::clone(&shared)));
        shutdown.track_until_stop(lease::reap(Arc::clone(&shared)));
        Self { shared, keeper }
    }

    /// Gives up what is left, once the takers have ended.
    pub async fn close(self) {
        self.keeper.end(Duration::ZERO).await;
        lease::release(&self.shared).await;
    }

    /// Leaves everything as a killed process does.
    #[cfg(test)]
    pub(super) async fn forget(self) {
        self.keeper.end(Duration::ZERO).await;
    }
}
