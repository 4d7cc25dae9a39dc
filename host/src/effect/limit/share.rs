//! What one endpoint may have of a pipeline's messages in flight: all while there is no other, half while it is the slow one of several.

use super::{
    endpoint::{Endpoint, Held},
    parked::Most,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// An endpoint that was not used for so long is no other.
const GONE: Duration = Duration::from_secs(60);
/// How much slower than the quickest of the others one is that is held back, and how slow at least.
const SLOWER: u32 = 4;
const SLOW: Duration = Duration::from_millis(100);
/// More are not told apart.
const MOST: usize = 1_000;

/// The endpoints that one pipeline sends to.
#[derive(Debug)]
pub struct Share {
    in_flight: usize,
    /// How many may be put back because of one endpoint.
    away: usize,
    /// By where they lie in memory.
    seats: Mutex<HashMap<usize, Seats>>,
}

#[derive(Debug)]
struct Seats {
    endpoint: Arc<Endpoint>,
    taken: usize,
    used: Instant,
}

/// One message in flight to an endpoint.
#[derive(Debug)]
pub(in crate::effect) struct Seat {
    share: Arc<Share>,
    place: usize,
}

impl Share {
    pub(super) fn new(in_flight: usize, away: usize) -> Arc<Self> {
        Arc::new(Self { in_flight, away, seats: Mutex::default() })
    }

    /// How many may be put back because of one endpoint.
    pub(super) fn away(&self) -> usize {
        self.away
    }

    /// One more message in flight to `endpoint`, unless that is the slow one and has its share; then when to come again.
    pub(super) fn enter(self: &Arc<Self>, endpoint: &Arc<Endpoint>, quiet: bool) -> Result<Seat, Held> {
        let (now, place) = (Instant::now(), Arc::as_ptr(endpoint).addr());
        let mut seats = self.seats();
        if seats.len() >= MOST {
            seats.retain(|_, known| known.taken > 0 || now.saturating_duration_since(known.used) < GONE);
        }
        let taken = seats.get(&place).map_or(0, |known| known.taken);
        if taken >= (self.in_flight / 2).max(1)
            && is_slow(&seats, place, endpoint, now)
            && let Some(held) = endpoint.put_back(now, if quiet { Most::All } else { Most::These(self.away) })
        {
            return Err(held);
        }
        let new = || Seats { endpoint: Arc::clone(endpoint), taken: 0, used: now };
        let known = seats.entry(place).or_insert_with(new);
        known.taken += 1;
        known.used = now;
        Ok(Seat { share: Arc::clone(self), place })
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<usize, Seats>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the endpoint is much slower than another one that is in use.
fn is_slow(seats: &HashMap<usize, Seats>, place: usize, endpoint: &Endpoint, now: Instant) -> bool {
    let others = seats.iter().filter(|(other, known)| {
        **other != place && (known.taken > 0 || now.saturating_duration_since(known.used) < GONE)
    });
    let quickest = others.map(|(_, known)| known.endpoint.takes(now)).min();
    let own = endpoint.takes(now);
    quickest.is_some_and(|quickest| own >= SLOW && own >= quickest * SLOWER)
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(known) = self.share.seats().get_mut(&self.place) {
            known.taken -= 1;
            known.used = Instant::now();
        }
    }
}
