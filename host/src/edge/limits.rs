//! How many connections there may be, in all and from one address, and how fast they may come.

use crate::{bucket::Bucket, config::EdgeLimits};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// Addresses without a connection that are remembered for how fast they came.
const REMEMBERED: usize = 100_000;

/// See the module; shared by all shards.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    open: usize,
    by_address: HashMap<IpAddr, Address>,
}

#[derive(Debug, Default)]
struct Address {
    open: usize,
    bucket: Option<Bucket>,
}

/// A connection's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    limits: Arc<Limits>,
    address: IpAddr,
}

/// Why a connection has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crowded {
    /// There are as many as there may be.
    Node,
    /// There are as many from this address.
    Address,
    /// They come too fast from this address.
    Fast,
}

impl Limits {
    /// A place for a connection from `address`.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, most: &EdgeLimits, now: Instant) -> Result<Place, Crowded> {
        let address = network(address);
        let mut counted = self.lock();
        if counted.open >= most.connections {
            return Err(Crowded::Node);
        }
        if counted.by_address.len() >= most.connections.saturating_add(REMEMBERED) {
            counted.by_address.retain(|_, address| address.open > 0);
        }
        let known = counted.by_address.entry(address).or_default();
        if known.open >= most.per_address {
            return Err(Crowded::Address);
        }
        if let Some(rate) = &most.connects {
            let fresh = || Bucket::new(rate.per_second, rate.burst, rate.ramp, now);
            if known.bucket.get_or_insert_with(fresh).take(1, now) == 0 {
                return Err(Crowded::Fast);
            }
        }
        known.open += 1;
        counted.open += 1;
        Ok(Place { limits: Arc::clone(self), address })
    }

    /// How many there are.
    pub(super) fn open(&self) -> usize {
        self.lock().open
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counted = self.limits.lock();
        counted.open = counted.open.saturating_sub(1);
        if let Some(address) = counted.by_address.get_mut(&self.address) {
            address.open = address.open.saturating_sub(1);
            if address.open == 0 && address.bucket.is_none() {
                counted.by_address.remove(&self.address);
            }
        }
    }
}

/// Whoever has one address of version 6 has as many as a network of 64 bits holds.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Edge, Rate, Scope};
    use std::time::Duration;

    fn most(connections: usize, per_address: usize, connects: Option<f64>) -> EdgeLimits {
        let rate = |per_second| Rate { per_second, burst: 2, ramp: Duration::ZERO, scope: Scope::Node };
        EdgeLimits { connections, per_address, connects: connects.map(rate), ..Edge::default().limits }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn places_are_counted_in_all_and_by_address_and_given_back() {
        let (limits, now) = (Arc::new(Limits::default()), Instant::now());
        let most = most(3, 2, None);
        let enter = |from: &str| limits.enter(address(from), &most, now);
        let first = enter("10.0.0.1").expect("a place");
        let _second = enter("::ffff:10.0.0.1").expect("the same address, written as version 6");
        assert_eq!(enter("10.0.0.1").expect_err("full"), Crowded::Address);
        let _third = enter("10.0.0.2").expect("a place");
        assert_eq!(enter("10.0.0.3").expect_err("full"), Crowded::Node);
        drop(first);
        assert_eq!(limits.open(), 2);
        let _again = enter("10.0.0.1").expect("a place");
    }

    #[test]
    fn a_network_of_version_6_counts_as_one_address() {
        let (limits, now) = (Arc::new(Limits::default()), Instant::now());
        let most = most(9, 1, None);
        let _place = limits.enter(address("2001:db8::1"), &most, now).expect("a place");
        assert!(limits.enter(address("2001:db8::2"), &most, now).is_err());
        assert!(limits.enter(address("2001:db8:0:1::1"), &most, now).is_ok());
    }

    #[test]
    fn those_that_come_too_fast_are_refused_even_if_they_left() {
        let (limits, now) = (Arc::new(Limits::default()), Instant::now());
        let most = most(9, 9, Some(1.0));
        let enter = |after| limits.enter(address("10.0.0.1"), &most, now + Duration::from_secs(after)).map(drop);
        assert_eq!([enter(0), enter(0), enter(0)], [Ok(()), Ok(()), Err(Crowded::Fast)]);
        assert_eq!([enter(1), enter(1)], [Ok(()), Err(Crowded::Fast)]);
    }
}
