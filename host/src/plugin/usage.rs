//! What one version of a plugin has used: each loan of an instance keeps a tally, which is added up when it ends.

use super::guest::Guest;
use crate::{
    lookup::Tally,
    message::{Fault, Message},
};
use rustix::time::{ClockId, clock_gettime};
use std::{
    future::poll_fn,
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

/// Calls of an instance that are all measured; of those behind them one in [`SAMPLE`] is, and stands for the others.
const MEASURED: u64 = 64;
/// Reading a thread's clock costs as much as the shortest calls do.
const SAMPLE: u64 = 16;

/// What one version of a plugin has used since it came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls with a message, whatever came of them.
    pub calls: u64,
    /// Calls that ended with a fault of the plugin's own choice: retry or reject.
    pub faults: u64,
    /// Calls in which it broke: a trap, a limit, an answer beyond one.
    pub broken: u64,
    /// Of those, the ones in which no limit was reached.
    pub traps: u64,
    /// Processor time of its calls; beyond the first calls of an instance an estimate from one in sixteen.
    pub cpu: Duration,
    /// Time in which calls waited for the host.
    pub suspended: Duration,
    /// Bytes of payloads and replies handed to it.
    pub bytes_in: u64,
    /// Bytes of payloads and requests it answered with; a request that carries the payload as it is counts nothing.
    pub bytes_out: u64,
    /// The largest linear memory that one instance has had, in bytes.
    pub memory_peak: u64,
    /// Instances that were made.
    pub instances: u64,
    /// Requests that the host carried out for it.
    pub requests: u64,
    /// How long those took, added up.
    pub request_time: Duration,
    /// What it has looked up; its calls were suspended meanwhile.
    pub lookups: Tally,
}

impl Usage {
    /// Adds one call for `message`, and what came of it; `bytes` tells what an answer brought back.
    pub(super) fn call<T>(
        &mut self,
        message: &Message,
        spent: Spent,
        answer: &Result<T, Fault>,
        bytes: impl FnOnce(&T) -> usize,
    ) {
        self.calls += 1;
        self.bytes_in += message.payload.len() as u64;
        self.time(spent);
        match answer {
            Ok(answer) => self.bytes_out += bytes(answer) as u64,
            Err(Fault::Broken { limit, .. }) => {
                self.broken += 1;
                self.traps += u64::from(limit.is_none());
            }
            Err(Fault::Retry { .. } | Fault::Reject { .. }) => self.faults += 1,
        }
    }

    /// Adds one call for all of `messages`, and what came of it.
    pub(super) fn batch_call<T>(
        &mut self,
        messages: &[&Message],
        spent: Spent,
        answer: &Result<T, Fault>,
        bytes: impl FnOnce(&T) -> usize,
    ) {
        if let Some((first, others)) = messages.split_first() {
            self.call(first, spent, answer, bytes);
            self.bytes_in += others.iter().map(|message| message.payload.len() as u64).sum::<u64>();
        }
    }

    /// Adds what something took of time.
    pub(super) fn time(&mut self, spent: Spent) {
        self.cpu += spent.cpu;
        self.suspended += spent.suspended;
    }

    /// Adds what `guest`, whose loan is over, has kept count of itself.
    pub(super) fn leave(&mut self, guest: &mut Guest) {
        self.memory_peak = self.memory_peak.max(guest.memory());
        self.lookups.add(&guest.take_tally());
    }

    /// Adds what was used elsewhere meanwhile.
    pub(super) fn add(&mut self, more: &Self) {
        self.calls += more.calls;
        self.faults += more.faults;
        self.broken += more.broken;
        self.traps += more.traps;
        self.cpu += more.cpu;
        self.suspended += more.suspended;
        self.bytes_in += more.bytes_in;
        self.bytes_out += more.bytes_out;
        self.memory_peak = self.memory_peak.max(more.memory_peak);
        self.instances += more.instances;
        self.requests += more.requests;
        self.request_time += more.request_time;
        self.lookups.add(&more.lookups);
    }
}

/// What one call used of time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// How many calls this one stands for; 0 where its first stretch is not measured.
    weight: u32,
    pub(super) cpu: Duration,
    pub(super) suspended: Duration,
}

impl Spent {
    /// For the call with this number, from 1, of an instance.
    pub(super) fn for_call(number: u64) -> Self {
        let weight = match number {
            ..=MEASURED => 1,
            _ if number.is_multiple_of(SAMPLE) => SAMPLE as u32,
            _ => 0,
        };
        Self { weight, ..Self::default() }
    }

    /// Runs `call`, where it is; what it computes is told apart from what it waits.
    pub(super) async fn over<F: Future + ?Sized>(&mut self, mut call: Pin<&mut F>) -> F::Output {
        let mut weight = self.weight;
        let mut paused = None;
        let done = poll_fn(|cx| {
            let polled = self.stretch(weight, || call.as_mut().poll(cx));
            if polled.is_pending() {
                // Pauses are dear, so that all behind the first one is measured.
                weight = 1;
                paused.get_or_insert((Instant::now(), self.cpu));
            }
            polled
        })
        .await;
        if let Some((since, before)) = paused {
            self.suspended += since.elapsed().saturating_sub(self.cpu - before);
        }
        done
    }

    fn stretch<T>(&mut self, weight: u32, stretch: impl FnOnce() -> Poll<T>) -> Poll<T> {
        if weight == 0 {
            return stretch();
        }
        let start = thread_time();
        let polled = stretch();
        self.cpu += thread_time().saturating_sub(start) * weight;
        polled
    }
}

/// The processor time of this thread.
pub(super) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{hint::black_box, pin::pin};

    fn compute() {
        black_box((0..200_000_u64).fold(0, |sum, next| black_box(sum ^ next)));
    }

    #[test]
    fn one_call_in_sixteen_stands_for_the_others() {
        let weights: Vec<u32> = (1..=96).map(|number| Spent::for_call(number).weight).collect();
        assert_eq!(weights.iter().sum::<u32>(), 96);
        assert_eq!(weights.iter().filter(|weight| **weight == 0).count(), 30);
    }

    #[tokio::test]
    async fn computing_counts_and_waiting_does_not() {
        let mut spent = Spent::for_call(1);
        let call = async {
            compute();
            tokio::time::sleep(Duration::from_millis(50)).await;
            compute();
        };
        spent.over(pin!(call)).await;
        assert!(spent.cpu > Duration::ZERO, "{spent:?}");
        assert!(spent.suspended >= Duration::from_millis(40), "{spent:?}");
    }

    #[tokio::test]
    async fn a_call_that_is_not_measured_costs_no_look_at_the_clock() {
        let mut spent = Spent::for_call(MEASURED + 1);
        spent.over(pin!(async { compute() })).await;
        assert_eq!((spent.cpu, spent.suspended), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn the_peak_is_the_largest_of_all_and_the_rest_adds_up() {
        let mut all = Usage { calls: 2, memory_peak: 7, ..Usage::default() };
        all.add(&Usage { calls: 3, memory_peak: 5, bytes_in: 1, ..Usage::default() });
        assert_eq!(all, Usage { calls: 5, memory_peak: 7, bytes_in: 1, ..Usage::default() });
    }
}
