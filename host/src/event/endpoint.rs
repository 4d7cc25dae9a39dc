//! What is told of the servers that requests go to.

use super::Sampler;
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
