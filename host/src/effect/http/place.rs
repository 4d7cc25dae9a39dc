//! What is done and where, as failures tell it.

use crate::request::Failure;
use hyper::{Method, Uri};
use std::fmt::{self, Display};

/// How much of a text that a plugin made up is repeated in a failure, in characters.
const SHOWN: usize = 200;

/// A method and a URL, which reads as `POST http://host:port/path`: neither the query nor user-info is shown, since they may hold secrets.
pub(super) struct Place {
    pub(super) method: Method,
    pub(super) uri: Uri,
}

impl Place {
    pub(super) fn denied(&self, why: impl Display) -> Failure {
        Failure::Denied(format!("{self}: {why}"))
    }

    pub(super) fn invalid(&self, why: impl Display) -> Failure {
        Failure::Invalid(format!("{self}: {why}"))
    }

    pub(super) fn unreachable(&self, why: impl Display) -> Failure {
        Failure::Unreachable(format!("{self}: {why}"))
    }

    pub(super) fn too_large(&self, why: impl Display) -> Failure {
        Failure::TooLarge(format!("{self}: {why}"))
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", Cut(self.method.as_str()))?;
        if let Some(scheme) = self.uri.scheme_str() {
            write!(f, "{scheme}://")?;
        }
        write!(f, "{}", Cut(self.uri.host().unwrap_or_default()))?;
        if let Some(port) = self.uri.port() {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", Cut(self.uri.path()))
    }
}

/// A text of a plugin's own making, in one line and not endless.
pub(super) struct Cut<'a>(pub(super) &'a str);

impl Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.chars();
        for shown in rest.by_ref().take(SHOWN) {
            write!(f, "{}", shown.escape_debug())?;
        }
        if rest.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}
