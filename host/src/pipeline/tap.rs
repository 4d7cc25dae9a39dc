//! Taps: samples of the messages that pass a stage of a pipeline, for whoever looks. While nobody does, a message costs one look at a number.

use crate::{
    bucket::Bucket,
    message::{Message, Outcome},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::mpsc;

/// Taps that may be open at once.
const MOST: usize = 8;
/// Sightings that wait for one that is slow; more are left out, and counted.
const WAITING: usize = 128;
/// Of a payload that a sighting keeps; of a longer one only its length is told.
const LONGEST: usize = 64 * 1024;

/// Where a message can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// As it was taken from its source.
    Taken,
    /// As a filter has passed it on.
    Filtered,
    /// As it came to the filter that dropped it.
    Dropped,
    /// As it was taken, when it was through.
    Done,
    /// As it was taken, when an attempt has failed.
    Retried,
    /// As it was taken, when it went to the dead letters.
    Dead,
}

impl Stage {
    /// All of them, in the order in which a message may come by.
    pub const ALL: [Self; 6] = [Self::Taken, Self::Filtered, Self::Dropped, Self::Done, Self::Retried, Self::Dead];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Filtered => "filtered",
            Self::Dropped => "dropped",
            Self::Done => "done",
            Self::Retried => "retried",
            Self::Dead => "dead",
        }
    }
}

/// A message at a stage.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// When.
    pub at: SystemTime,
    /// The pipeline.
    pub pipeline: String,
    /// Where.
    pub stage: Stage,
    /// The filter, or the plugin that failed.
    pub plugin: Option<String>,
    /// Why it was dropped, or failed.
    pub reason: Option<String>,
    /// Without its payload where that is long.
    pub message: Message,
    /// The length of its payload.
    pub length: usize,
    /// How many were left out since the one before.
    pub missed: u64,
}

impl Sighting {
    /// Whether the payload was too long to be kept.
    pub fn is_cut(&self) -> bool {
        self.message.payload.len() != self.length
    }
}

/// What somebody wants to see.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Of this pipeline; of all when absent.
    pub pipeline: Option<String>,
    /// At this stage; at all when absent.
    pub stage: Option<Stage>,
    /// How many each second.
    pub rate: u32,
}

/// All taps of a node. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Taps(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    open: AtomicUsize,
    taps: RwLock<Vec<Arc<Valve>>>,
}

/// The side of a tap that messages come by.
#[derive(Debug)]
struct Valve {
    wish: Wish,
    bucket: Mutex<Bucket>,
    missed: AtomicU64,
    out: mpsc::Sender<Sighting>,
}

/// What flows out of a tap, until it is dropped.
#[derive(Debug)]
pub struct Tap {
    taps: Taps,
    valve: Arc<Valve>,
    sightings: mpsc::Receiver<Sighting>,
}

impl Taps {
    /// A new one; none where there are too many.
    pub fn open(&self, wish: Wish) -> Option<Tap> {
        let mut taps = self.0.taps.write().unwrap_or_else(PoisonError::into_inner);
        if taps.len() >= MOST {
            return None;
        }
        let (out, sightings) = mpsc::channel(WAITING);
        let bucket = Bucket::new(f64::from(wish.rate), wish.rate, Duration::ZERO, Instant::now());
        let valve = Arc::new(Valve { wish, bucket: Mutex::new(bucket), missed: AtomicU64::new(0), out });
        taps.push(Arc::clone(&valve));
        self.0.open.store(taps.len(), Ordering::Relaxed);
        Some(Tap { taps: self.clone(), valve, sightings })
    }

    /// Whether anybody looks.
    pub(super) fn are_open(&self) -> bool {
        self.0.open.load(Ordering::Relaxed) > 0
    }

    /// A message comes by.
    pub(super) fn show(&self, pipeline: &str, stage: Stage, message: &Message, at: Glimpse<'_>) {
        if self.are_open() {
            self.show_now(pipeline, stage, message, at, Instant::now());
        }
    }

    fn show_now(&self, pipeline: &str, stage: Stage, message: &Message, at: Glimpse<'_>, now: Instant) {
        for valve in self.0.taps.read().unwrap_or_else(PoisonError::into_inner).iter() {
            valve.show(pipeline, stage, message, &at, now);
        }
    }

    /// A message is at its end, or at that of an attempt.
    pub(super) fn settled(&self, pipeline: &str, message: &Message, outcome: &Outcome) {
        let (stage, trouble) = match outcome {
            Outcome::Done | Outcome::Finished { .. } => (Stage::Done, None),
            Outcome::Again { .. } => return,
            Outcome::Retry { trouble, .. } => (Stage::Retried, Some(trouble)),
            Outcome::Dead { trouble, .. } => (Stage::Dead, Some(trouble)),
        };
        let plugin = trouble.and_then(|trouble| trouble.plugin.as_deref());
        let reason = trouble.map(|trouble| trouble.reason.as_str());
        self.show(pipeline, stage, message, Glimpse { plugin, reason });
    }
}

