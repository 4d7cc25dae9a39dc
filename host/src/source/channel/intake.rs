//! What has been heard on channels, from then until it is settled: waiting, in flight, or waiting for another attempt.

use super::{
    backlog::{Backlog, Bound, DEFAULT, Heard},
    later::{Later, Past, Put},
};
use crate::{
    config::{Channels, Take},
    event::{self, Came, Waiting},
    message::{Message, Outcome, Trouble},
    random,
    source::{Delivery, Opening, Ordered, Start, lane::now_ms, pace::Pace},
};
use std::{
    fmt::{self, Debug},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit},
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
    /// What the ids of its messages begin with.
    origin: String,
    in_flight: usize,
    /// One for each message that may still be begun; one that waits for another attempt has given its own back.
    permits: Semaphore,
    /// How fast they may be begun.
    pub(super) pace: Pace,
    meaning: Option<Meaning>,
    start: Start,
    /// Whom to tell of messages that were to be tried again and will not be.
    ordered: Option<Ordered>,
    /// Which messages are dropped where there is no room.
    drops: &'static str,
    state: Mutex<State>,
    story: event::ChannelStory,
    /// Something waits, or nothing more will.
    heard: Notify,
    /// Something is to be tried again.
    failed: Notify,
    /// Something was dropped.
    dropping: Notify,
}

struct State {
    backlog: Backlog,
    later: Later,
    /// Nothing more is heard or tried again.
    closed: bool,
    /// Needed another attempt after that.
    lost: u64,
}

/// What a delivery holds of the intake.
#[derive(Debug)]
pub(in crate::source) struct Loan {
    intake: Arc<Intake>,
    seq: u64,
    /// Absent in the first attempt.
    past: Option<Box<Past>>,
}

