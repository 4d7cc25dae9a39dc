//! An OpenTelemetry collector, as far as nodes can tell: takes OTLP over HTTP and shows the spans.

use crate::{Answer, Sink};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::span::SpanKind,
};
use prost::Message;
use std::collections::BTreeMap;

/// The collector; stopped when dropped.
#[derive(Debug)]
pub struct Collector {
    sink: Sink,
}

/// One span as it was sent.
#[derive(Clone, Debug)]
pub struct Span {
    /// Lower-case hexadecimal digits, as all ids here.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// Empty where there is none.
    pub parent: String,
    /// What it is called.
    pub name: String,
    /// `Consumer`, `Internal` or `Client` for what nodes do.
    pub kind: SpanKind,
    /// What it says of itself, numbers as text.
    pub said: BTreeMap<String, String>,
    /// What is said of all spans of its node.
    pub resource: BTreeMap<String, String>,
    /// Whether what it stands for failed.
    pub failed: bool,
    /// In nanoseconds since 1970.
    pub began: u64,
    /// In nanoseconds since 1970.
    pub ended: u64,
}

impl Collector {
    /// A collector at a free loopback port.
    pub fn start() -> Self {
        Self { sink: Sink::start() }
    }

    /// As `endpoint` in `[traces]` names it.
    pub fn url(&self) -> String {
        self.sink.url()
    }

    /// From now on every export is answered so.
    pub fn answer(&self, answer: Answer) {
        self.sink.answer(answer);
    }

    /// How many exports have come.
    pub fn exports(&self) -> usize {
        self.sink.count()
    }

    /// All spans that have come.
    ///
    /// # Panics
    /// When something has come that is no export.
    #[track_caller]
    pub fn spans(&self) -> Vec<Span> {
        self.sink
            .received()
            .iter()
            .flat_map(|received| {
                let kind = received.header("content-type");
                assert_eq!(
                    (&*received.method, &*received.path, kind),
                    ("POST", "/v1/traces", Some("application/x-protobuf"))
                );
                decoded(&received.body)
            })
            .collect()
    }
}

fn decoded(body: &[u8]) -> Vec<Span> {
    let export = ExportTraceServiceRequest::decode(body).expect("an export by OTLP");
    let mut spans = Vec::new();
    for one in export.resource_spans {
        let resource = pairs(one.resource.unwrap_or_default().attributes);
        for span in one.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                kind: span.kind(),
                name: span.name,
                said: pairs(span.attributes),
                resource: resource.clone(),
                failed: span.status.is_some_and(|status| status.code != 0),
                began: span.start_time_unix_nano,
                ended: span.end_time_unix_nano,
            });
        }
    }
    spans
}

fn pairs(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |pair: KeyValue| (pair.key, pair.value.and_then(|value| value.value).map(text).unwrap_or_default());
    attributes.into_iter().map(value).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
