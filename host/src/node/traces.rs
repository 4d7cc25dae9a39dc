//! Sends spans to the collector, as a plugin's request would be sent: over kept connections, with TLS and the endpoint's settings.

use crate::{
    config::{self, Collector},
    effect::{Allowance, Effects},
    event,
    request::{HttpRequest, Reply, Request},
    shutdown::Shutdown,
    trace::{Spans, Tracer},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// For one export.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last spans may take to be sent when the node ends.
const FAREWELL: Duration = Duration::from_secs(3);

/// What a node traces with.
#[derive(Debug, Default)]
pub(super) struct Traces {
    tracer: Option<Arc<Tracer>>,
    sending: Option<JoinHandle<Option<()>>>,
}

impl Traces {
    /// Begins to send what the node `node` traces, where there is somebody to send it to.
    pub(super) fn start(config: &config::Traces, node: &str, effects: &Effects, shutdown: &Shutdown) -> Self {
        let Some(collector) = config.collector.clone() else { return Self::default() };
        let (tracer, spans) = Tracer::new(config, node);
        let sending = shutdown.track_until_stop(send(spans, collector, effects.clone()));
        Self { tracer: Some(tracer), sending: Some(sending) }
    }

    /// What pipelines trace with.
    pub(super) fn tracer(&self) -> Option<Arc<Tracer>> {
        self.tracer.clone()
    }

    /// Sends what is left, once no pipeline is there any more.
    pub(super) async fn finish(self) {
        drop(self.tracer);
        if let Some(sending) = self.sending {
            // What is not sent by then is lost, and told by nobody: the node ends.
            let _in_time = tokio::time::timeout(FAREWELL, sending).await.is_ok();
        }
    }
}

async fn send(mut spans: Spans, collector: Collector, effects: Effects) {
    let settings = config::Plugin { allow_http: vec![collector.host], http_timeout: PATIENCE, ..Default::default() };
    let (allowance, sampler) = (Allowance::new(&settings), event::Sampler::default());
    while let Some((body, count)) = spans.next().await {
        let request = Request::Http(export(&collector.url, body));
        let reply = effects.carry_out(&allowance, "", Err("there is no message to settle"), request, None).await;
        match reply {
            Reply::Http(Ok(reply)) if (200..300).contains(&reply.status) => event::spans_sent(count),
            Reply::Http(Ok(reply)) => {
                event::spans_refused(&sampler, &collector.url, count, &format_args!("it answered {}", reply.status));
            }
            Reply::Http(Err(failure)) => event::spans_refused(&sampler, &collector.url, count, &failure),
            Reply::Redis(_) | Reply::File(_) | Reply::WebSocket(_) => {}
        }
    }
}

/// Source: OTLP/HTTP, binary protobuf.
fn export(url: &str, body: Bytes) -> HttpRequest {
    HttpRequest {
        method: "POST".to_owned(),
        url: url.to_owned(),
        headers: vec![("content-type".to_owned(), "application/x-protobuf".to_owned())],
        body,
        template: false,
        timeout: None,
    }
}
