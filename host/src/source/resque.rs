//! Resque's queues, taken through lanes like any list, in the order of a Ruby worker, while Resque's own books are kept: its
//! workers, what they do, its counters, its failed jobs and, where that is wanted, its delayed ones.

mod badge;
mod board;
mod clock;
mod failure;
#[cfg(fuzzing)]
mod fuzz;
mod job;
mod jobs;
mod names;
mod pattern;
mod pause;
mod roster;
mod ruby;
#[cfg(test)]
mod tests;
mod workers;

use super::{
    Opening,
    queue::{
        Queue,
        flow::Flow,
        turns::{Sharing, Turns},
    },
};
use crate::config;
use roster::Roster;
use std::sync::Arc;
use tokio::task::JoinHandle;
use workers::Workers;

#[cfg(fuzzing)]
pub(super) use fuzz::fuzz;
pub(super) use jobs::{Jobs, Seat};

/// Resque queues that are being taken from.
#[derive(Debug)]
pub struct Resque {
    workers: Arc<Workers>,
    /// Ends when everything has ended on the shutdown it was opened with; its result is what is open then.
    roster: JoinHandle<Vec<Queue>>,
}

impl Resque {
    /// Starts to take.
    pub(super) fn open(opening: &Opening, resque: &config::Resque) -> Self {
        let flow = Arc::new(Flow::new(opening, Turns::new(Sharing::Strict)));
        let workers = Workers::open(opening, resque);
        let shutdown = &opening.shutdown;
        shutdown.track_until_stop(pause::heed(Arc::clone(&workers), Arc::clone(&flow), shutdown.clone()));
        let roster = Roster::new(opening, resque, Arc::clone(&workers), flow);
        Self { workers, roster: shutdown.track(roster.run()) }
    }

    /// Gives up what is left, once the takers have ended.
    pub async fn close(self) {
        for queue in self.roster.await.unwrap_or_default() {
            queue.close().await;
        }
        self.workers.close().await;
    }

    /// Leaves everything as a killed process does.
    #[cfg(test)]
    pub(super) async fn forget(self) {
        for queue in self.roster.await.unwrap_or_default() {
            queue.forget().await;
        }
        self.workers.forget().await;
    }
}
