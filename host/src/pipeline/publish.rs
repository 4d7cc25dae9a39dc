//! Publishing: every publisher of a pipeline, for every message that the filters made of one delivery, side by side.

pub(super) mod along;
mod batch;
mod gather;
mod traced;

use super::Failed;
use crate::{
    config::EDGE,
    edge::Outlet,
    effect::{
        Allowance, Effects,
        limit::{Admitted, Held, Share},
    },
    event,
    message::{Fault, Message},
    plugin::{Slot, Version},
    request::{Reply, Request, Settling},
    source::Delivery,
    trace::Trace,
};
use along::Along;
use futures_util::{FutureExt, future::join_all};
use gather::Gather;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Where a pipeline's messages go.
#[expect(clippy::large_enum_variant, reason = "there are few, and nearly all are plugins")]
pub(super) enum Target {
    /// What a plugin makes of them.
    Plugin(Publisher),
    /// Channels of this node.
    Edge(Outlet),
}

impl Target {
    fn name(&self) -> &str {
        match self {
            Self::Plugin(publisher) => &publisher.name,
            Self::Edge(_) => EDGE,
        }
    }

    async fn publish(&self, out: &Out<'_>, message: &Message) -> Result<Along, Why> {
        match self {
            Self::Plugin(publisher) => publisher.publish(out, message).await,
            Self::Edge(outlet) => match outlet.publish(message).await {
                Ok(()) => Ok(Along::default()),
                Err(fault) => Err(Why::Failed(Failed { plugin: EDGE.to_owned(), digest: None, fault })),
            },
        }
    }
}

/// One publisher of a pipeline.
pub(super) struct Publisher {
    name: String,
    slot: Arc<Slot>,
    allowance: Allowance,
    /// Where messages wait for others, if it takes batches.
    gather: Gather,
}

/// The way out of a pipeline.
pub(super) struct Out<'a> {
    pub(super) effects: &'a Effects,
    pub(super) share: &'a Arc<Share>,
    pub(super) quiet: &'a CancellationToken,
    /// Whether Redis is told of publishers that have succeeded while others still work on the same message.
    pub(super) journal: bool,
    /// Whether and where commands can be carried out with the settling of the message.
    pub(super) settling: Settling,
    /// Of the message, where it is part of one.
    pub(super) trace: Option<&'a Trace>,
}

/// What has come of publishing a message.
pub(super) struct Published {
    /// What is to be carried out when it is settled.
    pub(super) along: Along,
    /// The publishers that have succeeded, whatever comes of that.
    pub(super) succeeded: Vec<String>,
}

/// Why a message is not through, and which publishers have succeeded so far.
pub(super) enum Stop {
    /// It was not sent, as where it goes nothing is to be sent for so long.
    Held(Duration, Vec<String>),
    /// Something went wrong.
    Failed(Failed, Vec<String>),
    /// It is another node's by now.
    Lost,
}

/// Why one publisher has not succeeded.
enum Why {
    Held(Held),
    Failed(Failed),
}

/// The same before it is known whose it was.
#[derive(Clone)]
enum Halt {
    Held(Held),
    Fault(Fault),
}

