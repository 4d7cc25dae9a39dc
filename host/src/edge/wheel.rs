//! One timing wheel for all subscribers of a shard: each stands in the second in which it is due to be looked at.

use std::mem;

/// Seconds that something can be due ahead; a power of two.
const SLOTS: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Wheel<T> {
    slots: Vec<Vec<T>>,
    /// Seconds since the beginning, all before which have been looked at.
    now: u32,
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), now: 0 }
    }
}

impl<T> Wheel<T> {
    /// `what` is due in so many seconds, at least 1 and at most 255.
    pub(super) fn schedule(&mut self, what: T, seconds: u32) {
        let ahead = seconds.clamp(1, SLOTS as u32 - 1);
        let slot = (self.now + ahead) as usize % SLOTS;
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.push(what);
        }
    }

    /// A second has passed: who is due now.
    pub(super) fn turn(&mut self) -> Vec<T> {
        self.now += 1;
        self.slots.get_mut(self.now as usize % SLOTS).map(mem::take).unwrap_or_default()
    }

    /// Everybody, whenever due.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_due_when_it_was_to_be() {
        let mut wheel = Wheel::default();
        for round in 0..3 {
            wheel.schedule("one", 1);
            wheel.schedule("last", 999);
            assert_eq!(wheel.all().count(), 2);
            assert_eq!(wheel.turn(), ["one"], "{round}");
            (0..253).for_each(|_| assert!(wheel.turn().is_empty()));
            assert_eq!(wheel.turn(), ["last"], "{round}");
            assert_eq!(wheel.all().count(), 0);
        }
    }
}
