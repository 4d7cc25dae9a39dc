//! Publishing: every publisher of a pipeline, for every message that the filters made of one delivery, side by side.

mod batch;
mod gather;

use super::Failed;
use crate::{
    effect::{Allowance, Effects},
    event,
    message::{Fault, Message},
    plugin::{Slot, Version},
    request::{Reply, Request},
    source::Delivery,
};
use futures_util::future::join_all;
use gather::Gather;
use std::{sync::Arc, time::Instant};

/// One publisher of a pipeline.
pub(super) struct Publisher {
    name: String,
    slot: Arc<Slot>,
    allowance: Allowance,
    /// Where messages wait for others, if it takes batches.
    gather: Gather,
}

impl Publisher {
    pub(super) fn new(name: &str, slot: Arc<Slot>, allowance: Allowance) -> Self {
        Self { name: name.to_owned(), slot, allowance, gather: Gather::default() }
    }

    /// Publishes `message`: asks for requests, has them carried out, has the replies judged, until nothing more is asked.
    async fn publish(&self, effects: &Effects, message: &Message) -> Result<(), Failed> {
        let version = self.slot.current();
        if let Some(terms) = version.batch() {
            return self.publish_gathered(&self.gather, &terms, effects, message).await;
        }
        self.rounds(&version, effects, message).await.map_err(|fault| Failed::new(&version, message, fault))
    }

    async fn rounds(&self, version: &Arc<Version>, effects: &Effects, message: &Message) -> Result<(), Fault> {
        let mut requests = version.lend().await?.publish(message).await?;
        let (mut round, mut asked) = (1, 0);
        while !requests.is_empty() {
            asked += requests.len();
            version.allows_requests(asked, round)?;
            let (count, start) = (requests.len(), Instant::now());
            let replies = self.carry_out(effects, message, round, requests).await;
            version.carried_out(count, start.elapsed());
            replies.iter().filter_map(Reply::denied).for_each(|why| event::request_denied(&self.name, message, why));
            requests = version.lend().await?.answered(message, &replies, round).await?;
            round += 1;
        }
        Ok(())
    }

    async fn carry_out(
        &self,
        effects: &Effects,
        message: &Message,
        round: u32,
        mut requests: Vec<Request>,
    ) -> Vec<Reply> {
        let first = format!("{}/{}", message.id, self.name);
        if round == 1 && requests.len() == 1 {
            return join_all(requests.pop().map(|only| effects.carry_out(&self.allowance, &first, only))).await;
        }
        let numbered = requests.into_iter().enumerate();
        join_all(numbered.map(|(index, request)| {
            let key = format!("{first}/{round}.{index}");
            async move { effects.carry_out(&self.allowance, &key, request).await }
        }))
        .await
    }
}

/// Publishes all that is not yet published; the error tells what went wrong and which have succeeded so far.
pub(super) async fn all(
    publishers: &[Publisher],
    effects: &Effects,
    messages: &[Message],
    delivery: &Delivery,
) -> Result<(), (Failed, Vec<String>)> {
    if let ([publisher], [message], []) = (publishers, messages, delivery.succeeded()) {
        return publisher.publish(effects, message).await.map_err(|failed| (failed, Vec::new()));
    }
    let mut succeeded = delivery.succeeded().to_vec();
    let pairs = messages.iter().flat_map(|message| publishers.iter().map(move |publisher| (message, publisher)));
    let due = pairs.map(|(message, publisher)| (mark(delivery, message, publisher), message, publisher));
    let due: Vec<_> = due.filter(|(mark, ..)| !succeeded.contains(mark)).collect();
    let results = join_all(due.iter().map(|(_, message, publisher)| publisher.publish(effects, message))).await;
    let mut worst: Option<Failed> = None;
    for ((mark, ..), result) in due.into_iter().zip(results) {
        match result {
            Ok(()) => succeeded.push(mark),
            Err(failed) => worst = Some(graver(worst, failed)),
        }
    }
    worst.map_or(Ok(()), |failed| Err((failed, succeeded)))
}

/// What is remembered of a success: the publisher, behind the child's place for a child of a split.
fn mark(delivery: &Delivery, message: &Message, publisher: &Publisher) -> String {
    let place = message.id.strip_prefix(&*delivery.message.id).unwrap_or_default().trim_start_matches('/');
    if place.is_empty() { publisher.name.clone() } else { format!("{place}/{}", publisher.name) }
}

/// The one that decides: what heals with time goes before what never does, so that a publisher that only needs another
/// attempt gets it; of two that heal, the one that takes longer.
fn graver(one: Option<Failed>, other: Failed) -> Failed {
    let weight = |failed: &Failed| match &failed.fault {
        Fault::Reject { .. } => (0, None),
        Fault::Broken { .. } => (1, None),
        Fault::Retry { after, .. } => (1, *after),
    };
    match one {
        Some(one) if weight(&one) >= weight(&other) => one,
        _ => other,
    }
}