/// What is told of a stage beside the message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Glimpse<'a> {
    pub(super) plugin: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
}

impl Valve {
    fn show(&self, pipeline: &str, stage: Stage, message: &Message, glimpse: &Glimpse<'_>, now: Instant) {
        let Wish { pipeline: of, stage: at, .. } = &self.wish;
        if of.as_ref().is_some_and(|of| of != pipeline) || at.is_some_and(|at| at != stage) {
            return;
        }
        let admitted = self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(1, now) == 1;
        let Some(place) = admitted.then(|| self.out.try_reserve().ok()).flatten() else {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let length = message.payload.len();
        let mut message = message.clone();
        if length > LONGEST {
            message.payload.clear();
        }
        place.send(Sighting {
            at: SystemTime::now(),
            pipeline: pipeline.to_owned(),
            stage,
            plugin: glimpse.plugin.map(ToOwned::to_owned),
            reason: glimpse.reason.map(ToOwned::to_owned),
            message,
            length,
            missed: self.missed.swap(0, Ordering::Relaxed),
        });
    }
}

impl Tap {
    /// The next sighting, when there is one.
    pub async fn next(&mut self) -> Option<Sighting> {
        self.sightings.recv().await
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let mut taps = self.taps.0.taps.write().unwrap_or_else(PoisonError::into_inner);
        taps.retain(|valve| !Arc::ptr_eq(valve, &self.valve));
        self.taps.0.open.store(taps.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures_util::FutureExt;

    fn message(payload: usize) -> Message {
        Message {
            id: "1f".into(),
            source: "work".into(),
            topic: "work".into(),
            attempt: 1,
            received_ms: 0,
            headers: Vec::new(),
            payload: Bytes::from(vec![b'x'; payload]),
        }
    }

    fn wish(pipeline: Option<&str>, stage: Option<Stage>, rate: u32) -> Wish {
        Wish { pipeline: pipeline.map(ToOwned::to_owned), stage, rate }
    }

    fn seen(tap: &mut Tap) -> Vec<Sighting> {
        std::iter::from_fn(|| tap.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn a_tap_shows_what_was_wished_for_and_costs_nothing_when_it_is_closed() {
        let taps = Taps::default();
        taps.show("a", Stage::Taken, &message(1), Glimpse::default());
        let mut tap = taps.open(wish(Some("a"), Some(Stage::Dead), 10)).expect("there is room");
        for (pipeline, stage) in [("a", Stage::Taken), ("b", Stage::Dead), ("a", Stage::Dead)] {
            taps.show(pipeline, stage, &message(1), Glimpse { plugin: Some("p"), reason: None });
        }
        let seen: Vec<_> = seen(&mut tap).into_iter().map(|seen| (seen.pipeline, seen.stage, seen.plugin)).collect();
        assert_eq!(seen, [("a".to_owned(), Stage::Dead, Some("p".to_owned()))]);
        drop(tap);
        assert!(!taps.are_open());
    }

    #[test]
    fn what_is_too_much_is_counted_and_what_is_too_long_is_cut() {
        let taps = Taps::default();
        let mut tap = taps.open(wish(None, None, 1)).expect("there is room");
        let start = Instant::now();
        let show = |length, now| taps.show_now("a", Stage::Taken, &message(length), Glimpse::default(), now);
        (0..10).for_each(|_| show(LONGEST + 1, start));
        let first = seen(&mut tap);
        assert_eq!((first.len(), first[0].is_cut(), first[0].length, first[0].missed), (1, true, LONGEST + 1, 0));
        show(1, start + Duration::from_secs(1));
        let next = seen(&mut tap);
        assert_eq!((next.len(), next[0].is_cut(), next[0].missed), (1, false, 9));
    }

    #[test]
    fn so_many_can_look_and_no_more() {
        let taps = Taps::default();
        let open: Vec<_> = (0..MOST).filter_map(|_| taps.open(wish(None, None, 1))).collect();
        assert_eq!(open.len(), MOST);
        assert!(taps.open(wish(None, None, 1)).is_none());
        drop(open);
        assert!(taps.open(wish(None, None, 1)).is_some());
    }

    #[test]
    fn a_slow_reader_holds_nobody_up() {
        let taps = Taps::default();
        let mut tap = taps.open(wish(None, None, 1_000)).expect("there is room");
        (0..2 * WAITING).for_each(|_| taps.show("a", Stage::Taken, &message(1), Glimpse::default()));
        assert_eq!(seen(&mut tap).len(), WAITING);
    }
}
