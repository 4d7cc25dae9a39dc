//! What has been heard on channels, from then until it is settled: waiting, in flight, or waiting for another attempt.

use super::backlog::{Backlog, Heard};
use crate::{
    config::Channels,
    event,
    message::{Message, Outcome, Trouble},
    random,
    source::{Delivery, Opening, Start, pace::Pace},
};
use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Messages of one batch, which one task processes.
const MOST: usize = 128;
/// How often dropped messages are told of, at most.
const TELL: Duration = Duration::from_secs(5);
/// The shortest pause before another attempt: what fails at once must not turn in circles.
const SHORTEST: Duration = Duration::from_millis(10);
/// Stands for pauses that no clock can tell.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// What a message says in the system it comes from.
pub(in crate::source) type Meaning = Arc<dyn Fn(Message) -> Message + Send + Sync>;

/// See the module.
pub(super) struct Intake {
    /// The channels' names, for the log.
    source: String,
    /// What the ids of its messages begin with.
    origin: String,
    in_flight: usize,
    /// One for each message that may still be begun; one that waits for another attempt keeps its own.
    permits: Semaphore,
    /// How fast they may be begun.
    pub(super) pace: Pace,
    meaning: Option<Meaning>,
    start: Start,
    state: Mutex<State>,
    losses: event::Losses,
    /// Something waits, or nothing more will.
    heard: Notify,
    /// Something is to be tried again.
    failed: Notify,
    /// Something was dropped.
    dropping: Notify,
}

struct State {
    backlog: Backlog,
    /// At most as many as there are permits.
    later: BTreeMap<(Instant, u64), (Message, Box<Past>)>,
    /// Tells apart what is due at the same moment.
    retries: u64,
    /// Nothing more is heard or tried again.
    closed: bool,
    /// Needed another attempt after that.
    lost: u64,
}

/// Earlier attempts of a message.
#[derive(Debug, Default)]
struct Past {
    troubles: Vec<Trouble>,
    succeeded: Vec<String>,
}

/// What a delivery holds of the intake.
#[derive(Debug)]
pub(in crate::source) struct Loan {
    intake: Arc<Intake>,
    /// Absent in the first attempt.
    past: Option<Box<Past>>,
}

impl Intake {
    pub(super) fn new(opening: &Opening, channels: &Channels, meaning: Option<Meaning>) -> Arc<Self> {
        let backlog = Backlog::new(opening.config.backlog);
        Arc::new(Self {
            source: channels.names.join(", "),
            origin: random::unique(),
            in_flight: opening.config.in_flight,
            permits: Semaphore::new(opening.config.in_flight),
            pace: Pace::new(opening),
            start: Arc::clone(&opening.start),
            meaning,
            state: Mutex::new(State { backlog, later: BTreeMap::new(), retries: 0, closed: false, lost: 0 }),
            losses: event::Losses::default(),
            heard: Notify::new(),
            failed: Notify::new(),
            dropping: Notify::new(),
        })
    }

