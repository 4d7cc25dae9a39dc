//! Instances that wait for messages: one for each worker, since a call hardly ever waits and more would have nothing to do.

use futures_util::FutureExt;
use std::{
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// How long one of those that are lent is waited for before another is made. A call that was interrupted, as the system or another guest
/// needed the processor, is back in a few milliseconds; one that computes or sleeps for long is not to hold up messages behind it.
const PATIENCE: Duration = Duration::from_millis(100);

/// The instances of one version.
pub(super) struct Idle<T> {
    stock: Mutex<Stock<T>>,
    most: usize,
    back: Notify,
}

struct Stock<T> {
    kept: Vec<T>,
    /// Those that are kept, and those that are lent.
    alive: usize,
}

/// What there is for somebody who wants an instance.
enum Found<T> {
    Instance(T),
    /// Room for one that is to be made.
    Room,
    Nothing,
}

impl<T: Send> Idle<T> {
    /// With the first of them, where there is one.
    pub(super) fn new(first: Option<T>) -> Self {
        let kept: Vec<T> = first.into_iter().collect();
        let stock = Mutex::new(Stock { alive: kept.len(), kept });
        Self { stock, most: available_parallelism().map_or(1, usize::from), back: Notify::new() }
    }

    /// An instance, or none where one is to be made. Either is to be given back. One that is `patient` waits for an instance a moment.
    pub(super) async fn take(&self, patient: bool) -> Option<T> {
        match self.look(patient) {
            Found::Instance(instance) => Some(instance),
            Found::Room => None,
            // Boxed, as it is rare.
            Found::Nothing => self.wait().boxed().await,
        }
    }

    /// Ends what began with [`Self::take`]; keeps `instance`, if there is one, unless enough of them live.
    pub(super) fn give(&self, instance: Option<T>) {
        let mut stock = self.stock();
        let unwanted = match instance {
            Some(instance) if stock.alive <= self.most => {
                stock.kept.push(instance);
                None
            }
            unwanted => {
                stock.alive -= 1;
                unwanted
            }
        };
        drop(stock);
        drop(unwanted);
        self.back.notify_one();
    }

    /// How many live, idle or lent.
    pub(super) fn alive(&self) -> usize {
        self.stock().alive
    }

    /// Adds up what `of` says of those that are idle.
    pub(super) fn sum(&self, of: impl Fn(&T) -> u64) -> u64 {
        self.stock().kept.iter().map(of).sum()
    }

    pub(super) fn len(&self) -> usize {
        self.stock().kept.len()
    }

    async fn wait(&self) -> Option<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut back = pin!(self.back.notified());
            // From here on it is not missed.
            back.as_mut().enable();
            let in_time = match self.look(true) {
                Found::Nothing => timeout_at(end, back).await.is_ok(),
                Found::Instance(instance) => return Some(instance),
                Found::Room => return None,
            };
            if !in_time {
                return match self.look(false) {
                    Found::Instance(instance) => Some(instance),
                    Found::Room | Found::Nothing => None,
                };
            }
        }
    }

    fn look(&self, patient: bool) -> Found<T> {
        let mut stock = self.stock();
        if let Some(instance) = stock.kept.pop() {
            return Found::Instance(instance);
        }
        // Where more live than should, calls take long, and to wait for them would be in vain.
        if patient && stock.alive == self.most {
            return Found::Nothing;
        }
        stock.alive += 1;
        Found::Room
    }

    /// Whatever panicked with the lock held has moved whole instances or none.
    fn stock(&self) -> MutexGuard<'_, Stock<T>> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn whoever_comes_beyond_one_for_each_worker_gets_what_comes_back() {
        let idle = Idle::new(Some(0));
        assert_eq!(idle.take(true).await, Some(0));
        for _ in 1..idle.most {
            assert_eq!(idle.take(true).await, None, "one is to be made");
        }
        let (got, ()) = tokio::join!(idle.take(true), async { idle.give(Some(7)) });
        assert_eq!(got, Some(7));
        let (got, ()) = tokio::join!(idle.take(true), async { idle.give(None) });
        assert_eq!((got, idle.len()), (None, 0), "in the place of one that broke");
    }

    #[tokio::test]
    async fn calls_that_take_long_hold_nobody_up() {
        let idle = Idle::new(None);
        for number in 0..idle.most + 50 {
            // Only the first of those beyond has to wait.
            assert_eq!(timeout(SOON, idle.take(true)).await, Ok(None), "{number}");
        }
        for number in 0..idle.most + 50 {
            idle.give(Some(number));
        }
        assert_eq!(idle.len(), idle.most, "what was beyond is gone");
    }

    #[tokio::test]
    async fn whoever_knows_that_calls_sleep_does_not_wait() {
        let idle = Idle::<u8>::new(None);
        for _ in 0..idle.most + 1 {
            assert_eq!(timeout(PATIENCE / 2, idle.take(false)).await, Ok(None));
        }
    }
}
