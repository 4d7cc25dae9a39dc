//! How servers are reached: what the operator says of that, and the connections that are kept for those of one table.

use super::{
    Net,
    dial::{Dial, Purpose, Way},
    grant::literal,
    outgoing::port,
    pool::Pool,
    proxy::Proxy,
    reach::Reach,
};
use crate::effect::endpoints::{Endpoints, Said};
use hyper::Uri;
use std::{
    borrow::Cow,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

/// Pools at once. Only reloads that grant ever new private addresses get here; to start over costs them a few handshakes.
const POOLS: usize = 256;

/// All routes of a node.
pub(super) struct Routes {
    /// By host.
    named: HashMap<Box<str>, Ports>,
    rest: Arc<Route>,
}

/// Those to one host; that for all its ports comes last.
type Ports = Vec<(Option<u16>, Arc<Route>)>;

/// The way to the servers of one table.
pub(super) struct Route {
    pub(super) said: Said,
    pub(super) way: Arc<Way>,
    /// A connection is found again by its authority, not by its address. So that no plugin inherits one to an address that it could not have
    /// dialled itself, each distinct [`Reach`] has a pool of its own. Most plugins are granted names only and share one.
    pools: RwLock<HashMap<Arc<Reach>, Arc<Pool>>>,
}

impl Routes {
    /// What `endpoints` say. Where that is what `old` says, connections go on.
    pub(super) fn new(endpoints: &Endpoints, old: Option<&Self>) -> Self {
        let mut named: HashMap<Box<str>, Ports> = HashMap::new();
        let mut rest = None;
        for (name, said) in endpoints.iter() {
            let (host, port) = parts(name);
            let before = old.and_then(|old| if host == "*" { Some(&old.rest) } else { old.exactly(host, port) });
            let route = kept_or_new(said, before);
            if host == "*" {
                rest = Some(route);
            } else {
                named.entry(host.into()).or_default().push((port, route));
            }
        }
        named.values_mut().for_each(|ports| ports.sort_by_key(|(port, _)| port.is_none()));
        let rest = rest.unwrap_or_else(|| kept_or_new(&Said::default(), old.map(|old| &old.rest)));
        Self { named, rest }
    }

    /// That to the server of `uri`.
    pub(super) fn to(&self, uri: &Uri) -> &Arc<Route> {
        if self.named.is_empty() {
            return &self.rest;
        }
        let (host, port) = (spelled(uri.host().unwrap_or_default()), port(uri));
        let ports = self.named.get(&*host).into_iter().flatten();
        let route = ports.clone().find(|(known, _)| known.is_none_or(|known| known == port));
        route.map_or(&self.rest, |(_, route)| route)
    }

    fn exactly(&self, host: &str, port: Option<u16>) -> Option<&Arc<Route>> {
        self.named.get(host)?.iter().find(|(known, _)| *known == port).map(|(_, route)| route)
    }
}

impl Route {
    fn new(said: &Said) -> Self {
        Self { said: said.clone(), way: Arc::new(Way::new(said)), pools: RwLock::default() }
    }

    /// The proxy that reads what is sent to `uri`, rather than passing on what it cannot read.
    pub(super) fn forwarder(&self, uri: &Uri) -> Option<&Proxy> {
        self.way.proxy.as_ref().filter(|_| uri.scheme_str() != Some("https"))
    }

    /// The connections that whoever has this `reach` could have made.
    pub(super) fn pool(&self, net: &Arc<Net>, reach: &Arc<Reach>) -> Arc<Pool> {
        if let Some(pool) = self.pools.read().unwrap_or_else(PoisonError::into_inner).get(reach) {
            return Arc::clone(pool);
        }
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        if pools.len() >= POOLS {
            pools.clear();
        }
        let dial = || Dial::new(Purpose::Exchanges, self.way.clone(), reach.clone(), net.clone());
        let new = || Pool::new(dial(), &net.watch);
        Arc::clone(pools.entry(reach.clone()).or_insert_with(new))
    }
}

fn kept_or_new(said: &Said, before: Option<&Arc<Route>>) -> Arc<Route> {
    let same = before.filter(|route| route.said == *said);
    same.cloned().unwrap_or_else(|| Arc::new(Route::new(said)))
}

/// The host and the port of a table's name; an IPv6 address stands in brackets.
fn parts(name: &str) -> (&str, Option<u16>) {
    let split = name.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match split {
        Some((host, port)) if !host.starts_with('[') || host.ends_with(']') => (host, Some(port)),
        _ => (name, None),
    }
}

/// A URL's host as tables name it.
pub(in crate::effect) fn spelled(host: &str) -> Cow<'_, str> {
    match literal(host) {
        Some(IpAddr::V6(address)) => Cow::Owned(format!("[{address}]")),
        _ if host.bytes().any(|byte| byte.is_ascii_uppercase()) => Cow::Owned(host.to_ascii_lowercase()),
        _ => Cow::Borrowed(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::time::Duration;

    fn endpoints(names: &[(&str, u64)]) -> Endpoints {
        let said = |(name, seconds): &(&str, u64)| {
            let connect_timeout = Duration::from_secs(*seconds);
            ((*name).to_owned(), config::Endpoint { connect_timeout, ..config::Endpoint::default() })
        };
        Endpoints::read(&names.iter().map(said).collect()).expect("names no files")
    }

    fn seconds(routes: &Routes, url: &str) -> u64 {
        routes.to(&url.parse().expect("a URL")).said.settings.connect_timeout.as_secs()
    }

    #[test]
    fn the_table_that_says_most_about_a_server_is_the_one_that_counts() {
        let named = [("*", 1), ("a.b", 2), ("a.b:8080", 3), ("[::1]", 4), ("[::1]:80", 5), ("c:443", 6)];
        let routes = Routes::new(&endpoints(&named), None);
        for (url, expected) in [
            ("http://x.y/", 1),
            ("http://a.b/", 2),
            ("https://A.B:444/", 2),
            ("http://A.b:8080/", 3),
            ("http://[::1]:81/", 4),
            ("http://[0:0::1]/", 5),
            ("https://c/", 6),
            ("http://c/", 1),
        ] {
            assert_eq!(seconds(&routes, url), expected, "{url}");
        }
        assert_eq!(seconds(&Routes::new(&endpoints(&[]), None), "http://a.b/"), 5, "the default");
    }

    #[test]
    fn connections_are_kept_where_a_table_says_what_it_said() {
        let old = Routes::new(&endpoints(&[("a.b", 2), ("c", 2)]), None);
        let new = Routes::new(&endpoints(&[("a.b", 2), ("c", 3), ("d", 2)]), Some(&old));
        let same = |url: &str| Arc::ptr_eq(old.to(&url.parse().expect("a URL")), new.to(&url.parse().expect("a URL")));
        assert_eq!(["http://a.b/", "http://c/", "http://d/", "http://e/"].map(same), [true, false, false, true]);
    }
}
