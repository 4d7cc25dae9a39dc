//! How loud plugins are.

use std::fmt;

/// How loud a line of a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// For its author.
    Debug,
    /// For the operator.
    Info,
    /// Something to look at.
    Warn,
    /// Something went wrong.
    Error,
}

impl fmt::Display for Loudness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}
