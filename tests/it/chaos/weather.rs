//! How the sink behaves: well, slowly, or failing for a while.

use crate::jobs::number;
use gristmill_tests::{Answer, Sink};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What requests are told now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Sky {
    #[default]
    Fair,
    /// So many requests of ten fail.
    Failing(usize),
    Slow(Duration),
}

/// Shared between the sink and whoever changes how it behaves.
#[derive(Clone, Debug, Default)]
pub(super) struct Weather(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    sky: Sky,
    count: usize,
    /// How often each number was told to come again.
    refused: HashMap<u64, usize>,
}

impl Weather {
    /// From now on `sink` behaves as it is told here.
    pub(super) fn over(sink: &Sink) -> Self {
        let weather = Self::default();
        let shared = weather.clone();
        sink.answer_by(move |received| shared.answer(number(received)));
        weather
    }

    pub(super) fn set(&self, sky: Sky) {
        self.state().sky = sky;
    }

    /// How often this number was told to come again.
    pub(super) fn refused(&self, number: u64) -> usize {
        self.state().refused.get(&number).copied().unwrap_or_default()
    }

    fn answer(&self, number: u64) -> Answer {
        let mut state = self.state();
        state.count += 1;
        match state.sky {
            Sky::Failing(share) if state.count % 10 < share => {
                *state.refused.entry(number).or_default() += 1;
                Answer::Status(500)
            }
            Sky::Slow(pause) => Answer::Late(pause),
            // As long as a request takes elsewhere, so that there is always something in flight.
            _ => Answer::Late(Duration::from_millis(5)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
