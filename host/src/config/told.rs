//! What a node tells of itself: its log, and traces of messages.

use super::{HttpGrant, OrderBy};

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object for each line.
    Json,
}

/// Where traces go, and of which messages there are any.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// The collector that they are sent to; there are none when absent.
    pub collector: Option<Collector>,
    /// The share of messages that are traced where nobody has decided that before, above 0 and at most 1.
    pub sample: f64,
    /// How the node is called in them.
    pub service: String,
    /// Where a message says of which trace it is a part; the first that says something counts.
    pub traceparent: Vec<OrderBy>,
}

/// Takes traces by OTLP over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct Collector {
    /// Where they are posted to.
    pub url: String,
    /// The host of that.
    pub host: HttpGrant,
}
