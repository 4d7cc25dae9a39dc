//! The jobs of one Resque queue: how they become messages, and what Resque is told of each.

use super::{
    board::Busy,
    clock,
    failure::Failure,
    job::{self, Job},
    workers::Workers,
};
use crate::{
    message::{Outcome, Trouble},
    source::{
        dialect::Item,
        lane::{entry::Entry, settlement::Step},
    },
};
use redis::{RedisError, aio::MultiplexedConnection};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// See the module.
#[derive(Debug)]
pub(in crate::source) struct Jobs {
    workers: Arc<Workers>,
    queue: Arc<str>,
    /// How often a job is tried.
    attempts: u32,
    /// Whether resque-scheduler keeps those that wait for another attempt.
    scheduler: bool,
    running: AtomicUsize,
}

/// A worker that is seen to process a job.
#[derive(Debug)]
pub(in crate::source) struct Seat {
    jobs: Arc<Jobs>,
    slot: Option<u32>,
    left: AtomicBool,
}

impl Jobs {
    pub(super) fn new(workers: &Arc<Workers>, queue: &str, attempts: u32, scheduler: bool) -> Arc<Self> {
        let (workers, running) = (Arc::clone(workers), AtomicUsize::new(0));
        Arc::new(Self { workers, queue: queue.into(), attempts, scheduler, running })
    }

    /// How many are being processed.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// The stream of dead letters of all queues.
    pub(in crate::source) fn dead_letters(&self) -> String {
        self.workers.keys.dead()
    }

    /// Reads what lies in a lane.
    pub(in crate::source) async fn read(
        &self,
        redis: &mut MultiplexedConnection,
        raw: Vec<Vec<u8>>,
    ) -> Result<Vec<Item>, RedisError> {
        let mut items: Vec<Item> = raw.into_iter().map(item).collect();
        if self.scheduler {
            self.count_attempts(redis, &mut items).await?;
        }
        Ok(items)
    }

    /// What resque-retry has counted: from 0, and absent before the first attempt.
    async fn count_attempts(&self, redis: &mut MultiplexedConnection, items: &mut [Item]) -> Result<(), RedisError> {
        let jobs = items.iter_mut().filter_map(|item| Job::read(&item.raw).ok().map(|job| (item, job)));
        let (items, counters): (Vec<_>, Vec<_>) = jobs.map(|(item, job)| (item, self.counter(&job))).unzip();
        if items.is_empty() {
            return Ok(());
        }
        let counted: Vec<Option<i64>> = redis::cmd("MGET").arg(counters).query_async(redis).await?;
        for (item, counted) in items.into_iter().zip(counted) {
            item.attempts = counted.map_or(0, |counted| u32::try_from(counted + 1).unwrap_or(0));
        }
        Ok(())
    }

    fn counter(&self, job: &Job) -> String {
        self.workers.names.of(&job.counter())
    }

    /// A worker for the job that is about to be handed out.
    pub(in crate::source) fn seat(self: &Arc<Self>, entry: &Entry) -> Seat {
        self.running.fetch_add(1, Ordering::Relaxed);
        let busy = Busy { queue: Arc::clone(&self.queue), since: clock::now(), job: entry.payload.clone() };
        Seat { jobs: Arc::clone(self), slot: self.workers.board.begin(busy), left: AtomicBool::new(false) }
    }

    /// A job has ended: its worker is free, and has one more in its books.
    pub(in crate::source) fn ended(&self, entry: &Entry, outcome: Option<&Outcome>) {
        let slot = self.slot(entry);
        if let Some(seat) = &entry.seat {
            seat.leave();
        }
        let failed = matches!(outcome, Some(Outcome::Retry { .. } | Outcome::Dead { .. }));
        if !matches!(outcome, Some(Outcome::Again { .. })) {
            self.workers.board.count(slot, failed);
        }
    }

    /// The worker that has a job.
    fn slot(&self, entry: &Entry) -> u32 {
        entry.seat.as_ref().and_then(|seat| seat.slot).unwrap_or_else(|| self.workers.slot(entry.seq))
    }