impl Intake {
    pub(super) fn new(opening: &Opening, channels: &Channels, meaning: Option<Meaning>) -> Arc<Self> {
        let bound = opening.config.backlog.unwrap_or(DEFAULT);
        // Whatever has been in flight at once can wait.
        let bound_later = Bound { keep: bound.keep.max(opening.config.in_flight as u64), ..bound };
        let (backlog, later) = (Backlog::new(bound), Later::new(bound_later));
        Arc::new(Self {
            origin: random::unique(),
            in_flight: opening.config.in_flight,
            permits: Semaphore::new(opening.config.in_flight),
            pace: Pace::new(opening),
            start: Arc::clone(&opening.start),
            meaning,
            ordered: opening.ordered.clone(),
            drops: match bound.drop {
                Take::Oldest => "oldest",
                Take::Newest => "newest",
            },
            state: Mutex::new(State { backlog, later, closed: false, lost: 0 }),
            story: event::ChannelStory::of(&opening.pipeline, channels.names.join(", ")),
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
        let lost = state.lost + (state.backlog.len() + state.later.len() + unsettled) as u64;
        drop(state);
        if lost > 0 {
            event::channel_ended(&self.story, lost);
        }
    }

    fn tell_dropped(&self) {
        let mut state = self.state();
        let (dropped, later) = (state.backlog.take_dropped(), state.later.take_dropped());
        drop(state);
        if dropped > 0 {
            event::channel_overflowed(&self.story, dropped, self.drops);
        }
        if later > 0 {
            event::channel_overflowed_later(&self.story, later, self.drops);
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

    /// Permits for one batch that have their tokens: one at least, up to `want` if they are free.
    async fn permits(&self, want: usize) -> SemaphorePermit<'_> {
        let mut permits = self.permits.acquire().await.expect("nobody closes the semaphore");
        let more = want.min(MOST).saturating_sub(1).min(self.permits.available_permits());
        if let Ok(free) = self.permits.try_acquire_many(more as u32) {
            permits.merge(free);
        }
        let tokens = self.pace.take(permits.num_permits()).await;
        drop(permits.split(permits.num_permits() - tokens));
        permits
    }

    /// So many of these permits belong to messages from now on, and the others are given back with their tokens.
    fn spend(&self, mut permits: SemaphorePermit<'_>, messages: usize) {
        self.pace.put_back(permits.num_permits() - messages);
        permits.split(messages).into_iter().for_each(SemaphorePermit::forget);
    }

    /// Hands the oldest messages on.
    fn begin(self: &Arc<Self>, permits: SemaphorePermit<'_>) {
        let taken = self.state().backlog.take(permits.num_permits());
        self.spend(permits, taken.len());
        event::taken(&self.story.tally, taken.len(), 0);
        let now = Instant::now().into_std();
        let batch: Vec<Delivery> = taken.into_iter().map(|(seq, heard)| self.delivery(seq, heard, now)).collect();
        if !batch.is_empty() {
            (self.start)(batch);
        }
    }

    fn delivery(self: &Arc<Self>, seq: u64, heard: Heard, now: std::time::Instant) -> Delivery {
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
        Delivery::from_channel(message, now, Loan { intake: Arc::clone(self), seq, past: None })
    }

    /// Keeps a message until `after` is over, if there is room.
    fn retry(&self, put: Put, after: Duration) {
        let mut state = self.state();
        if state.closed {
            state.lost += 1;
            return;
        }
        let now = Instant::now();
        let due = now.checked_add(after.max(SHORTEST)).unwrap_or(now + YEAR);
        let gone = state.later.push(put, due);
        drop(state);
        self.failed.notify_one();
        if !gone.is_empty() {
            self.dropping.notify_one();
            if let Some(ordered) = &self.ordered {
                (ordered.gone)(gone);
            }
        }
    }

    fn due(&self, now: Option<Instant>) -> (usize, Option<Instant>) {
        self.state().later.due(now)
    }

    /// Begins the next attempt of those that are due by `now`, or of all if that is absent, the first ones first.
    fn begin_again(self: &Arc<Self>, permits: SemaphorePermit<'_>, now: Option<Instant>) {
        let mut state = self.state();
        let due: Vec<Put> = std::iter::from_fn(|| state.later.pop(now)).take(permits.num_permits()).collect();
        drop(state);
        self.spend(permits, due.len());
        event::taken(&self.story.tally, due.len(), due.len());
        let begun = Instant::now().into_std();
        let loan = |seq, past| Loan { intake: Arc::clone(self), seq, past: Some(past) };
        let batch: Vec<_> = due
            .into_iter()
            .map(|Put { seq, message, past }| Delivery::from_channel(message, begun, loan(seq, past)))
            .collect();
        if !batch.is_empty() {
            (self.start)(batch);
        }
    }

    /// What waits now.
    fn waiting(&self) -> Waiting {
        let state = self.state();
        let heard = state.backlog.oldest();
        let (backlog, delayed) = (state.backlog.len() as u64, state.later.len() as u64);
        drop(state);
        let oldest = heard.map_or(0, |heard| now_ms().saturating_sub(heard));
        let oldest = Some(Duration::from_millis(oldest));
        Waiting { backlog: Some(backlog), oldest, delayed: Some(delayed), dead: None }
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
        let permits = intake.permits(MOST).await;
        intake.begin(permits);
    }
}

/// Hands out what is to be tried again when it is due, and the rest when it is time to take nothing more.
pub(super) async fn try_again(intake: Arc<Intake>, quiet: CancellationToken) {
    while !quiet.is_cancelled() {
        let now = Instant::now();
        let (due, next) = intake.due(Some(now));
        tokio::select! {
            () = quiet.cancelled() => {}
            permits = intake.permits(due), if due > 0 => intake.begin_again(permits, Some(now)),
            () = intake.failed.notified(), if due == 0 => {}
            () = tokio::time::sleep_until(next.unwrap_or(now + YEAR)), if due == 0 => {}
        }
    }
    intake.close();
    while let (left @ 1.., _) = intake.due(None) {
        let permits = intake.permits(left).await;
        intake.begin_again(permits, None);
    }
}

/// Tells every now and then what waits.
pub(super) async fn survey(intake: Arc<Intake>) {
    loop {
        event::waits(&intake.story.tally, intake.waiting());
        tokio::time::sleep(TELL).await;
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
        let mut came = Came::default();
        came.to(Some(&outcome));
        event::settled_at_source(&intake.story.tally, &came, std::iter::empty());
        match outcome {
            Outcome::Done | Outcome::Finished { .. } => {}
            Outcome::Dead { trouble, .. } => event::channel_lost(&intake.story, message, &trouble),
            Outcome::Again { after, succeeded } => {
                intake.pace.put_back(1);
                let mut past = self.past.take().unwrap_or_default();
                past.succeeded.extend(succeeded);
                intake.retry(Put { seq: self.seq, message: message.clone(), past }, after);
            }
            Outcome::Retry { after, trouble, succeeded } => {
                let mut past = self.past.take().unwrap_or_default();
                let message = Message { attempt: trouble.attempt.saturating_add(1), ..message.clone() };
                past.troubles.push(trouble);
                past.succeeded = succeeded;
                intake.retry(Put { seq: self.seq, message, past }, after);
            }
        }
        intake.permits.add_permits(1);
    }
}

impl Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("origin", &self.origin).finish_non_exhaustive()
    }
}
