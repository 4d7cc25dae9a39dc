//! What waits for its file: gathered for each, so that many lines are one write, and written by a few threads.

use super::{Line, Place, writer::Writer};
use crate::request::Failure;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::task::spawn_blocking;

/// Threads that write. A file system that hangs holds some of them, and must not hold those that other things need.
const THREADS: usize = 4;
/// Lines that may wait for one file.
const WAITING: usize = 65_536;
/// Files that are kept open between writes.
const OPEN: usize = 128;

/// See the module.
#[derive(Default)]
pub(super) struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    files: HashMap<Place, Waiting>,
    /// Those that a thread is to look after, each once.
    due: VecDeque<Place>,
    threads: usize,
}

/// One file.
#[derive(Default)]
struct Waiting {
    lines: VecDeque<Line>,
    /// Among those that are due, or looked after right now.
    busy: bool,
    /// Here while nobody writes.
    writer: Option<Writer>,
}

impl Queue {
    /// Has `line` written to `place` after those that wait for that already.
    pub(super) fn put(self: &Arc<Self>, place: Place, line: Line) -> Result<(), Failure> {
        let mut state = self.state();
        let file = state.files.entry(place.clone()).or_default();
        if file.lines.len() >= WAITING {
            return Err(Failure::Unreachable(format!("{WAITING} lines are waiting to be written there already")));
        }
        file.lines.push_back(line);
        self.look_after(&mut state, place);
        Ok(())
    }

    /// Has those files looked after that want something else than lines.
    pub(super) fn tend(self: &Arc<Self>) {
        let now = Instant::now();
        let mut state = self.state();
        let wants = |file: &Waiting| file.writer.as_ref().is_some_and(|writer| writer.due() <= now);
        let due: Vec<Place> =
            state.files.iter().filter(|(_, file)| wants(file)).map(|(place, _)| place.clone()).collect();
        for place in due {
            self.look_after(&mut state, place);
        }
    }

    /// Closes what is open and idle.
    pub(super) fn finish(&self) {
        let idle: Vec<Writer> = self.state().files.values_mut().filter_map(|file| file.writer.take()).collect();
        idle.into_iter().for_each(|mut writer| writer.close());
    }

    fn look_after(self: &Arc<Self>, state: &mut State, place: Place) {
        match state.files.get_mut(&place) {
            Some(file) if !file.busy => file.busy = true,
            _ => return,
        }
        state.due.push_back(place);
        if state.threads < THREADS {
            state.threads += 1;
            let queue = Arc::clone(self);
            spawn_blocking(move || queue.work());
        }
    }

    /// One thread, until nothing is due.
    fn work(&self) {
        while let Some((place, mut writer, lines)) = self.next() {
            if lines.is_empty() {
                writer.tend();
            } else {
                writer.write(lines);
            }
            if self.is_crowded() {
                writer.close();
            }
            self.give_back(place, writer);
        }
    }

    fn next(&self) -> Option<(Place, Writer, Vec<Line>)> {
        let mut state = self.state();
        let Some(place) = state.due.pop_front() else {
            state.threads -= 1;
            return None;
        };
        let file = state.files.entry(place.clone()).or_default();
        let writer = file.writer.take().unwrap_or_else(|| Writer::new(place.clone()));
        Some((place, writer, file.lines.drain(..).collect()))
    }

    fn give_back(&self, place: Place, writer: Writer) {
        let mut state = self.state();
        let Some(file) = state.files.get_mut(&place) else { return };
        if !file.lines.is_empty() {
            file.writer = Some(writer);
            state.due.push_back(place);
        } else if writer.is_open() {
            file.writer = Some(writer);
            file.busy = false;
        } else {
            state.files.remove(&place);
        }
    }

    fn is_crowded(&self) -> bool {
        self.state().files.len() > OPEN
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