    /// What settling a job does: beside what is `kept` of it here, what Resque is told in the same script.
    pub(in crate::source) fn steps(
        &self,
        entry: &Entry,
        outcome: Option<&Outcome>,
        kept: Option<Step>,
        steps: &mut Vec<Step>,
    ) {
        let slot = self.slot(entry);
        match outcome {
            Some(Outcome::Retry { after, trouble, .. }) => self.again(entry, slot, *after, trouble, kept, steps),
            Some(Outcome::Again { .. }) => {
                steps.push(self.known());
                steps.extend(kept);
            }
            Some(Outcome::Dead { trouble, .. }) => {
                steps.extend(self.forgotten(entry));
                let failed = self.failure(entry, slot, trouble).record();
                steps.push(Step::call([b"RPUSH", self.workers.names.failed().as_bytes(), failed.as_bytes()]));
                steps.extend(kept);
            }
            _ => {
                steps.extend(self.forgotten(entry));
                steps.extend(kept);
            }
        }
    }

    /// Another attempt, here or where resque-scheduler finds it.
    fn again(
        &self,
        entry: &Entry,
        slot: u32,
        after: Duration,
        trouble: &Trouble,
        kept: Option<Step>,
        steps: &mut Vec<Step>,
    ) {
        match Job::read(&entry.payload).ok().filter(|_| self.scheduler) {
            Some(job) => self.schedule(&job, after, &self.failure(entry, slot, trouble), steps),
            None => {
                steps.push(self.known());
                steps.extend(kept);
            }
        }
    }

    /// A queue that holds something is known as a queue, or nobody would look for it.
    fn known(&self) -> Step {
        Step::call([b"SADD", self.workers.names.queues().as_bytes(), self.queue.as_bytes()])
    }

    /// As resque-retry leaves a job behind an attempt: counted, with its story until some time after it is due, and in the hands
    /// of resque-scheduler.
    fn schedule(&self, job: &Job, after: Duration, failure: &Failure<'_>, steps: &mut Vec<Step>) {
        let (names, counter) = (&self.workers.names, job.counter());
        let attempt = failure.trouble.attempt.saturating_sub(1).to_string();
        steps.push(Step::call([b"SET", names.of(&counter).as_bytes(), attempt.as_bytes()]));
        if after.is_zero() {
            steps.push(self.known());
            return steps.push(Step::call([b"RPUSH", names.queue(&self.queue).as_bytes(), job.json().as_bytes()]));
        }
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        let story = names.of(&format!("failure-{counter}"));
        let kept_for = (2 * seconds).to_string();
        steps.push(Step::call([b"SETEX", story.as_bytes(), kept_for.as_bytes(), failure.record().as_bytes()]));
        let due = (clock::now() + seconds).to_string();
        let (delayed, json) = (format!("delayed:{due}"), job.delayed(&self.queue));
        steps.push(Step::call([b"RPUSH", names.of(&delayed).as_bytes(), json.as_bytes()]));
        steps.push(Step::call([b"SADD", names.timestamps(&json).as_bytes(), delayed.as_bytes()]));
        steps.push(Step::call([b"ZADD", names.schedule().as_bytes(), due.as_bytes(), due.as_bytes()]));
    }

    /// A job that needs no further attempt is not counted any more.
    fn forgotten(&self, entry: &Entry) -> Option<Step> {
        let job = Job::read(&entry.payload).ok().filter(|_| self.scheduler && entry.past.attempts > 0)?;
        let counter = job.counter();
        let story = self.workers.names.of(&format!("failure-{counter}"));
        Some(Step::call([b"DEL", self.workers.names.of(&counter).as_bytes(), story.as_bytes()]))
    }

    fn failure<'a>(&'a self, entry: &'a Entry, slot: u32, trouble: &'a Trouble) -> Failure<'a> {
        let worker = self.workers.id(slot);
        Failure { queue: &self.queue, worker, attempts: self.attempts, entry, trouble, at: clock::now() }
    }
}

/// A job, or what cannot be one.
fn item(raw: Vec<u8>) -> Item {
    let class = job::class(&raw);
    let item = Item::from(raw);
    match class {
        Ok(class) => Item { topic: Some(class), ..item },
        Err(flaw) => Item { flaw: Some(flaw.to_string()), ..item },
    }
}

impl Seat {
    /// The job has ended.
    fn leave(&self) {
        if !self.left.swap(true, Ordering::Relaxed) {
            self.jobs.running.fetch_sub(1, Ordering::Relaxed);
            if let Some(slot) = self.slot {
                self.jobs.workers.board.end(slot);
            }
        }
    }
}

/// Where nobody settles it: the lane is lost.
impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}
