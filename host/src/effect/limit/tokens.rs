//! How fast requests go to one server: each takes a token first, in the order in which they came.

use crate::{
    bucket::Bucket,
    config::{Rate, Scope},
    connection::{Connector, Leases},
};
use arc_swap::ArcSwapOption;
use futures_util::FutureExt;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// While Redis is away, nobody knows what other nodes send.
const AWAY: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub(super) struct Tokens(ArcSwapOption<Rated>);

/// One rate, while it holds.
#[derive(Debug)]
struct Rated {
    source: Mutex<Source>,
    /// Another one holds.
    over: CancellationToken,
}

#[derive(Debug)]
enum Source {
    /// This node's own.
    Node(Bucket),
    /// The one that all nodes share.
    Cluster(Leases),
}

impl Tokens {
    pub(super) fn new(endpoint: &str, rate: Option<&Rate>, connector: Option<&Connector>) -> Self {
        Self(ArcSwapOption::new(rate.map(|rate| Arc::new(Rated::new(Source::new(endpoint, rate, connector))))))
    }

    /// From now on this is the rate, for those who wait already too.
    pub(super) fn change(&self, endpoint: &str, rate: Option<&Rate>, connector: Option<&Connector>) {
        let source = rate.map(|rate| Source::new(endpoint, rate, connector).emptied());
        let before = self.0.swap(source.map(|source| Arc::new(Rated::new(source))));
        if let Some(before) = before {
            before.over.cancel();
        }
    }

    /// Whether nobody ever waits for one.
    pub(super) fn are_unlimited(&self) -> bool {
        self.0.load().is_none()
    }

    /// Waits for one; dropping it loses at most that.
    pub(super) async fn one(&self) {
        while let Some(rated) = self.0.load_full() {
            if rated.over.run_until_cancelled(rated.one()).await.is_some() {
                return;
            }
        }
    }
}

impl Source {
    fn new(endpoint: &str, rate: &Rate, connector: Option<&Connector>) -> Self {
        match (rate.scope, connector) {
            (Scope::Cluster, Some(connector)) => {
                Self::Cluster(Leases::new(connector, format!("gristmill:{{endpoint:{endpoint}}}:rate"), rate))
            }
            _ => Self::Node(Bucket::new(rate.per_second, rate.burst, rate.ramp, Instant::now())),
        }
    }

    /// Without what may come at once after a pause: a change is none.
    fn emptied(mut self) -> Self {
        if let Self::Node(bucket) = &mut self {
            bucket.take(usize::MAX, Instant::now());
        }
        self
    }
}

impl Rated {
    fn new(source: Source) -> Self {
        Self { source: Mutex::new(source), over: CancellationToken::new() }
    }

    async fn one(&self) {
        let mut source = self.source.lock().await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    fn rate(per_second: f64) -> Rate {
        Rate { per_second, burst: 1, ramp: Duration::ZERO, scope: Scope::Node }
    }

    #[tokio::test]
    async fn a_new_rate_holds_at_once_for_those_who_wait() {
        let tokens = Tokens::new("h:80", Some(&rate(0.01)), None);
        tokens.one().await;
        let waiting = join_all((0..20).map(|_| tokens.one()));
        let (began, change) = (Instant::now(), async { tokens.change("h:80", Some(&rate(100.0)), None) });
        tokio::join!(waiting, change);
        let took = began.elapsed();
        // Twenty at a hundred a second, none of them at once; they would have taken half an hour.
        assert!(took >= Duration::from_millis(195) && took < Duration::from_secs(60), "{took:?}");
        let waiting = join_all((0..2_000).map(|_| tokens.one()));
        let without = async { tokens.change("h:80", None, None) };
        tokio::join!(waiting, without);
        assert!(tokens.are_unlimited() && began.elapsed() < Duration::from_secs(15), "2000 would have taken 20 s");
    }
}
