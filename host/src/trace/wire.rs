//! Spans as OTLP has them.

use super::{Kind, Said, Span};
use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as Sent, Status, span::SpanKind, status::StatusCode},
};
use prost::Message;
use std::time::Duration;

/// The body of one export.
pub(super) fn encoded(service: &str, node: &str, spans: Vec<Span>) -> Bytes {
    let version = env!("CARGO_PKG_VERSION");
    let about = [("service.name", service), ("service.instance.id", node), ("service.version", version)];
    let attributes = about.into_iter().map(|(key, value)| pair(key, Value::StringValue(value.to_owned()))).collect();
    let resource = Some(Resource { attributes, ..Resource::default() });
    let scope =
        InstrumentationScope { name: "gristmill".to_owned(), version: version.to_owned(), ..Default::default() };
    let spans = spans.into_iter().map(sent).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
}

fn sent(span: Span) -> Sent {
    let Span { context, parent, kind, name, began, took, said, failed } = span;
    let kind = match kind {
        Kind::Message => SpanKind::Consumer,
        Kind::Filter => SpanKind::Internal,
        Kind::Request => SpanKind::Client,
    };
    let value = |said| match said {
        Said::Text(text) => Value::StringValue(text),
        Said::Number(number) => Value::IntValue(number),
    };
    Sent {
        trace_id: context.trace.to_vec(),
        span_id: context.span.to_vec(),
        parent_span_id: parent.map(Vec::from).unwrap_or_default(),
        name,
        kind: kind.into(),
        start_time_unix_nano: nanos(began),
        end_time_unix_nano: nanos(began + took),
        attributes: said.into_iter().map(|(key, said)| pair(key, value(said))).collect(),
        status: failed.then(|| Status { code: StatusCode::Error.into(), ..Status::default() }),
        ..Sent::default()
    }
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
