//! One pipeline: what comes from its source goes through the filters in order and to the publishers side by side, then
//! is settled.

mod lines;
mod order;
mod publish;
mod retry;
pub mod tap;

use crate::{
    config::{self, Retry},
    connection::Connector,
    edge::Outlet,
    effect::{
        Allowance, Effects,
        limit::{Most, Share},
    },
    event,
    message::{Fault, Message, Outcome, Trouble, Verdict},
    plugin::{Slot, Version},
    pulse::Pulse,
    request::Settling,
    shutdown::Shutdown,
    source::{Delivery, Opening, Ordered, Source},
    trace::{Trace, Tracer},
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use order::Order;
use publish::{Publisher, Stop, Target, along};
use std::{sync::Arc, time::Duration};
use tap::{Glimpse, Stage, Taps};
use tokio_util::sync::CancellationToken;

/// A running pipeline.
#[derive(Debug)]
pub struct Pipeline {
    source: Source,
    shutdown: Shutdown,
}

/// What a pipeline is built from.
pub struct Parts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its table in the configuration.
    pub config: &'a config::Pipeline,
    /// The plugins of `config.filters`, in that order.
    pub filters: Vec<Arc<Slot>>,
    /// What `config.publish` names, in that order.
    pub publishers: Vec<Way>,
    /// Carries out what publishers ask for.
    pub effects: Effects,
    /// This process, among all that share the source.
    pub node: &'a str,
    /// How long it may be silent.
    pub lease: Duration,
    /// Where Redis is.
    pub connector: Connector,
    /// Where messages are traced.
    pub tracer: Option<Arc<Tracer>>,
    /// The node's; the pipeline ends with it.
    pub shutdown: &'a Shutdown,
    /// Where the node's life is felt.
    pub pulse: &'a Pulse,
    /// Where messages can be seen.
    pub taps: Taps,
}

/// A way out of a pipeline.
pub enum Way {
    /// A plugin, and what it may do.
    Plugin(Arc<Slot>, Allowance),
    /// The channels of this node.
    Edge(Outlet),
}

/// How many messages may be put back because of a server: no more than may wait in their list. A channel knows itself what it has
/// room for.
fn away(config: &config::Pipeline) -> Most {
    match (&config.from, config.backlog) {
        (config::From::Channels(_), _) => Most::All,
        (_, Some(backlog)) => Most::These(usize::try_from(backlog.keep).unwrap_or(usize::MAX)),
        (_, None) => Most::These(usize::MAX),
    }
}

impl Pipeline {
    /// Starts to take and to process.
    pub fn start(parts: Parts<'_>) -> Self {
        let shutdown = parts.shutdown.child();
        let publishers = parts.config.publish.iter().zip(parts.publishers);
        let line = Arc::new(Line {
            name: parts.name.to_owned(),
            filters: parts.filters,
            publishers: publishers.map(|(name, way)| target(name, way)).collect(),
            share: parts.effects.share(parts.config.in_flight, away(parts.config)),
            effects: parts.effects,
            quiet: shutdown.quiet().clone(),
            retry: parts.config.retry.clone(),
            order: parts.config.order.as_ref().map(|order| Order::new(order, parts.config.in_flight)),
            journal: parts.config.journal,
            result: matches!(&parts.config.from, config::From::Thoonk(thoonk) if thoonk.result),
            story: event::Story::of(parts.name, &parts.config.filters),
            taps: parts.taps,
            tracer: parts.tracer,
        });
        let tasks = shutdown.clone();
        let ordered = line.order.is_some().then(|| ordered(&line, &tasks));
        if ordered.is_some() {
            let line = Arc::clone(&line);
            drop(shutdown.track_until_stop(async move { line.keep_thin().await }));
        }
        let source = Source::open(&Opening {
            pipeline: parts.name.to_owned(),
            config: parts.config.clone(),
            node: parts.node.to_owned(),
            lease: parts.lease,
            connector: parts.connector,
            shutdown: shutdown.clone(),
            pulse: parts.pulse.clone(),
            start: Arc::new(move |batch| {
                let batch = line.admit(batch);
                if !batch.is_empty() {
                    drop(tasks.track_until_stop(Arc::clone(&line).process(batch)));
                }
            }),
            ordered,
        });
        Self { source, shutdown }
    }

    /// Takes nothing new, lets what is in flight finish for up to `grace`, and gives the rest back. True when all
    /// finished.
    pub async fn end(self, grace: Duration) -> bool {
        let finished = self.shutdown.end(grace).await;
        self.source.close().await;
        finished
    }
}

