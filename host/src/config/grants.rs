//! What an operator can allow a plugin, as the file says it.

use super::notation;
use std::{
    fmt::{self, Display},
    path::PathBuf,
};

/// One entry of `allow_http`: a host, and the port if only one is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGrant {
    /// Which host.
    pub host: HostPattern,
    /// Only this port, or any.
    pub port: Option<u16>,
}

/// Which host a grant names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// `api.example.com`, in lower case, or an address. A name reaches only public addresses unless it is `localhost`; an address is meant as written.
    Exact(String),
    /// `*.example.com`: the part from the dot, any depth below it, public addresses only.
    Below(String),
    /// `*`: every public address.
    Any,
}

/// One entry of `allow_dirs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirGrant {
    /// The directory of the host.
    pub host: PathBuf,
    /// What may be done in it.
    pub access: DirAccess,
}

/// What may be done in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirAccess {
    /// Looking.
    Read,
    /// Looking, making, changing and removing.
    Write,
}

/// One entry of `allow`: something that a machine has without being asked for it by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ambient {
    /// The time.
    Clock,
    /// Bytes that nobody can guess.
    Random,
}

impl Display for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clock => "clock",
            Self::Random => "random",
        })
    }
}

/// As the file writes it.
impl Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostPattern::Exact(host) if host.contains(':') => write!(f, "[{host}]")?,
            HostPattern::Exact(host) => f.write_str(host)?,
            HostPattern::Below(suffix) => write!(f, "*{suffix}")?,
            HostPattern::Any => f.write_str("*")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl HttpGrant {
    /// As the file writes it, such as `*.example.com:443`; none if `text` is something else.
    pub fn parse(text: &str) -> Option<Self> {
        notation::http_grant(text).ok()
    }

    /// Whether everything that `wanted` names is named here too.
    pub fn covers(&self, wanted: &Self) -> bool {
        self.host.covers(&wanted.host) && self.port.is_none_or(|port| wanted.port == Some(port))
    }
}

impl HostPattern {
    fn covers(&self, wanted: &Self) -> bool {
        let name = |host: &str| host.parse::<std::net::IpAddr>().is_err() && host != "localhost";
        match (self, wanted) {
            (Self::Any, Self::Exact(host)) => name(host),
            (Self::Any, _) => true,
            (Self::Below(suffix), Self::Exact(host) | Self::Below(host)) => name(host) && host.ends_with(suffix),
            (Self::Exact(host), Self::Exact(wanted)) => host == wanted,
            (Self::Below(_), Self::Any) | (Self::Exact(_), _) => false,
        }
    }
}
