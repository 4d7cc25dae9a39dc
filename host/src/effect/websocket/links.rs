//! The connections of one plugin in one pipeline, and how many there may be.

use super::{Pace, Sent, Sockets, Target, link::Link};
use crate::effect::http::Allowance;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex as Turn, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_tungstenite::tungstenite::Message;

/// Connections of one plugin in one pipeline.
const MOST: usize = 256;
/// How often somebody who waits for a place looks for a connection that nobody uses.
const LOOK: Duration = Duration::from_millis(100);

/// See the module. Dropped, it takes leave of all servers.
pub(in crate::effect) struct Links {
    links: Mutex<HashMap<Arc<Target>, Kept>>,
    /// For connections, those included that are being closed.
    places: Arc<Semaphore>,
    /// One at a time opens a link, so that each place that is made goes to whoever waited for it.
    turn: Turn<()>,
    pace: Pace,
}

struct Kept {
    link: Arc<Link>,
    used: Instant,
}

/// A connection that stays open while this is held.
pub(super) struct Use(Arc<Link>);

impl Default for Links {
    fn default() -> Self {
        Self::of(MOST, Pace::default())
    }
}

impl Links {
    pub(super) fn of(most: usize, pace: Pace) -> Self {
        Self { links: Mutex::default(), places: Arc::new(Semaphore::new(most)), turn: Turn::default(), pace }
    }

    /// The connection to `target`. Where there are too many, one goes that nobody uses, and if all are in use, that is waited for.
    pub(super) async fn using(&self, sockets: &Sockets, allowance: &Arc<Allowance>, target: Arc<Target>) -> Use {
        if let Some(there) = self.there(&target) {
            return there;
        }
        let _turn = self.turn.lock().await;
        loop {
            if let Some(there) = self.there(&target) {
                return there;
            }
            if let Some(place) = self.place().await {
                let link = Arc::new(Link::new(sockets, allowance, &target, self.pace, place));
                self.links().insert(target, Kept { link: Arc::clone(&link), used: Instant::now() });
                return Use(link);
            }
        }
    }

    fn there(&self, target: &Target) -> Option<Use> {
        let mut links = self.links();
        let kept = links.get_mut(target)?;
        kept.used = Instant::now();
        Some(Use(Arc::clone(&kept.link)))
    }

    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        self.part();
        let place = timeout(LOOK, Arc::clone(&self.places).acquire_owned()).await;
        place.ok().and_then(Result::ok)
    }

    /// Lets go of the connection that was unused for longest.
    fn part(&self) {
        let mut links = self.links();
        let unused = links.iter().filter(|(_, kept)| Arc::strong_count(&kept.link) == 1);
        let oldest = unused.min_by_key(|(_, kept)| kept.used).map(|(target, _)| Arc::clone(target));
        if let Some(oldest) = oldest {
            links.remove(&oldest);
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.links().len()
    }

    fn links(&self) -> MutexGuard<'_, HashMap<Arc<Target>, Kept>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Use {
    pub(super) async fn send(&self, message: Message, expect: bool) -> Sent {
        self.0.send(message, expect).await
    }
}
