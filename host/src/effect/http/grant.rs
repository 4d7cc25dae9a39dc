//! Which hosts a URL may name, before any of them is looked up.

use crate::config::{HostPattern, HttpGrant};
use std::net::IpAddr;

/// The hosts one plugin may name; nothing unless granted.
pub(super) struct Grants(Box<[Grant]>);

struct Grant {
    host: Host,
    port: Option<u16>,
}

enum Host {
    /// Compared as an address, so that `::1` and `0:0::1` are the same.
    Address(IpAddr),
    Name(Box<str>),
    /// With the dot in front.
    Below(Box<str>),
    Any,
}

impl Grants {
    pub(super) fn new(grants: &[HttpGrant]) -> Self {
        Self(grants.iter().map(Grant::new).collect())
    }

    /// Whether a URL may name `host`, in brackets if it is an IPv6 address, and `port`. Allocates nothing.
    pub(super) fn admit(&self, host: &str, port: u16) -> bool {
        let address = literal(host);
        self.0.iter().any(|grant| grant.port.is_none_or(|granted| granted == port) && grant.host.admits(host, address))
    }
}

impl Grant {
    fn new(grant: &HttpGrant) -> Self {
        let host = match &grant.host {
            HostPattern::Exact(host) => literal(host).map_or_else(|| Host::Name(host.as_str().into()), Host::Address),
            HostPattern::Below(suffix) => Host::Below(suffix.as_str().into()),
            HostPattern::Any => Host::Any,
        };
        Self { host, port: grant.port }
    }
}

impl Host {
    fn admits(&self, host: &str, address: Option<IpAddr>) -> bool {
        match self {
            Self::Address(granted) => address == Some(*granted),
            Self::Name(granted) => host.eq_ignore_ascii_case(granted),
            Self::Below(suffix) => address.is_none() && below(host, suffix),
            Self::Any => true,
        }
    }
}

/// Whether `host` ends in `suffix`, whose first character is a dot, and has something before it.
fn below(host: &str, suffix: &str) -> bool {
    let Some(rest) = host.len().checked_sub(suffix.len()) else {
        return false;
    };
    rest > 0 && suffix.starts_with('.') && host.get(rest..).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

/// The address that `host` is, rather than names; an IPv6 one with or without brackets.
///
/// Takes exactly the forms that the connector takes without a lookup. All others, such as `2130706433` or `0x7f.1`,
/// are names to both, and it is what they resolve to that is checked.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}