/// Keeps the line's order told of what waits for another attempt.
fn ordered(line: &Arc<Line>, tasks: &Shutdown) -> Ordered {
    let (loser, waiter) = (Arc::clone(line), Arc::clone(line));
    let (line, tasks) = (Arc::clone(line), tasks.clone());
    Ordered {
        lost: Arc::new(move || loser.order.iter().for_each(Order::forget)),
        waiting: Arc::new(move |waiting| {
            if let Some(order) = &waiter.order {
                order.expect(waiting);
            }
        }),
        gone: Arc::new(move |messages| {
            let next = line.order.as_ref().map(|order| order.gone(&messages)).unwrap_or_default();
            if !next.is_empty() {
                drop(tasks.track_until_stop(Arc::clone(&line).process(next)));
            }
        }),
    }
}

fn target(name: &str, way: Way) -> Target {
    match way {
        Way::Plugin(slot, allowance) => Target::Plugin(Publisher::new(name, slot, allowance)),
        Way::Edge(outlet) => Target::Edge(outlet),
    }
}

/// What a message goes through.
struct Line {
    name: String,
    filters: Vec<Arc<Slot>>,
    publishers: Vec<Target>,
    effects: Effects,
    /// What its endpoints share.
    share: Arc<Share>,
    /// When nothing is waited for any more that takes long.
    quiet: CancellationToken,
    retry: Retry,
    order: Option<Order>,
    /// Whether Redis keeps a journal of what is delivered in part.
    journal: bool,
    /// Whether the source wants to know what the filters made of the payload.
    result: bool,
    story: event::Story,
    taps: Taps,
    tracer: Option<Arc<Tracer>>,
}

/// A fault, and the plugin that had it.
struct Failed {
    plugin: String,
    /// Nothing where it was no plugin but the edge.
    digest: Option<String>,
    fault: Fault,
}

impl Failed {
    /// `fault`, which `version` had over `message`.
    fn new(version: &Version, message: &Message, fault: Fault) -> Self {
        if let Some(limit) = fault.limit() {
            let (plugin, digest) = (version.name(), version.digest());
            event::limit_overrun(version.overruns(), plugin, digest, message, limit, fault.reason());
        }
        Self { plugin: version.name().to_owned(), digest: Some(version.digest().to_owned()), fault }
    }

    fn trouble(&self, attempt: u32) -> Trouble {
        Trouble {
            attempt,
            plugin: Some(self.plugin.clone()),
            digest: self.digest.clone(),
            broke: matches!(self.fault, Fault::Broken { .. }),
            limit: self.fault.limit(),
            reason: self.fault.reason().to_owned(),
        }
    }
}

impl Line {
    /// Processes a batch on one task: no message pays for a task of its own, none waits for another.
    async fn process(self: Arc<Self>, batch: Vec<Delivery>) {
        let mut batch: FuturesUnordered<_> = batch.into_iter().map(|delivery| self.take(delivery)).collect();
        while let Some(next) = batch.next().await {
            batch.extend(next.map(|delivery| self.take(delivery)));
        }
    }

    /// Those that may be processed now.
    fn admit(&self, batch: Vec<Delivery>) -> Vec<Delivery> {
        match &self.order {
            Some(order) => order.enter(batch),
            None => batch,
        }
    }

    /// Returns the message that stood in line behind this one.
    async fn take(&self, mut delivery: Delivery) -> Option<Delivery> {
        let tracer = self.tracer.as_deref();
        let trace = tracer.and_then(|tracer| tracer.begin(&delivery.message, delivery.taken()));
        let outcome = match self.run(&mut delivery, trace.as_deref()).await {
            Ok(None) => Outcome::Done,
            Ok(Some(result)) => Outcome::Finished { result },
            Err(Stop::Lost) => {
                return self.order.as_ref().and_then(|order| order.finished(&delivery.message, &Outcome::Done));
            }
            Err(Stop::Held(after, succeeded)) => Outcome::Again { after, succeeded },
            Err(Stop::Failed(failed, succeeded)) => {
                let trouble = failed.trouble(delivery.message.attempt);
                retry::decide(&self.retry, &failed.fault, trouble, succeeded, delivery.broken())
            }
        };
        event::settled(&self.story, &self.name, &delivery.message, &outcome);
        self.taps.settled(&self.name, &delivery.message, &outcome);
        if let (Some(tracer), Some(trace)) = (tracer, trace) {
            tracer.end(*trace, &self.name, &delivery.message, &outcome);
        }
        let next = self.order.as_ref().and_then(|order| order.finished(&delivery.message, &outcome));
        delivery.settle(outcome);
        next
    }

