//! What an operator can allow a plugin, as the file says it.

use super::notation;
use crate::command::Pattern;
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

/// One entry of `allow_redis`: commands, and the keys or channels that they may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisGrant {
    /// Which commands.
    pub commands: Commands,
    /// Which keys or channels; those of the broker and its sources only where it names nothing else.
    pub keys: Pattern,
}

/// Which commands a grant names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commands {
    /// `*`: every one that is plain data.
    Plain,
    /// These, in capitals.
    Named(Vec<String>),
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

/// As the file writes it.
impl Display for RedisGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.commands {
            Commands::Plain => f.write_str("*")?,
            Commands::Named(names) => f.write_str(&names.join("|"))?,
        }
        write!(f, " {}", self.keys.as_str())
    }
}

impl RedisGrant {
    /// As the file writes it, such as `SET cache:*`; none if `text` is something else.
    pub fn parse(text: &str) -> Option<Self> {
        notation::redis_grant(text).ok()
    }

    /// Whether it names the command `name`, in capitals.
    pub fn names(&self, name: &str) -> bool {
        match &self.commands {
            Commands::Plain => crate::command::is_plain(name),
            Commands::Named(names) => names.iter().any(|named| named == name),
        }
    }

    /// Whether everything that `wanted` names is named here too.
    pub fn covers(&self, wanted: &Self) -> bool {
        let commands = match &wanted.commands {
            Commands::Plain => self.commands == Commands::Plain,
            Commands::Named(names) => names.iter().all(|name| self.names(name)),
        };
        let keys = self.keys == wanted.keys
            || self.keys.is_everything()
            || (wanted.keys.is_literal() && self.keys.matches(wanted.keys.as_str().as_bytes()));
        commands && keys
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
