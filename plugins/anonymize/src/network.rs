//! Internet addresses cut down to the network they lie in.

use gristmill_sdk::{Error, Result};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How many bits of an address are kept.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Keep {
    v4: u32,
    v6: u32,
}

impl Default for Keep {
    /// A /24 is 256 hosts; a /48 is what one customer of a provider gets.
    fn default() -> Self {
        Self { v4: 24, v6: 48 }
    }
}

impl Keep {
    /// # Errors
    /// More bits than an address has.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self { v4: 33.., .. } => Err(Error::reject(format!("config.keep_bits.v4: {} is more than 32", self.v4))),
            Self { v6: 129.., .. } => Err(Error::reject(format!("config.keep_bits.v6: {} is more than 128", self.v6))),
            _ => Ok(()),
        }
    }

    /// The network that `address` lies in; an IPv4 address in the clothes of IPv6 is one of IPv4.
    pub(crate) fn network(self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - self.v4).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & mask).into()
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - self.v6).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
        }
    }

    /// The networks of `text`, which is an address, one with a port, or several with commas between them; none if it is
    /// anything else.
    pub(crate) fn networks(self, text: &str) -> Option<String> {
        let mut networks = text.split(',').map(|one| address(one.trim()).map(|one| self.network(one).to_string()));
        let first = networks.next()??;
        networks.try_fold(first, |list, next| Some(format!("{list}, {}", next?)))
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    text.parse().or_else(|_| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_cut_to_their_networks() {
        let keep = Keep::default();
        let networks = |text| keep.networks(text);
        assert_eq!(networks("203.0.113.77").as_deref(), Some("203.0.113.0"));
        assert_eq!(networks("2001:db8:1:2::77").as_deref(), Some("2001:db8:1::"));
        assert_eq!(networks("::ffff:203.0.113.77").as_deref(), Some("203.0.113.0"));
        assert_eq!(networks("203.0.113.77:8080").as_deref(), Some("203.0.113.0"));
        assert_eq!(networks("[2001:db8::1]:80").as_deref(), Some("2001:db8::"));
        assert_eq!(networks("203.0.113.77,198.51.100.9 , ::1").as_deref(), Some("203.0.113.0, 198.51.100.0, ::"));
        assert_eq!((networks(""), networks("203.0.113"), networks("1.2.3.4, a host")), (None, None, None));
    }

    #[test]
    fn none_or_all_bits_can_be_kept() {
        let none = Keep { v4: 0, v6: 0 };
        assert_eq!(none.networks("203.0.113.77, 2001:db8::1").as_deref(), Some("0.0.0.0, ::"));
        let all = Keep { v4: 32, v6: 128 };
        assert_eq!(all.networks("203.0.113.77, 2001:db8::1").as_deref(), Some("203.0.113.77, 2001:db8::1"));
        assert!(Keep { v4: 33, v6: 0 }.check().is_err() && Keep { v4: 0, v6: 129 }.check().is_err());
    }
}
