//! Traces of messages: a span for each message that is traced, below it one for each filter and request.
//!
//! What a span says is fixed here: names, ids, statuses and times, never a payload, a path or a plugin's words. Spans gather with
//! their message and go into one bounded queue when it ends; somebody else sends them on, and what there is no room for is counted.

mod context;
mod wire;

pub use context::Context;

use crate::{
    config::{OrderBy, Traces},
    event,
    message::{Message, Outcome},
    random,
};
use bytes::Bytes;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Messages whose spans may wait to be sent.
const MOST_WAITING: usize = 1_024;
/// Spans of one message; there may be a thousand children and requests.
const MOST_SPANS: usize = 256;
/// Spans of one export.
const MOST_SENT: usize = 2_048;
/// How long spans gather.
const GATHER: Duration = Duration::from_secs(1);
/// Of a text that a span holds, in bytes.
const LONGEST: usize = 200;

/// Decides which messages are traced.
#[derive(Debug)]
pub struct Tracer {
    sample: f64,
    places: Vec<OrderBy>,
    out: Sender<Vec<Span>>,
}

/// The spans that are to be sent.
#[derive(Debug)]
pub struct Spans {
    waiting: Receiver<Vec<Span>>,
    service: String,
    node: String,
}

/// One message on its way.
#[derive(Debug)]
pub struct Trace {
    /// What its own span is, or where it is not recorded, what it came with.
    context: Context,
    /// The span that it came with.
    parent: Option<[u8; 8]>,
    taken: Instant,
    spans: Mutex<Vec<Span>>,
}

/// One thing that is done for a message.
#[derive(Debug)]
pub struct Child<'a> {
    trace: &'a Trace,
    context: Context,
    since: Instant,
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
struct Span {
    context: Context,
    parent: Option<[u8; 8]>,
    kind: Kind,
    name: String,
    /// Since 1970.
    began: Duration,
    took: Duration,
    said: Vec<(&'static str, Said)>,
    failed: bool,
}

/// What stands for the message, for a call of a filter, for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Filter,
    Request,
}

/// What a span says of itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// A text that is cut where it is long.
    Text(String),
    /// A number.
    Number(i64),
}

impl Tracer {
    /// Traces as `config` says, for the node with this id; the spans have to be taken on.
    pub fn new(config: &Traces, node: &str) -> (Arc<Self>, Spans) {
        let (out, waiting) = channel(MOST_WAITING);
        let tracer = Self { sample: config.sample, places: config.traceparent.clone(), out };
        (Arc::new(tracer), Spans { waiting, service: config.service.clone(), node: node.to_owned() })
    }

    /// `message`, taken at `taken`, begins its way. None where it is part of no trace.
    pub fn begin(&self, message: &Message, taken: Instant) -> Option<Box<Trace>> {
        let given = self.places.iter().find_map(|place| Context::parse(&place.value(message)?));
        let (context, parent) = match given {
            Some(given) if given.sampled => (given.child(), Some(given.span)),
            // It is handed on as it came, and nothing is recorded.
            Some(given) => (given, None),
            None if self.sample >= 1.0 || random::jitter() < self.sample => (Context::new(), None),
            None => return None,
        };
        Some(Box::new(Trace { context, parent, taken, spans: Mutex::default() }))
    }

    /// `message` of `pipeline` has come to `outcome`.
    pub fn end(&self, trace: Trace, pipeline: &str, message: &Message, outcome: &Outcome) {
        if !trace.context.sampled {
            return;
        }
        let came = match outcome {
            Outcome::Done | Outcome::Finished { .. } => "done",
            Outcome::Again { .. } => "put back",
            Outcome::Retry { .. } => "retried",
            Outcome::Dead { .. } => "dead",
        };
        let said = vec![
            ("messaging.system", text("redis")),
            ("messaging.operation.name", text("process")),
            ("messaging.destination.name", text(&message.source)),
            ("messaging.message.id", text(&message.id)),
            ("messaging.message.body.size", number(message.payload.len())),
            ("gristmill.pipeline", text(pipeline)),
            ("gristmill.attempt", Said::Number(i64::from(message.attempt))),
            ("gristmill.outcome", text(came)),
        ];
        let failed = matches!(outcome, Outcome::Retry { .. } | Outcome::Dead { .. });
        let name = format!("process {pipeline}");
        let span = ended(trace.context, trace.parent, Kind::Message, name, trace.taken, said, failed);
        let mut spans = trace.spans.into_inner().unwrap_or_else(PoisonError::into_inner);
        spans.push(span);
        if let Err(refused) = self.out.try_send(spans) {
            event::spans_dropped(refused.into_inner().len());
        }
    }
}

impl Trace {
    /// Something is done for it from now on.
    pub fn child(&self) -> Child<'_> {
        let context = if self.context.sampled { self.context.child() } else { self.context };
        Child { trace: self, context, since: Instant::now() }
    }
}

