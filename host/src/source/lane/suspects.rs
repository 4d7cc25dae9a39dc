//! Messages that were in flight when a node ended: one of them may have ended it, so Redis counts how often each is tried.
//!
//! What was in flight once comes in large groups; whatever was among those running when a node ended again comes in
//! smaller ones, and then alone. So a message that ends every node is found in few steps, and the others with it go free.
//!
//! Where the order matters, nothing can be tried before it is known what else waits: all are put back, to come again one
//! behind the other. Those that were among them more than once come apart, so that few others are there when one ends a node.

use super::{Content, Lane, envelope::Envelope, journal, scripts};
use crate::{
    message::Outcome,
    source::{Delivery, backoff::Backoff, delivery::Watch, dialect::Item, queue::shared::Shared},
};
use redis::RedisError;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How often it is looked whether some have ended.
const LOOK: Duration = Duration::from_millis(5);

/// Between messages that are put back, so that they come again in their order.
const BEHIND: Duration = Duration::from_millis(1);
/// The same for those under a grave suspicion.
const APART: Duration = Duration::from_millis(50);

/// Whoever tries a message alone holds this: what comes from other lanes and sources would end with this process, too.
static ALONE: Semaphore = Semaphore::const_new(1);

/// How many are tried at once that are tried for the `tried`th time.
fn group(tried: u32) -> usize {
    match tried {
        0 | 1 => 256,
        2 => 16,
        _ => 1,
    }
}

/// Notes on each item how often it will have been tried and what the journal knows of it, and condemns those that have had their chances.
pub(in crate::source) async fn mark(shared: &Shared, lane: &Lane, items: &mut [(u64, Item)]) -> Result<(), RedisError> {
    if items.is_empty() {
        return Ok(());
    }
    let register = lane.register();
    let (mut ids, mut crashes) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    for (seq, item) in items.iter() {
        let known = match &item.past {
            Some(past) => Some((past.id.clone(), past.crashes)),
            None if lane.content == Content::Sealed => {
                Envelope::open(&item.raw).map(|(envelope, _)| (envelope.id, envelope.crashes))
            }
            None => None,
        };
        let of_lane = || item.item.clone().unwrap_or_else(|| format!("{}-{seq}", register.origin));
        let (id, before) = known.unwrap_or_else(|| (of_lane(), 0));
        ids.push(id);
        crashes.push(before);
    }
    let mut link = shared.link().await?;
    let mut known = redis::pipe();
    known.cmd("HMGET").arg(shared.keys.tried()).arg(&ids).cmd("HMGET").arg(shared.keys.journal()).arg(&ids);
    let (tried, noted): (Vec<Option<u32>>, Vec<Option<String>>) = known.query_async(&mut link).await?;
    for ((((_, item), tried), noted), crashes) in items.iter_mut().zip(tried).zip(noted).zip(crashes) {
        item.succeeded = journal::read(noted);
        item.tried = tried.unwrap_or(0) + 1;
        let ended = crashes + item.tried;
        if ended > shared.crashes {
            item.flaw = Some(format!("quarantined: a node ended {ended} times while this message was in flight"));
        }
    }
    Ok(())
}

/// The suspects of one lane that run.
#[derive(Default)]
pub(in crate::source) struct Trial {
    running: Vec<Watch>,
    /// How often each of them has been tried.
    tried: u32,
}

impl Trial {
    /// Hands the messages on as there is room for them in their group; each is counted before it is.
    pub(super) async fn hand_on(&mut self, shared: &Arc<Shared>, mut deliveries: Vec<Delivery>) {
        deliveries.sort_by_key(Delivery::tried);
        let mut deliveries = deliveries.into_iter().peekable();
        while let Some(tried) = deliveries.peek().map(Delivery::tried) {
            let room = self.room(shared, tried).await;
            let next = std::iter::from_fn(|| deliveries.next_if(|delivery| delivery.tried() == tried));
            let some: Vec<Delivery> = next.take(room).collect();
            let alone = if group(tried) == 1 { alone(shared).await } else { None };
            if !count(shared, &some).await {
                some.into_iter().chain(deliveries).for_each(|delivery| delivery.settle(untried()));
                return;
            }
            self.tried = tried;
            self.running.extend(some.iter().filter_map(Delivery::watch));
            (shared.start)(some);
            if alone.is_some() {
                self.room(shared, tried).await;
            }
        }
    }

    /// Waits until some that are tried for the `tried`th time may run, and says how many. What came on an earlier page may run
    /// for long: only those of another group wait until it is settled.
    async fn room(&mut self, shared: &Shared, tried: u32) -> usize {
        loop {
            self.running.retain(|watch| !watch.is_settled());
            let taken = if self.running.is_empty() || self.tried == tried { self.running.len() } else { usize::MAX };
            let room = group(tried).saturating_sub(taken);
            if room > 0 {
                return room;
            }
            if shared.shutdown.stop().is_cancelled() {
                return group(tried);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Waits until nothing else is tried alone, or it is time to take nothing more.
async fn alone(shared: &Shared) -> Option<SemaphorePermit<'static>> {
    // It is never closed.
    shared.shutdown.quiet().run_until_cancelled(ALONE.acquire()).await?.ok()
}

/// Gives the messages back untried; the ends of nodes that they have seen stay counted.
pub(in crate::source) fn put_back(deliveries: Vec<Delivery>) {
    for (place, delivery) in (0..).zip(deliveries) {
        let step = if delivery.crashes() > 1 { APART } else { BEHIND };
        delivery.settle(Outcome::Again { after: step * place, succeeded: Vec::new() });
    }
}

/// Counts one more try of each in Redis; false when it is time to take nothing more.
async fn count(shared: &Shared, deliveries: &[Delivery]) -> bool {
    let mut backoff = Backoff::new();
    while !shared.shutdown.quiet().is_cancelled() {
        match count_once(shared, deliveries).await {
            Ok(()) => return true,
            Err(error) => {
                shared.failed(&error).await;
                shared.pause(backoff.next()).await;
            }
        }
    }
    false
}

async fn count_once(shared: &Shared, deliveries: &[Delivery]) -> Result<(), RedisError> {
    let mut link = shared.link().await?;
    // All are of one lane.
    let lane = deliveries.iter().find_map(Delivery::lane).unwrap_or_default();
    scripts::TRIED
        .run(&mut link, |count| {
            count.key(shared.keys.lanes()).key(lane).key(shared.keys.tried());
            for delivery in deliveries {
                count.arg(&*delivery.message.id).arg(delivery.tried());
            }
        })
        .await
}

/// The node ends before these were begun with.
fn untried() -> Outcome {
    Outcome::Again { after: Duration::ZERO, succeeded: Vec::new() }
}
