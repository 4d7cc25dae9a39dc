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
/// More are not told apart, and how often it is looked for those that are gone while there are so many.
const MOST: usize = 1_000;
const SWEEP: Duration = Duration::from_secs(5);

/// The endpoints that one pipeline sends to.
#[derive(Debug)]
pub struct Share {
    in_flight: usize,
    /// How many may be put back because of one endpoint.
    away: Most,
    seats: Mutex<Room>,
}

#[derive(Debug, Default)]
struct Room {
    /// By where the endpoints lie in memory.
    known: HashMap<usize, Seats>,
    /// When those were last looked for that are gone.
    swept: Option<Instant>,
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
    /// None where the endpoint is one too many.
    place: Option<usize>,
}

impl Share {
    pub(super) fn new(in_flight: usize, away: Most) -> Arc<Self> {
        Arc::new(Self { in_flight, away, seats: Mutex::default() })
    }

    /// How many may be put back because of one endpoint.
    pub(super) fn away(&self) -> Most {
        self.away
    }

    /// One more message in flight to `endpoint`, unless that is the slow one and has its share; then when to come again.
    pub(super) fn enter(self: &Arc<Self>, endpoint: &Arc<Endpoint>, quiet: bool) -> Result<Seat, Held> {
        let (now, place) = (Instant::now(), Arc::as_ptr(endpoint).addr());
        let mut room = self.seats();
        let half = (self.in_flight / 2).max(1);
        if room.known.get(&place).is_some_and(|known| known.taken >= half)
            && is_slow(&room.known, place, endpoint, now)
            && let Some(held) = endpoint.put_back(now, if quiet { Most::All } else { self.away })
        {
            return Err(held);
        }
        Ok(Seat { share: Arc::clone(self), place: room.take(place, endpoint, now) })
    }

    fn seats(&self) -> MutexGuard<'_, Room> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Counts one more to `endpoint`, at `place`; none if there are too many others.
    fn take(&mut self, place: usize, endpoint: &Arc<Endpoint>, now: Instant) -> Option<usize> {
        if let Some(known) = self.known.get_mut(&place) {
            known.taken += 1;
            known.used = now;
            return Some(place);
        }
        if self.known.len() >= MOST && self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP) {
            self.swept = Some(now);
            self.known.retain(|_, known| known.is_other(now));
        }
        if self.known.len() >= MOST {
            return None;
        }
        self.known.insert(place, Seats { endpoint: Arc::clone(endpoint), taken: 1, used: now });
        Some(place)
    }
}

impl Seats {
    /// Whether the endpoint is in use, or was a moment ago.
    fn is_other(&self, now: Instant) -> bool {
        self.taken > 0 || now.saturating_duration_since(self.used) < GONE
    }
}

/// Whether the endpoint is much slower than another one that is in use.
fn is_slow(seats: &HashMap<usize, Seats>, place: usize, endpoint: &Endpoint, now: Instant) -> bool {
    let others = seats.iter().filter(|(other, known)| **other != place && known.is_other(now));
    let quickest = others.map(|(_, known)| known.endpoint.takes(now)).min();
    let own = endpoint.takes(now);
    quickest.is_some_and(|quickest| own >= SLOW && own >= quickest * SLOWER)
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        if let Some(known) = self.share.seats().known.get_mut(&place) {
            known.taken -= 1;
            known.used = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn endpoint(number: usize) -> Arc<Endpoint> {
        Endpoint::new(&format!("{number}.example:80"), &config::Endpoint::default(), None)
    }

    #[test]
    fn seats_are_counted_and_given_back_and_those_of_one_too_many_are_not_counted() {
        let share = Share::new(4, Most::These(100));
        let endpoints: Vec<_> = (0..=MOST).map(endpoint).collect();
        let seats: Vec<Seat> = endpoints.iter().map(|one| share.enter(one, false).unwrap()).collect();
        let taken = || share.seats().known.values().map(|known| known.taken).sum::<usize>();
        assert_eq!((taken(), share.seats().known.len()), (MOST, MOST));
        let again = share.enter(&endpoints[0], false).unwrap();
        assert_eq!(taken(), MOST + 1);
        drop((seats, again));
        assert_eq!(taken(), 0);
        // When they are gone there is room for others.
        share.seats().known.values_mut().for_each(|known| known.used -= GONE);
        share.seats().swept = None;
        let _seat = share.enter(&endpoints[MOST], false).unwrap();
        assert_eq!((taken(), share.seats().known.len()), (1, 1));
    }
}