impl Child<'_> {
    /// As requests take it on.
    pub fn traceparent(&self) -> String {
        self.context.to_string()
    }

    /// The filter `plugin` in this version was called, which came to `came`.
    pub fn filtered(self, plugin: &str, digest: &str, came: &'static str, failed: bool) {
        let said = || {
            vec![
                ("gristmill.plugin", text(plugin)),
                ("gristmill.digest", text(digest)),
                ("gristmill.verdict", text(came)),
            ]
        };
        self.end(Kind::Filter, || format!("filter {plugin}"), said, failed);
    }

    /// A request was carried out for the publisher `plugin`.
    pub fn requested(self, plugin: &str, name: &str, said: Vec<(&'static str, Said)>, failed: bool) {
        let said = || {
            let mut all = said;
            all.push(("gristmill.plugin", text(plugin)));
            all
        };
        self.end(Kind::Request, || name.to_owned(), said, failed);
    }

    fn end(
        self,
        kind: Kind,
        name: impl FnOnce() -> String,
        said: impl FnOnce() -> Vec<(&'static str, Said)>,
        failed: bool,
    ) {
        if !self.context.sampled {
            return;
        }
        let mut spans = self.trace.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() < MOST_SPANS {
            spans.push(ended(self.context, Some(self.trace.context.span), kind, name(), self.since, said(), failed));
        }
    }
}

impl Spans {
    /// What is to be posted next, and how many spans that are; none when there will be no more.
    pub async fn next(&mut self) -> Option<(Bytes, usize)> {
        let mut spans = self.waiting.recv().await?;
        let gathered = tokio::time::timeout(GATHER, async {
            while spans.len() < MOST_SENT
                && let Some(more) = self.waiting.recv().await
            {
                spans.extend(more);
            }
        });
        // Either is what is waited for.
        let _full = gathered.await.is_ok();
        let count = spans.len();
        Some((wire::encoded(&self.service, &self.node, spans), count))
    }
}

fn ended(
    context: Context,
    parent: Option<[u8; 8]>,
    kind: Kind,
    name: String,
    since: Instant,
    said: Vec<(&'static str, Said)>,
    failed: bool,
) -> Span {
    let took = since.elapsed();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Span { context, parent, kind, name, began: now.saturating_sub(took), took, said, failed }
}

/// A text as spans hold it.
pub fn text(text: &str) -> Said {
    Said::Text(text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default().to_owned())
}

/// A count as spans hold it.
pub fn number(number: usize) -> Said {
    Said::Number(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &'static str, headers: &[(&str, &str)]) -> Message {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let payload = Bytes::from_static(payload.as_bytes());
        Message { id: "1".into(), source: "q".into(), topic: "q".into(), attempt: 1, received_ms: 0, headers, payload }
    }

    fn tracer(sample: f64) -> (Arc<Tracer>, Spans) {
        let traceparent = vec![OrderBy::Header("traceparent".to_owned()), OrderBy::Json("/trace".to_owned())];
        Tracer::new(&Traces { collector: None, sample, service: "s".to_owned(), traceparent }, "n")
    }

    const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    #[test]
    fn a_message_goes_on_with_the_trace_that_a_header_or_its_payload_names() {
        let (tracer, _spans) = tracer(0.000_001);
        let json = format!("{{\"trace\":\"{SAMPLED}\"}}").leak();
        for message in [message("", &[("TraceParent", SAMPLED)]), message(json, &[("traceparent", "nonsense")])] {
            let trace = tracer.begin(&message, Instant::now()).expect("it is sampled");
            assert_eq!(trace.parent, Some([0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]));
            let on = trace.child().traceparent();
            assert!(on.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && on.ends_with("-01"), "{on}");
            assert!(!on.contains("b7ad6b7169203331"), "it is a span of its own");
        }
    }

    #[tokio::test]
    async fn what_others_do_not_record_is_handed_on_and_not_recorded() {
        let (tracer, mut spans) = tracer(1.0);
        let message = message("", &[("traceparent", UNSAMPLED)]);
        let trace = tracer.begin(&message, Instant::now()).expect("it is part of a trace");
        assert_eq!(trace.child().traceparent(), UNSAMPLED);
        trace.child().filtered("p", "d", "pass", false);
        tracer.end(*trace, "p", &message, &Outcome::Done);
        drop(tracer);
        assert_eq!(spans.next().await, None);
    }

    #[test]
    fn a_share_of_the_others_is_traced() {
        let (tracer, _spans) = tracer(0.5);
        let traced = (0..1_000).filter(|_| tracer.begin(&message("", &[]), Instant::now()).is_some()).count();
        assert!((350..650).contains(&traced), "{traced}");
    }

    #[test]
    fn spans_are_bounded_for_each_message_and_for_all() {
        let (tracer, spans) = tracer(1.0);
        let message = message("", &[]);
        for _ in 0..2 * MOST_WAITING {
            let trace = tracer.begin(&message, Instant::now()).expect("all are traced");
            (0..4).for_each(|_| trace.child().filtered("p", "d", "pass", false));
            tracer.end(*trace, "p", &message, &Outcome::Done);
        }
        assert_eq!(spans.waiting.len(), MOST_WAITING);
        let trace = tracer.begin(&message, Instant::now()).expect("all are traced");
        (0..2 * MOST_SPANS).for_each(|_| trace.child().filtered("p", "d", "pass", false));
        assert_eq!(trace.spans.lock().expect("no panic").len(), MOST_SPANS);
    }
}
