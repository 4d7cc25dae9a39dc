//! How long something took, in buckets. Every thread counts in a place of its own, so that workers do not take cache lines from each other.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

/// The upper bounds of the buckets, in microseconds; one more is for what takes longer.
const BOUNDS: [u64; 16] = [
    50,
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    1_000_000,
    5_000_000,
    30_000_000,
    300_000_000,
];
/// Threads beyond share places.
const PLACES: usize = 8;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Histogram([Place; PLACES]);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Place {
    /// By bucket.
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// A histogram at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// Upper bounds in seconds, and how many took no longer.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) count: u64,
    /// Of all, in seconds.
    pub(super) sum: f64,
}

impl Histogram {
    /// Something took so long.
    pub(crate) fn observe(&self, took: Duration) {
        let micros = took.as_micros().try_into().unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        let Some(place) = self.0.get(place()) else { return };
        if let Some(count) = place.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        place.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn seen(&self) -> Seen {
        let counted = |bucket: usize| {
            let counts = self.0.iter().filter_map(|place| place.counts.get(bucket));
            counts.map(|count| count.load(Ordering::Relaxed)).sum::<u64>()
        };
        let micros: u64 = self.0.iter().map(|place| place.micros.load(Ordering::Relaxed)).sum();
        let mut count = 0;
        let buckets = BOUNDS.iter().enumerate().map(|(bucket, bound)| {
            count += counted(bucket);
            (*bound as f64 / 1e6, count)
        });
        let buckets = buckets.collect();
        Seen { buckets, count: count + counted(BOUNDS.len()), sum: micros as f64 / 1e6 }
    }

    /// Adds what `other` has seen.
    pub(super) fn absorb(&self, other: &Self) {
        for (place, gone) in self.0.iter().zip(&other.0) {
            for (count, more) in place.counts.iter().zip(&gone.counts) {
                count.fetch_add(more.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            place.micros.fetch_add(gone.micros.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// Where this thread counts.
fn place() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % PLACES;
    }
    PLACE.with(|place| *place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_by_any_thread_is_in_its_bucket_and_all_above() {
        let histogram = Histogram::default();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| histogram.observe(Duration::from_micros(100)));
            }
        });
        histogram.observe(Duration::from_secs(86_400));
        let seen = histogram.seen();
        assert_eq!(seen.count, 21);
        assert_eq!(&seen.buckets[..3], [(0.000_05, 0), (0.000_1, 20), (0.000_25, 20)]);
        assert_eq!(seen.buckets.last(), Some(&(300.0, 20)));
        assert!((seen.sum - 86_400.002).abs() < 1e-6, "{seen:?}");
    }

    #[test]
    fn bounds_grow() {
        assert!(BOUNDS.is_sorted_by(|one, next| one < next));
    }
}
