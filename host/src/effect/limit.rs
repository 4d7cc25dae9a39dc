//! How much the servers get that requests go to: what the operator says, what they say themselves, and what they can take.
//!
//! A request waits a moment for its turn. Where it would have to wait long, nothing is sent, and its message is put back to come
//! again without having lost an attempt (`Held`), so that messages to others have its place.

mod breaker;
mod crowd;
mod endpoint;
mod name;
mod parked;
mod share;
mod tokens;
mod word;

pub use breaker::Circuit;
pub use endpoint::{Held, Pass};
pub use parked::Most;
pub use share::Share;

use crate::{config, connection::Connector, request::Request};
use endpoint::{CLASSES, Endpoint, View};
use name::Name;
use share::Seat;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Endpoints of which something is remembered; beyond, the ones that are not in use are forgotten first.
const MOST: usize = 10_000;
/// One that was not used for so long may be forgotten.
const IDLE: Duration = Duration::from_secs(60);
/// How often it is looked for those while there are so many: a crowd of new ones must not look at all of them each time.
const SWEEP: Duration = Duration::from_secs(5);
/// How many are shown.
const SHOWN: usize = 100;

/// All endpoints of a node.
#[derive(Default)]
pub(super) struct Limits {
    known: RwLock<Known>,
    connector: Option<Connector>,
}

#[derive(Default)]
struct Known {
    settings: BTreeMap<String, config::Endpoint>,
    /// Said of those without a table, where there is none for them.
    usual: config::Endpoint,
    endpoints: HashMap<Box<str>, Arc<Endpoint>>,
    /// When those were last looked for that are not in use.
    swept: Option<Instant>,
}

/// What a message has that may send its first request.
#[derive(Debug, Default)]
pub struct Admitted {
    pub(super) pass: Option<Pass>,
    #[expect(dead_code, reason = "held for its drop, when the message is through")]
    seat: Option<Seat>,
}

/// An endpoint, as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Host and port.
    pub name: String,
    /// Whether anything is sent to it.
    pub circuit: Circuit,
    /// How many requests it gets at once.
    pub limit: usize,
    /// How many are under way.
    pub in_flight: usize,
    /// For how long it has asked to be left alone, from now.
    pub held: Duration,
    /// How long replies take.
    pub takes: Duration,
    /// Sent since the node knows it.
    pub requests: u64,
    /// Of those, the ones that failed.
    pub failures: u64,
    /// Messages that were put back untried because of it.
    pub put_back: u64,
    /// Replies by the class of their status, and requests without one.
    pub classes: [(&'static str, u64); CLASSES.len()],
    /// Requests that had to wait for their turn.
    pub waits: u64,
    /// How long they did, together.
    pub waited: Duration,
}

impl Limits {
    pub(super) fn with(connector: Connector) -> Self {
        Self { connector: Some(connector), ..Self::default() }
    }

    /// From now on this is said of endpoints. What is known of them stays.
    pub(super) fn configure(&self, settings: BTreeMap<String, config::Endpoint>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let Known { settings: old, usual, endpoints, .. } = &mut *known;
        for (name, endpoint) in endpoints {
            let (before, said) = (said_of(old, name).unwrap_or(usual), said_of(&settings, name).unwrap_or(usual));
            endpoint.change(before, said, self.connector.as_ref());
        }
        *old = settings;
    }

    pub(super) fn share(in_flight: usize, away: Most) -> Arc<Share> {
        Share::new(in_flight, away)
    }

    /// Lets a message of the pipeline with this share send the first of `requests`, or says when to come again.
    pub(super) async fn admit(
        &self,
        share: &Arc<Share>,
        requests: impl IntoIterator<Item = &Request>,
        quiet: &CancellationToken,
    ) -> Result<Admitted, Held> {
        let first = requests.into_iter().find_map(|request| self.endpoint(request.url()?));
        let Some(endpoint) = first else { return Ok(Admitted::default()) };
        let seat = share.enter(&endpoint, quiet.is_cancelled())?;
        let pass = endpoint.pass(share.away(), quiet).await?;
        Ok(Admitted { pass: Some(pass), seat: Some(seat) })
    }

    /// The right to send a request to `url` for a message of which something was sent already.
    pub(super) async fn pass(&self, url: &str) -> Result<Option<Pass>, Held> {
        match self.endpoint(url) {
            Some(endpoint) => endpoint.pass_of_begun().await.map(Some),
            None => Ok(None),
        }
    }

    /// Those that are most worth a look: first what is left alone, then what has most requests.
    pub(super) fn shown(&self) -> Vec<Shown> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut shown: Vec<Shown> = known.endpoints.values().map(|endpoint| Shown::of(endpoint)).collect();
        drop(known);
        shown
            .sort_by_key(|one| (one.circuit == Circuit::Closed && one.held.is_zero(), std::cmp::Reverse(one.requests)));
        shown.truncate(SHOWN);
        shown.sort_by(|one, other| one.name.cmp(&other.name));
        shown
    }

    /// Where `url` leads; none where nothing can be sent to it anyway.
    fn endpoint(&self, url: &str) -> Option<Arc<Endpoint>> {
        let name = Name::of(url)?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = known.endpoints.get(name.as_str()) {
            return Some(Arc::clone(endpoint));
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Some(known.or_new(name.as_str(), Instant::now(), self.connector.as_ref()))
    }
}

impl Known {
    fn or_new(&mut self, name: &str, now: Instant, connector: Option<&Connector>) -> Arc<Endpoint> {
        if self.endpoints.len() >= MOST {
            self.sweep(now);
        }
        if let Some(endpoint) = self.endpoints.get(name) {
            return Arc::clone(endpoint);
        }
        let new = Endpoint::new(name, said_of(&self.settings, name).unwrap_or(&self.usual), connector);
        if self.endpoints.len() < MOST {
            self.endpoints.insert(name.into(), Arc::clone(&new));
        }
        new
    }

    /// Forgets what is not in use, unless that was just looked for.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEEP) {
            return;
        }
        self.swept = Some(now);
        let long_ago = now.checked_sub(IDLE);
        self.endpoints.retain(|_, endpoint| long_ago.is_none_or(|when| endpoint.is_used_since(when)));
    }
}

/// What the operator says of `host:port`.
fn said_of<'a>(settings: &'a BTreeMap<String, config::Endpoint>, name: &str) -> Option<&'a config::Endpoint> {
    let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
    [name, host, "*"].into_iter().find_map(|name| settings.get(name))
}

impl Shown {
    fn of(endpoint: &Endpoint) -> Self {
        let View { circuit, limit, under_way, held, takes, seen } = endpoint.view();
        Self {
            name: endpoint.name.clone(),
            circuit,
            limit,
            in_flight: under_way,
            held,
            takes,
            requests: seen.requests,
            failures: seen.failures,
            put_back: seen.put_back,
            classes: std::array::from_fn(|class| {
                let count = seen.classes.get(class).copied().unwrap_or_default();
                (CLASSES.get(class).copied().unwrap_or_default(), count)
            }),
            waits: seen.waits,
            waited: seen.waited,
        }
    }
}

#[cfg(test)]
mod tests;
