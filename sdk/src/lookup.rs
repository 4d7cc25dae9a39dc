//! Why a lookup has no answer.

use crate::Error;
use std::fmt;

/// Why [`store`](crate::store) or [`sql`](crate::sql) has no answer.
///
/// `?` makes an [`Error`] of it: what is unavailable is tried again after the pipeline's backoff, all else is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupFailure {
    /// The operator did not grant it; trying again cannot help.
    Denied(String),
    /// It cannot be asked like this: a value that is no number, a statement that does not parse.
    Invalid(String),
    /// No answer, or none in time; another time there may be one.
    Unavailable(String),
    /// The question or the answer is longer than the operator allows.
    TooLarge(String),
}

impl LookupFailure {
    /// Why, in words.
    pub fn reason(&self) -> &str {
        match self {
            Self::Denied(why) | Self::Invalid(why) | Self::Unavailable(why) | Self::TooLarge(why) => why,
        }
    }
}

impl fmt::Display for LookupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "lookup denied: {why}"),
            Self::Invalid(why) => write!(f, "lookup not possible: {why}"),
            Self::Unavailable(why) => write!(f, "no answer to a lookup: {why}"),
            Self::TooLarge(why) => write!(f, "lookup too large: {why}"),
        }
    }
}

impl From<LookupFailure> for Error {
    fn from(failure: LookupFailure) -> Self {
        match failure {
            LookupFailure::Unavailable(_) => Self::retry(failure.to_string()),
            _ => Self::reject(failure.to_string()),
        }
    }
}

#[cfg(target_family = "wasm")]
impl From<crate::bindings::types::LookupFailure> for LookupFailure {
    fn from(failure: crate::bindings::types::LookupFailure) -> Self {
        use crate::bindings::types::LookupFailure as Wire;
        match failure {
            Wire::Denied(why) => Self::Denied(why),
            Wire::Invalid(why) => Self::Invalid(why),
            Wire::Unavailable(why) => Self::Unavailable(why),
            Wire::TooLarge(why) => Self::TooLarge(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OrRetry, Result};

    fn asked(failure: LookupFailure) -> Result<()> {
        Err(failure)?;
        Ok(())
    }

    #[test]
    fn only_what_may_heal_is_tried_again() {
        let why = || "why".to_owned();
        assert!(asked(LookupFailure::Unavailable(why())).unwrap_err().is_retry());
        for failure in [LookupFailure::Denied(why()), LookupFailure::Invalid(why()), LookupFailure::TooLarge(why())] {
            let error = asked(failure.clone()).unwrap_err();
            assert!(!error.is_retry() && error.reason().ends_with(": why"), "{error}");
            assert!(Err::<(), _>(failure).or_retry().unwrap_err().is_retry());
        }
    }
}
