//! Bounds on labels: what names them is the operator's, or a producer's, and either may have more of them than Prometheus can bear.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// Stands for all values that there was no room for.
pub(super) const OTHERS: &str = "(others)";
/// Values of one label.
const VALUES: usize = 1_000;
/// Of one value, in bytes: the rest is cut off.
const LONGEST: usize = 300;

/// The values that one label has had.
#[derive(Debug, Default)]
pub(super) struct Values(RwLock<HashSet<Box<str>>>);

impl Values {
    /// `value`, if there is room for it.
    pub(super) fn own<'a>(&self, value: &'a str) -> Option<&'a str> {
        Some(self.bounded(value)).filter(|bounded| *bounded == value)
    }

    /// `value`, or what stands for those beyond the bound.
    pub(super) fn bounded<'a>(&self, value: &'a str) -> &'a str {
        let value = cut(value);
        if self.0.read().unwrap_or_else(PoisonError::into_inner).contains(value) {
            return value;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= VALUES && !known.contains(value) {
            return OTHERS;
        }
        known.insert(value.into());
        value
    }
}

fn cut(value: &str) -> &str {
    value.get(..value.floor_char_boundary(LONGEST)).unwrap_or_default()
}

/// Figures that are kept for each set of labels while somebody uses them, and beyond that while there is room.
#[derive(Debug)]
pub(super) struct Roll<T> {
    most: usize,
    known: Mutex<BTreeMap<Labels, Arc<T>>>,
    others: Arc<T>,
}

/// The values of the labels of one set of figures.
pub(super) type Labels = [Cow<'static, str>; 2];

/// What [`Roll`] keeps.
pub(super) trait Sums: Default {
    /// Adds what has been counted there, which is counted there no more.
    fn absorb(&self, gone: &Self);
}

impl<T: Sums> Roll<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, known: Mutex::default(), others: Arc::default() }
    }

    /// The figures of `labels`. Where there are too many, those that nobody uses go first, and then there are none of their own.
    pub(super) fn enter(&self, labels: [&str; 2]) -> Arc<T> {
        let labels = labels.map(|label| Cow::Owned(cut(label).to_owned()));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(figures) = known.get(&labels) {
            return Arc::clone(figures);
        }
        if known.len() >= self.most {
            for (_, gone) in known.extract_if(.., |_, figures| Arc::strong_count(figures) == 1) {
                self.others.absorb(&gone);
            }
        }
        if known.len() >= self.most {
            return Arc::clone(&self.others);
        }
        Arc::clone(known.entry(labels).or_default())
    }

    /// All that are kept, with their labels, and whether somebody uses them; those that share one place only where it may be in use.
    pub(super) fn all(&self) -> Vec<(Labels, Arc<T>, bool)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = known.iter();
        let mut all: Vec<_> = entries
            .map(|(labels, figures)| {
                let used = Arc::strong_count(figures) > 1;
                (labels.clone(), Arc::clone(figures), used)
            })
            .collect();
        if known.len() >= self.most {
            // What many share says nothing of one moment.
            all.push(([Cow::Borrowed(OTHERS), Cow::Borrowed(OTHERS)], Arc::clone(&self.others), false));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    impl Sums for AtomicU64 {
        fn absorb(&self, gone: &Self) {
            self.fetch_add(gone.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    #[test]
    fn a_flood_of_values_ends_in_one_that_stands_for_all_others() {
        let values = Values::default();
        let flood: HashSet<String> =
            (0..5_000).map(|number| values.bounded(&format!("plugin-{number}")).to_owned()).collect();
        assert_eq!(flood.len(), VALUES + 1);
        assert!(flood.contains(OTHERS));
        assert_eq!(values.bounded("plugin-0"), "plugin-0", "those that were first stay");
    }

    #[test]
    fn a_value_of_any_length_is_cut_between_two_letters() {
        let long = "ü".repeat(10_000);
        assert_eq!(Values::default().bounded(&long), "ü".repeat(LONGEST / 2));
    }

    #[test]
    fn figures_that_nobody_uses_give_way_and_their_sum_stays() {
        let roll = Roll::<AtomicU64>::new(10);
        for number in 0..1_000 {
            roll.enter(["p", &number.to_string()]).fetch_add(1, Ordering::Relaxed);
        }
        let all = roll.all();
        assert!(all.len() <= 11, "{all:?}");
        assert_eq!(all.iter().map(|(_, count, _)| count.load(Ordering::Relaxed)).sum::<u64>(), 1_000);
    }

    #[test]
    fn while_all_are_in_use_more_of_them_share_one_place() {
        let roll = Roll::<AtomicU64>::new(2);
        let _held = [roll.enter(["p", "a"]), roll.enter(["p", "b"])];
        roll.enter(["p", "c"]).fetch_add(3, Ordering::Relaxed);
        roll.enter(["p", "d"]).fetch_add(4, Ordering::Relaxed);
        let all = roll.all();
        assert_eq!(all.len(), 3);
        assert_eq!(
            all.last().map(|(labels, count, _)| (&*labels[0], count.load(Ordering::Relaxed))),
            Some((OTHERS, 7))
        );
    }
}
