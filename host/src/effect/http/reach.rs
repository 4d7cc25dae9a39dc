//! Which addresses a connection may lead to, whatever the name in the URL was.

use super::grant::literal;
use crate::config::{HostPattern, HttpGrant};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses one plugin reaches: the public ones, and those its grants name.
///
/// Equal reaches may share connections, since neither gets through them to an address it could not have dialled itself.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reach {
    /// Addresses that are not public, with the port if only one is meant; sorted.
    addresses: Vec<(IpAddr, Option<u16>)>,
    /// Ports at which the name `localhost` leads to this machine, `None` for all; sorted.
    localhost: Vec<Option<u16>>,
}

impl Reach {
    pub(super) fn new(grants: &[HttpGrant]) -> Self {
        let mut reach = Self::default();
        for HttpGrant { host, port } in grants {
            let HostPattern::Exact(host) = host else {
                continue;
            };
            match literal(host) {
                // Public addresses need no entry here, and would only keep plugins from sharing connections.
                Some(address) if public(address) => {}
                Some(address) => reach.addresses.push((address, *port)),
                None if host.eq_ignore_ascii_case("localhost") => reach.localhost.push(*port),
                None => {}
            }
        }
        reach.addresses.sort_unstable();
        reach.addresses.dedup();
        reach.localhost.sort_unstable();
        reach.localhost.dedup();
        reach
    }

    /// Whether a URL with the host `name`, which may be an address itself, may lead to `address`.
    pub(super) fn admits(&self, name: &str, address: SocketAddr) -> bool {
        let (ip, port) = (address.ip(), address.port());
        let here = |granted: &Option<u16>| granted.is_none_or(|granted| granted == port);
        if self.addresses.iter().any(|(granted, at)| *granted == ip && here(at)) {
            return true;
        }
        if name.eq_ignore_ascii_case("localhost") {
            return ip.is_loopback() && self.localhost.iter().any(here);
        }
        public(ip)
    }
}

/// Whether `address` belongs to the internet at large, by the special-purpose registries of IANA (RFC 6890).
fn public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|(net, bits)| {
            let host = 32 - bits;
            u32::from(address) >> host == u32::from(*net) >> host
        }),
        IpAddr::V6(address) => {
            let within = |(net, bits): &(Ipv6Addr, u32)| {
                let host = 128 - bits;
                u128::from(address) >> host == u128::from(*net) >> host
            };
            within(&GLOBAL_V6) && !SPECIAL_V6.iter().any(within)
        }
    }
}

const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    // "This network"; 0.0.0.0 is this machine.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Carrier-grade NAT; some clouds keep their metadata here.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, with the clouds' metadata at 169.254.169.254.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    // Protocol assignments.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    // Former 6to4 relays.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Benchmarks.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Documentation.
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved, with broadcast at its end.
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// All that is assigned for global unicast. What lies outside is loopback, unspecified, IPv4-mapped and -compatible (::/96, ::ffff:0:0/96),
/// NAT64 (64:ff9b::/96, 64:ff9b:1::/48), unique local (fc00::/7), link-local (fe80::/10), multicast (ff00::/8), or nothing yet.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

const SPECIAL_V6: [(Ipv6Addr, u32); 4] = [
    // Protocol assignments; Teredo, which wraps IPv4 addresses; benchmarks; ORCHID.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    // 6to4, which wraps IPv4 addresses.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];
