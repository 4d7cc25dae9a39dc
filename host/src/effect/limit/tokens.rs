//! How fast requests go to one server: each takes a token first, in the order in which they came.

use crate::{
    bucket::Bucket,
    config::{Rate, Scope},
    connection::{Connector, Leases},
};
use futures_util::FutureExt;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// While Redis is away, nobody knows what other nodes send.
const AWAY: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub(super) struct Tokens(Option<Mutex<Source>>);

#[derive(Debug)]
enum Source {
    /// This node's own.
    Node(Bucket),
    /// The one that all nodes share.
    Cluster(Leases),
}

impl Tokens {
    pub(super) fn new(endpoint: &str, rate: Option<&Rate>, connector: Option<&Connector>) -> Self {
        let source = |rate: &Rate| match (rate.scope, connector) {
            (Scope::Cluster, Some(connector)) => {
                Source::Cluster(Leases::new(connector, format!("gristmill:{{endpoint:{endpoint}}}:rate"), rate))
            }
            _ => Source::Node(Bucket::new(rate.per_second, rate.burst, rate.ramp, Instant::now())),
        };
        Self(rate.map(source).map(Mutex::new))
    }

    /// Whether nobody ever waits for one.
    pub(super) fn are_unlimited(&self) -> bool {
        self.0.is_none()
    }

    /// Waits for one; dropping it loses at most that.
    pub(super) async fn one(&self) {
        let Some(source) = &self.0 else { return };
        let mut source = source.lock().await;
        loop {
            let wait = match &mut *source {
                Source::Node(bucket) => match bucket.take(1, Instant::now()) {
                    0 => bucket.until(1, Instant::now()),
                    _ => return,
                },
                Source::Cluster(leases) => match leases.one().boxed().await {
                    Ok(Ok(())) => return,
                    Ok(Err(wait)) => wait,
                    Err(_) => AWAY,
                },
            };
            tokio::time::sleep(wait).await;
        }
    }
}
