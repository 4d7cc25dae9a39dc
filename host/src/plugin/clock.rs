//! The time of one call: computing, which is counted in slices between which others may go first, and waiting.

use super::{engine::Engine, fault::Stop, state::State};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::time::sleep;
use wasmtime::{Store, StoreContextMut, UpdateDeadline};

/// Ticks for which a guest computes before others go first.
const SLICE: u64 = 1;

/// What is left of the time of a call; every clone shows the same.
#[derive(Clone, Default)]
pub(super) struct Clock {
    /// Ticks it may still compute for.
    left: Arc<AtomicU64>,
    gives_way: GivesWay,
}

/// Whether the guest has only let others go first, and waits for nothing.
#[derive(Clone, Default)]
pub(super) struct GivesWay(Arc<AtomicBool>);

impl Clock {
    /// Shared with whoever polls the call.
    pub(super) fn gives_way(&self) -> GivesWay {
        self.gives_way.clone()
    }

    /// Lets a guest that rests in the middle of its only call compute for so many ticks more, the slice it is in included.
    pub(super) fn wind(&self, ticks: u64) {
        self.left.store(ticks.saturating_sub(SLICE), Ordering::Relaxed);
    }

    /// Takes away `ticks` of what is left; whether there was as much.
    pub(super) fn charge(&self, ticks: u64) -> bool {
        let less = |left: u64| left.checked_sub(ticks);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Takes the next slice, or ends the call.
    fn next(&self) -> UpdateDeadline {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return UpdateDeadline::Interrupt;
        }
        let slice = SLICE.min(left);
        self.left.store(left - slice, Ordering::Relaxed);
        self.gives_way.0.store(true, Ordering::Relaxed);
        UpdateDeadline::Yield(slice)
    }
}

/// Ends calls into the guest of `store` when their time is over.
pub(super) fn watch(store: &mut Store<State>) {
    store.epoch_deadline_callback(|cx: StoreContextMut<'_, State>| Ok(cx.data().clock.next()));
}

/// Lets the guest of `store` compute for so many ticks from now on.
pub(super) fn wind(store: &mut Store<State>, ticks: u64) {
    store.data().clock.wind(ticks);
    store.set_epoch_deadline(SLICE);
}

/// Lets the guest of `cx` go on after a wait, for what was left of its time, or ends its call.
pub(super) fn go_on(cx: &mut StoreContextMut<'_, State>, may: bool) {
    cx.set_epoch_deadline(if may { SLICE } else { 0 });
}

/// Runs `call`, and ends it when it has waited until `time` is over. Most calls are over at the first poll and never see
/// a timer; what computes for too long is ended by its clock. The call stays where it is: moved in here it would be in every
/// message's future twice.
pub(super) async fn within<T>(
    engine: &Engine,
    gives_way: &GivesWay,
    time: Duration,
    mut call: Pin<&mut impl Future<Output = wasmtime::Result<T>>>,
) -> Result<T, Stop> {
    let start = engine.now();
    if let Poll::Ready(answer) = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
        return Ok(answer?);
    }
    let mut timer = None;
    let mut first = true;
    poll_fn(|cx| {
        if !std::mem::take(&mut first)
            && let Poll::Ready(answer) = call.as_mut().poll(cx)
        {
            return Poll::Ready(answer.map_err(Stop::Wasm));
        }
        if gives_way.0.swap(false, Ordering::Relaxed) {
            return Poll::Pending;
        }
        let rest = || Box::pin(sleep(time.saturating_sub(engine.since(start))));
        timer.get_or_insert_with(rest).as_mut().poll(cx).map(|()| Err(Stop::Time))
    })
    .await
}
