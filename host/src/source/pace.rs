//! How fast a pipeline takes: tokens come before messages do, so what has to wait waits in Redis, where others can take it.

use super::{Opening, backoff::Backoff, keys::Keys, link::Link, thoonk::Names};
use crate::{
    bucket::Bucket,
    config::{self, Rate, Scope},
    connection::Tokens,
    event,
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Tokens of so long are waited for together, so that rounds stay large where the rate is high.
const TOGETHER: Duration = Duration::from_millis(5);

/// See the module. Without a rate there is nothing to wait for.
#[derive(Debug)]
pub(super) struct Pace(Option<Paced>);

#[derive(Debug)]
struct Paced {
    /// This node's own.
    bucket: Mutex<Bucket>,
    /// The one that all nodes share.
    cluster: Option<Cluster>,
    /// How many tokens are waited for, if as many are wanted.
    together: usize,
    /// Who waits gets tokens in the order in which they came.
    turn: tokio::sync::Mutex<()>,
    waits: event::RateWaits,
}

#[derive(Debug)]
struct Cluster {
    tokens: Tokens,
    link: Link,
}

impl Pace {
    pub(super) fn new(opening: &Opening) -> Self {
        Self(opening.config.rate.as_ref().map(|rate| Paced {
            bucket: Mutex::new(Bucket::new(rate.per_second, rate.burst, rate.ramp, Instant::now())),
            cluster: (rate.scope == Scope::Cluster).then(|| Cluster::new(opening, rate)),
            together: together(rate),
            turn: tokio::sync::Mutex::default(),
            waits: event::RateWaits::of(&opening.pipeline),
        }))
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Redis was away: the rate begins again.
    pub(super) fn restart(&self) {
        if let Some(paced) = &self.0 {
            paced.bucket().restart(Instant::now());
        }
    }

    /// Waits for tokens: one at least, up to `want`. Dropping it loses what it had, so nothing too fast comes of that.
    pub(super) async fn take(&self, want: usize) -> usize {
        let Some(paced) = &self.0 else { return want };
        let asked = Instant::now();
        let _turn = paced.turn.lock().await;
        let own = paced.own(want.max(1)).await;
        let taken = match &paced.cluster {
            None => own,
            Some(cluster) => cluster.lease(paced.together.min(own), own).await,
        };
        paced.bucket().put_back(own - taken);
        event::rate_waited(&paced.waits, asked.elapsed());
        taken
    }

    /// Gives back tokens of messages that were not there, or that were not tried.
    pub(super) fn put_back(&self, count: usize) {
        let Some(paced) = self.0.as_ref().filter(|_| count > 0) else { return };
        paced.bucket().put_back(count);
        if let Some(cluster) = &paced.cluster {
            cluster.tokens.put_back(count);
        }
    }
}

impl Paced {
    async fn own(&self, want: usize) -> usize {
        loop {
            let wait = {
                let (mut bucket, now) = (self.bucket(), Instant::now());
                match bucket.until(self.together.min(want), now) {
                    Duration::ZERO => return bucket.take(want, now),
                    wait => wait,
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    fn new(opening: &Opening, rate: &Rate) -> Self {
        let keys = home(&opening.config.from);
        let key = keys.rate(&opening.pipeline);
        let link = Link::new(opening.connector.at(&key), (&*opening.pipeline).into());
        Self { tokens: Tokens::new(key, rate), link }
    }

    /// Tokens of those that all nodes share. While Redis is away nothing could be taken anyway.
    async fn lease(&self, least: usize, most: usize) -> usize {
        let mut backoff = Backoff::new();
        loop {
            let leased = match self.link.redis().await {
                Ok(mut redis) => self.tokens.lease(&mut redis, least, most).await,
                Err(error) => Err(error),
            };
            self.link.judge(&leased).await;
            match leased {
                Ok(Ok(leased)) => return leased,
                Ok(Err(wait)) => tokio::time::sleep(wait).await,
                Err(_) => tokio::time::sleep(backoff.next()).await,
            }
        }
    }
}

fn together(rate: &Rate) -> usize {
    // Each handful of the cluster's costs a round trip.
    let time = match rate.scope {
        Scope::Node => TOGETHER,
        Scope::Cluster => TOGETHER * 2,
    };
    ((rate.per_second * time.as_secs_f64()) as usize).clamp(1, rate.burst as usize)
}

/// The keys beside a source's first queue.
fn home(from: &config::From) -> Keys {
    let first = |names: &[String]| names.first().cloned().unwrap_or_default();
    match from {
        config::From::Lists(lists) => Keys::new(&first(&lists.names)),
        config::From::Channels(channels) => Keys::new(&first(&channels.names)),
        config::From::Stream(stream) => Keys::of_group(&stream.name, &stream.group),
        config::From::Resque(resque) => Keys::of_resque(&resque.namespace),
        config::From::Thoonk(feed) => Keys::new(&Names::new(&feed.feed).ids),
    }
}
