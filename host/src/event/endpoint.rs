//! What is told of the servers that requests go to.

use super::Sampler;
use crate::metrics::COUNTERS;
use std::time::Duration;
use tracing::{info, warn};

/// What has been said of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct EndpointStory(Sampler);

/// An endpoint fails so often that nothing is sent to it; messages for it come again untried.
pub(crate) fn endpoint_fails(endpoint: &str, reason: &str) {
    warn!(
        endpoint,
        reason, "the endpoint fails: leaving it alone, and trying one request at a time until one succeeds"
    );
}

/// One that was left alone has answered.
pub(crate) fn endpoint_back(endpoint: &str) {
    info!(endpoint, "the endpoint is back");
}

/// An endpoint has said that it wants nothing for a while.
pub(crate) fn endpoint_asks(story: &EndpointStory, endpoint: &str, pause: Duration) {
    if let Some(more) = story.0.admit(1) {
        warn!(endpoint, ?pause, more, "the endpoint asks to be left alone; messages for it wait");
    }
}

/// Which bound on its time a request has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    /// `connect_timeout`.
    Connect,
    /// `first_byte_timeout`.
    FirstByte,
    /// `http_timeout`, or what the plugin wanted instead.
    Whole,
}

/// A request took too long. No line: what became of its message is told, and why.
pub(crate) fn request_timed_out(timeout: Timeout) {
    let name = match timeout {
        Timeout::Connect => "connect",
        Timeout::FirstByte => "first_byte",
        Timeout::Whole => "whole",
    };
    COUNTERS.request_timeouts(name).inc();
}