    /// A message was published.
    pub(super) fn hear(&self, heard: Heard) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        let fitted = state.backlog.push(heard);
        drop(state);
        self.heard.notify_one();
        if !fitted {
            self.dropping.notify_one();
        }
    }

    /// How many have been heard, dropped or not.
    #[cfg(test)]
    pub(super) fn heard_in_all(&self) -> u64 {
        self.state().backlog.heard_in_all()
    }

    /// Tells what is lost, once nothing works on it any more.
    pub(super) fn end(&self) {
        self.tell_dropped();
        let unsettled = self.in_flight.saturating_sub(self.permits.available_permits());
        let state = self.state();
        let lost = state.lost + (state.backlog.len() + unsettled) as u64;
        drop(state);
        if lost > 0 {
            event::channel_ended(&self.source, lost);
        }
    }

    fn tell_dropped(&self) {
        let mut state = self.state();
        let (dropped, which) = (state.backlog.take_dropped(), state.backlog.drops());
        drop(state);
        if dropped > 0 {
            event::channel_overflowed(&self.source, dropped, which);
        }
    }

    /// Waits until something waits to be begun; false when nothing ever will.
    async fn is_waiting(&self) -> bool {
        loop {
            let (waiting, closed) = {
                let state = self.state();
                (state.backlog.len() > 0, state.closed)
            };
            if waiting || closed {
                return waiting;
            }
            self.heard.notified().await;
        }
    }

    /// Permits for one batch that have their tokens.
    async fn permits(&self) -> usize {
        let permits = self.free_permits().await;
        let tokens = self.pace.take(permits).await;
        self.permits.add_permits(permits - tokens);
        tokens
    }

    /// One at least, more if they are free.
    async fn free_permits(&self) -> usize {
        // The semaphore is never closed.
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
        let more = (MOST - 1).min(self.permits.available_permits());
        match self.permits.try_acquire_many(more as u32) {
            Ok(permits) => {
                permits.forget();
                1 + more
            }
            Err(_) => 1,
        }
    }

    /// Hands the oldest messages on, and gives back the permits that were not used.
    fn begin(self: &Arc<Self>, permits: usize) {
        let taken = self.state().backlog.take(permits);
        self.permits.add_permits(permits - taken.len());
        self.pace.put_back(permits - taken.len());
        let batch: Vec<Delivery> = taken.into_iter().map(|(seq, heard)| self.delivery(seq, heard)).collect();
        if !batch.is_empty() {
            (self.start)(batch);
        }
    }

    fn delivery(self: &Arc<Self>, seq: u64, heard: Heard) -> Delivery {
        let message = Message {
            id: format!("{}-{seq}", self.origin).into(),
            source: heard.source,
            topic: heard.topic,
            attempt: 1,
            received_ms: heard.received_ms,
            headers: Vec::new(),
            payload: heard.payload,
        };
        let message = match &self.meaning {
            Some(meaning) => meaning(message),
            None => message,
        };
        Delivery::from_channel(message, Loan { intake: Arc::clone(self), past: None })
    }

    /// Keeps a message until `after` is over; it keeps its permit.
    fn retry(&self, message: Message, past: Box<Past>, after: Duration) {
        let mut state = self.state();
        if state.closed {
            state.lost += 1;
            drop(state);
            return self.permits.add_permits(1);
        }
        let now = Instant::now();
        let due = now.checked_add(after.max(SHORTEST)).unwrap_or(now + YEAR);
        let retry = state.retries;
        state.retries += 1;
        state.later.insert((due, retry), (message, past));
        drop(state);
        self.failed.notify_one();
    }

    /// How many are due by `now`, or all if that is absent, and when the next is.
    fn due(&self, now: Option<Instant>) -> (usize, Option<Instant>) {
        let state = self.state();
        let due = now.map_or(state.later.len(), |now| state.later.range(..=(now, u64::MAX)).count());
        (due, state.later.keys().nth(due).map(|(next, _)| *next))
    }

    /// Begins the next attempt of those that are due first.
    fn begin_again(self: &Arc<Self>, most: usize) {
        let mut state = self.state();
        let due: Vec<_> = std::iter::from_fn(|| state.later.pop_first()).take(most).collect();
        drop(state);
        let loan = |past| Loan { intake: Arc::clone(self), past: Some(past) };
        let batch: Vec<_> =
            due.into_iter().map(|(_, (message, past))| Delivery::from_channel(message, loan(past))).collect();
        if !batch.is_empty() {
            (self.start)(batch);
        }
    }

    /// Nothing more is heard; what fails from now on is lost.
    fn close(&self) {
        self.state().closed = true;
        self.heard.notify_one();
    }

    /// Nothing panics while it holds this lock, and what it guards is consistent at every step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands out what is heard, until nothing more will be and nothing is left.
pub(super) async fn hand_out(intake: Arc<Intake>) {
    while intake.is_waiting().await {
        let permits = intake.permits().await;
        intake.begin(permits);
    }
}

/// Hands out what is to be tried again when it is due, and the rest when it is time to take nothing more.
pub(super) async fn try_again(intake: Arc<Intake>, quiet: CancellationToken) {
    while !quiet.is_cancelled() {
        let (due, next) = intake.due(Some(Instant::now()));
        let next = next.unwrap_or_else(|| Instant::now() + YEAR);
        tokio::select! {
            () = quiet.cancelled() => {}
            tokens = intake.pace.take(due), if due > 0 => intake.begin_again(tokens),
            () = intake.failed.notified(), if due == 0 => {}
            () = tokio::time::sleep_until(next), if due == 0 => {}
        }
    }
    intake.close();
    while let (left @ 1.., _) = intake.due(None) {
        let tokens = intake.pace.take(left).await;
        intake.begin_again(tokens);
    }
}

/// Tells of dropped messages, not too often.
pub(super) async fn tell_dropped(intake: Arc<Intake>) {
    loop {
        intake.dropping.notified().await;
        intake.tell_dropped();
        tokio::time::sleep(TELL).await;
    }
}

impl Loan {
    pub(in crate::source) fn troubles(&self) -> &[Trouble] {
        self.past.as_ref().map_or(&[], |past| &past.troubles)
    }

    pub(in crate::source) fn succeeded(&self) -> &[String] {
        self.past.as_ref().map_or(&[], |past| &past.succeeded)
    }

    pub(in crate::source) fn settle(&mut self, message: &Message, outcome: Outcome) {
        let intake = &self.intake;
        match outcome {
            Outcome::Done | Outcome::Finished { .. } => intake.permits.add_permits(1),
            Outcome::Dead { trouble, .. } => {
                event::channel_lost(&intake.losses, &intake.source, message, &trouble);
                intake.permits.add_permits(1);
            }
            Outcome::Again { after, succeeded } => {
                intake.pace.put_back(1);
                let mut past = self.past.take().unwrap_or_default();
                past.succeeded.extend(succeeded);
                intake.retry(message.clone(), past, after);
            }
            Outcome::Retry { after, trouble, succeeded } => {
                let mut past = self.past.take().unwrap_or_default();
                let message = Message { attempt: trouble.attempt.saturating_add(1), ..message.clone() };
                past.troubles.push(trouble);
                past.succeeded = succeeded;
                intake.retry(message, past, after);
            }
        }
    }
}

impl Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("source", &self.source).finish_non_exhaustive()
    }
}