    /// Filters and publishes, and settles where commands go along; tells the result, where one is wanted and the filters left the message whole.
    async fn run(&self, delivery: &mut Delivery, trace: Option<&Trace>) -> Result<Option<Bytes>, Stop> {
        let mut since = event::begun(&self.story, delivery.taken());
        self.taps.show(&self.name, Stage::Taken, &delivery.message, Glimpse::default());
        let filtered = self.filter(delivery.message.clone(), trace).await;
        if !self.filters.is_empty() {
            since = event::filtered(&self.story, since);
        }
        let messages = filtered.map_err(|failed| Stop::Failed(failed, delivery.succeeded().to_vec()))?;
        let out = self.out(delivery.settles_in(), trace);
        let published = publish::all(&self.publishers, &out, &messages, delivery).await;
        if !messages.is_empty() {
            event::published(&self.story, since);
        }
        let published = published?;
        if !published.along.is_empty() {
            along::settle(delivery, published).boxed().await?;
        }
        Ok(if self.result { result(&messages, &delivery.message.id) } else { None })
    }

    /// Keeps one key from taking all that may be in flight, until nothing is taken any more.
    async fn keep_thin(&self) {
        if let Some(order) = &self.order {
            self.quiet.run_until_cancelled(order.keep_thin()).await;
        }
    }

    fn out<'a>(&'a self, settling: Settling, trace: Option<&'a Trace>) -> publish::Out<'a> {
        let Self { effects, share, quiet, journal, .. } = self;
        publish::Out { effects, share, quiet, journal: *journal, settling, trace }
    }

    /// What the filters make of `message`: none, one, or many.
    async fn filter(&self, message: Message, trace: Option<&Trace>) -> Result<Vec<Message>, Failed> {
        let mut messages = vec![message];
        for slot in &self.filters {
            let version = slot.current();
            let mut passed = Vec::with_capacity(messages.len());
            for message in messages {
                let verdict =
                    ask(&version, &message, trace).await.map_err(|fault| Failed::new(&version, &message, fault))?;
                match verdict {
                    Verdict::Pass => passed.push(message),
                    Verdict::Replace(change) => passed.push(message.changed(change)),
                    Verdict::Split(changes) => {
                        let allowed = version.allows_children(passed.len() + changes.len());
                        allowed.map_err(|fault| Failed::new(&version, &message, fault))?;
                        passed.extend(
                            changes.into_iter().enumerate().map(|(index, change)| message.child(index, change)),
                        );
                    }
                    Verdict::Drop(reason) => {
                        event::dropped(&self.story, &self.name, version.name(), &message, reason.as_deref());
                        let glimpse = Glimpse { plugin: Some(version.name()), reason: reason.as_deref() };
                        self.taps.show(&self.name, Stage::Dropped, &message, glimpse);
                    }
                }
            }
            messages = passed;
            let glimpse = Glimpse { plugin: Some(version.name()), reason: None };
            messages.iter().for_each(|message| self.taps.show(&self.name, Stage::Filtered, message, glimpse));
        }
        Ok(messages)
    }
}

/// What the filters made of the message `id`; none where they dropped or split it.
fn result(messages: &[Message], id: &str) -> Option<Bytes> {
    match messages {
        [message] if *message.id == *id => Some(message.payload.clone()),
        _ => None,
    }
}

async fn ask(version: &Arc<Version>, message: &Message, trace: Option<&Trace>) -> Result<Verdict, Fault> {
    let span = trace.map(Trace::child);
    let verdict = version.lend().await?.filter(message).await;
    if let Some(span) = span {
        span.filtered(version.name(), version.digest(), came(&verdict), verdict.is_err());
    }
    verdict
}

fn came(verdict: &Result<Verdict, Fault>) -> &'static str {
    match verdict {
        Ok(Verdict::Pass) => "pass",
        Ok(Verdict::Replace(_)) => "replace",
        Ok(Verdict::Split(_)) => "split",
        Ok(Verdict::Drop(_)) => "drop",
        Err(Fault::Retry { .. }) => "retry",
        Err(Fault::Reject { .. }) => "reject",
        Err(Fault::Broken { .. }) => "broken",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Change;

    #[test]
    fn a_result_is_what_the_filters_made_of_a_message_they_left_whole() {
        let message = Message {
            id: "1f".into(),
            source: "work".into(),
            topic: "work".into(),
            attempt: 1,
            received_ms: 0,
            headers: Vec::new(),
            payload: Bytes::from_static(b"before"),
        };
        let change = || Change { payload: Some(Bytes::from_static(b"after")), ..Change::default() };
        assert_eq!(result(&[message.clone().changed(change())], "1f"), Some(Bytes::from_static(b"after")));
        assert_eq!(result(&[message.child(0, change())], "1f"), None);
        assert_eq!(result(&[message.child(0, change()), message.child(1, change())], "1f"), None);
        assert_eq!(result(&[], "1f"), None);
    }
}