impl Halt {
    /// That of `version`, over `message`.
    fn of(self, version: &Version, message: &Message) -> Why {
        match self {
            Self::Held(held) => Why::Held(held),
            Self::Fault(fault) => Why::Failed(Failed::new(version, message, fault)),
        }
    }
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Publisher {
    pub(super) fn new(name: &str, slot: Arc<Slot>, allowance: Allowance) -> Self {
        Self { name: name.to_owned(), slot, allowance, gather: Gather::default() }
    }

    /// Publishes `message`: asks for requests, has them carried out, has the replies judged, until nothing more is asked.
    async fn publish(&self, out: &Out<'_>, message: &Message) -> Result<Along, Why> {
        let version = self.slot.current();
        if let Some(terms) = version.batch() {
            // Boxed, so that messages that go out alone need no room for what it takes.
            return self.publish_gathered(&self.gather, &terms, out, message).boxed().await;
        }
        self.rounds(&version, out, message).await.map_err(|halt| halt.of(&version, message))
    }

    async fn rounds(&self, version: &Arc<Version>, out: &Out<'_>, message: &Message) -> Result<Along, Halt> {
        let mut requests = version.lend().await?.publish(message).await?;
        let (mut round, mut asked) = (1, 0);
        let (mut admitted, mut along) = (Admitted::default(), Along::default());
        while !requests.is_empty() {
            asked += requests.len();
            version.allows_requests(asked, round)?;
            if round == 1 {
                // Only now nothing of it was sent yet.
                admitted = out.effects.admit(out.share, &requests, out.quiet).await.map_err(Halt::Held)?;
            }
            let (count, start, wanted) = (requests.len(), Instant::now(), along::wanted(&requests));
            let replies = self.carry_out(out, message, round, requests, &mut admitted).await;
            version.carried_out(count, start.elapsed());
            replies.iter().filter_map(Reply::denied).for_each(|why| event::request_denied(&self.name, message, why));
            wanted.into_iter().for_each(|(place, words)| along.queue(version, words, replies.get(place)));
            requests = version.lend().await?.answered(message, &replies, round).await?;
            round += 1;
        }
        Ok(along)
    }

    async fn carry_out(
        &self,
        out: &Out<'_>,
        message: &Message,
        round: u32,
        mut requests: Vec<Request>,
        admitted: &mut Admitted,
    ) -> Vec<Reply> {
        let settling = out.settling;
        let first = format!("{}/{}", message.id, self.name);
        if round == 1 && requests.len() == 1 {
            let pass = admitted.take_pass();
            let only = requests.pop().map(|only| self.send(out, &first, settling, only, pass));
            return match only {
                Some(only) => vec![only.await],
                None => Vec::new(),
            };
        }
        let numbered = requests.into_iter().enumerate();
        join_all(numbered.map(|(index, request)| {
            let key = format!("{first}/{round}.{index}");
            let pass = request.url().and_then(|_| admitted.take_pass());
            self.send(out, &key, settling, request, pass)
        }))
        .await
    }
}

/// Publishes all that is not yet published.
pub(super) async fn all(
    publishers: &[Target],
    out: &Out<'_>,
    messages: &[Message],
    delivery: &Delivery,
) -> Result<Published, Stop> {
    let before = delivery.succeeded();
    if let ([publisher], [message], []) = (publishers, messages, before) {
        return match publisher.publish(out, message).await {
            Ok(along) => Ok(Published { along, succeeded: Vec::new() }),
            Err(Why::Held(held)) => Err(Stop::Held(held.after, Vec::new())),
            Err(Why::Failed(failed)) => Err(Stop::Failed(failed, Vec::new())),
        };
    }
    let pairs = messages.iter().flat_map(|message| publishers.iter().map(move |publisher| (message, publisher)));
    let due = pairs.map(|(message, publisher)| (mark(delivery, message, publisher), message, publisher));
    let due: Vec<_> = due.filter(|(mark, ..)| !before.contains(mark)).collect();
    let open = &AtomicUsize::new(due.len());
    let published = due.iter().map(|(mark, message, publisher)| async move {
        let result = publisher.publish(out, message).await;
        // What the last one comes to is in the settlement.
        let others = open.fetch_sub(1, Ordering::Relaxed) > 1;
        if others && out.journal && result.as_ref().is_ok_and(Along::is_empty) {
            delivery.note(mark);
        }
        result
    });
    let results = join_all(published).await;
    let (mut worst, mut held, mut now): (Option<Failed>, Option<Duration>, _) = (None, None, Vec::new());
    let mut along = Along::default();
    for ((mark, ..), result) in due.into_iter().zip(results) {
        match result {
            Ok(none) if none.is_empty() => now.push(mark),
            Ok(some) => along.join(some),
            Err(Why::Held(Held { after })) => held = held.max(Some(after)),
            Err(Why::Failed(failed)) => worst = Some(graver(worst, failed)),
        }
    }
    match (worst, held) {
        (None, None) => Ok(Published { along, succeeded: [before, &now].concat() }),
        (None, Some(after)) => Err(Stop::Held(after, now)),
        (Some(failed), held) => Err(Stop::Failed(waiting_for(failed, held), [before, &now].concat())),
    }
}

/// `failed`, beside a publisher that has to be run again after `held`.
fn waiting_for(mut failed: Failed, held: Option<Duration>) -> Failed {
    let Some(held) = held else { return failed };
    failed.fault = match failed.fault {
        Fault::Reject { reason } => Fault::Retry { after: Some(held), reason },
        Fault::Retry { after: Some(after), reason } => Fault::Retry { after: Some(after.max(held)), reason },
        fault => fault,
    };
    failed
}

/// What is remembered of a success: the publisher, behind the child's place for a child of a split.
fn mark(delivery: &Delivery, message: &Message, publisher: &Target) -> String {
    let place = message.id.strip_prefix(&*delivery.message.id).unwrap_or_default().trim_start_matches('/');
    let name = publisher.name();
    if place.is_empty() { name.to_owned() } else { format!("{place}/{name}") }
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
