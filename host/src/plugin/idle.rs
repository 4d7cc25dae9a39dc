//! Instances that wait for messages: a few, since calls hardly ever wait and more would have nothing to do.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
};

/// How many are kept for each processor.
const PER_PROCESSOR: usize = 2;

/// The idle instances of one version.
pub(super) struct Idle<T> {
    kept: Mutex<Vec<T>>,
    most: usize,
}

impl<T> Idle<T> {
    /// With the first of them, where there is one.
    pub(super) fn new(first: Option<T>) -> Self {
        let most = available_parallelism().map_or(1, usize::from) * PER_PROCESSOR;
        Self { kept: Mutex::new(first.into_iter().collect()), most }
    }

    pub(super) fn pop(&self) -> Option<T> {
        self.kept().pop()
    }

    /// Keeps `instance`, unless enough of them wait.
    pub(super) fn push(&self, instance: T) {
        let mut kept = self.kept();
        if kept.len() < self.most {
            kept.push(instance);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.kept().len()
    }

    /// Whatever panicked with the lock held has moved whole instances or none.
    fn kept(&self) -> MutexGuard<'_, Vec<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
