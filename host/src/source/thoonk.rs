//! Thoonk feeds of the Python generation: queues, and jobs, which are claimed until they are finished, cancelled or stalled.
//!
//! Ids are taken through lanes as anything else; the items themselves stay in the feed until they are settled. What is
//! written to the feed is what Thoonk writes, in the order in which it does: <https://github.com/andyet/thoonk.py>, as
//! version 1.0.1.0 does it.
//!
//! A job that we hold is in `feed.claimed` all the while, even while it waits for another attempt, so that nobody takes it
//! for lost. When somebody else ends its claim meanwhile, what becomes of it is his affair: settling it does nothing then.

mod claim;
mod find;
mod item;
mod mend;
mod names;
mod notice;
mod sweep;
#[cfg(test)]
mod tests;

use super::{
    Opening,
    channel::Channel,
    dialect::Dialect,
    queue::{
        Queue,
        flow::Flow,
        lead,
        shared::{Shared, Which},
        turns::{Sharing, Turns},
    },
};
use crate::config::{self, ThoonkKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use item::Feed;
pub(super) use names::Names;

/// Connections that take ids; two overlap client and server.
const TAKERS: usize = 2;

/// A feed that is being taken from, or waited for.
#[derive(Debug)]
pub struct Thoonk {
    taken: Arc<Mutex<Taken>>,
}

/// What the feed has turned out to be.
#[derive(Debug, Default)]
enum Taken {
    #[default]
    Unknown,
    Queue(Queue),
    Feed(Channel),
}

impl Thoonk {
    /// Starts to take, as soon as it is known what the feed is.
    pub(super) fn open(opening: &Opening, feed: &config::Thoonk) -> Self {
        let taken = Arc::default();
        // Dropping ids from the list would leave their items in the feed.
        let config = config::Pipeline { backlog: None, ..opening.config.clone() };
        let kept = Opening { config, ..opening.clone() };
        opening.shutdown.track_until_stop(begin(kept, feed.clone(), Arc::clone(&taken)));
        Self { taken }
    }

    /// Gives up what is left, once the takers have ended.
    pub async fn close(self) {
        let taken = std::mem::take(&mut *lock(&self.taken));
        match taken {
            Taken::Unknown => {}
            Taken::Queue(queue) => queue.close().await,
            Taken::Feed(channel) => channel.close(),
        }
    }

    /// Leaves everything as a killed process does.
    #[cfg(test)]
    pub(super) async fn forget(self) {
        let taken = std::mem::take(&mut *lock(&self.taken));
        if let Taken::Queue(queue) = taken {
            queue.forget().await;
        }
    }
}

/// Waits for the feed and takes from it.
async fn begin(opening: Opening, feed: config::Thoonk, taken: Arc<Mutex<Taken>>) {
    let Some(kind) = find::kind(&opening.connector, &opening.shutdown, &feed).await else { return };
    let claims = match kind {
        ThoonkKind::Feed => {
            *lock(&taken) = Taken::Feed(notice::listen(&opening, &feed.feed));
            return;
        }
        ThoonkKind::Queue => false,
        ThoonkKind::Job => true,
    };
    let shared = shared(&opening, &feed, claims);
    if claims {
        opening.shutdown.track_until_stop(sweep::run(Arc::clone(&shared), feed));
    }
    // Two would hand out in any order.
    let takers = if opening.ordered.is_none() { TAKERS } else { 1 };
    if let Some(ordered) = &opening.ordered {
        shared.flow.shut();
        opening.shutdown.track_until_stop(lead::run(vec![Arc::clone(&shared)], ordered.clone()));
    }
    *lock(&taken) = Taken::Queue(Queue::open(shared, takers));
}

fn shared(opening: &Opening, feed: &config::Thoonk, claims: bool) -> Arc<Shared> {
    let names = Names::new(&feed.feed);
    let list = names.ids.clone();
    let which = Which {
        list: &list,
        source: &feed.feed,
        dialect: Dialect::Thoonk(Box::new(Feed::new(names, claims))),
        rank: 0,
        pushed: config::End::Left,
    };
    let flow = Arc::new(Flow::new(opening, Turns::new(Sharing::Strict)));
    Shared::new(opening, &flow, which)
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}
