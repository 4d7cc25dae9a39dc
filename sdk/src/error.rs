//! Why a plugin could not do its work: `?` rejects, `.or_retry()?` tries again later.

use std::{fmt, time::Duration};

/// What plugins return; the error is this crate's [`Error`] unless another one is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a message could not be handled, and whether trying again can help.
///
/// Every [`std::error::Error`] becomes a rejection through `?`, with its sources in the reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    heals: Heals,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Heals {
    /// The pause is the pipeline's own backoff when absent.
    After(Option<Duration>),
    Never,
}

impl Error {
    /// Trying again cannot help: the message goes to the dead letters with this reason.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self { heals: Heals::Never, reason: reason.into() }
    }

    /// Trying again may help: the message comes back after the pipeline's backoff.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self { heals: Heals::After(None), reason: reason.into() }
    }

    /// Trying again may help, but not before `pause` has passed; up to 49 days, to the millisecond.
    pub fn retry_after(pause: Duration, reason: impl Into<String>) -> Self {
        Self { heals: Heals::After(Some(pause)), reason: reason.into() }
    }

    /// The reason, as the log and the dead letters show it.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the message is tried again.
    pub fn is_retry(&self) -> bool {
        self.heals != Heals::Never
    }

    /// The shortest pause before the next attempt, where one was asked for.
    pub fn pause(&self) -> Option<Duration> {
        match self.heals {
            Heals::After(pause) => pause,
            Heals::Never => None,
        }
    }

    #[cfg(target_family = "wasm")]
    pub(crate) fn into_reason(self) -> String {
        self.reason
    }

    /// This error with the reason put behind `where_from` and a colon.
    pub(crate) fn within(mut self, where_from: &str) -> Self {
        self.reason = format!("{where_from}: {}", self.reason);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Self::reject(reason)
    }
}

/// Turns a failure into one that is tried again.
pub trait OrRetry<T> {
    /// A failure is tried again after the pipeline's backoff.
    ///
    /// # Errors
    /// Whatever failed, as a retry.
    fn or_retry(self) -> Result<T>;

    /// A failure is tried again, but not before `pause` has passed.
    ///
    /// # Errors
    /// Whatever failed, as a retry.
    fn or_retry_after(self, pause: Duration) -> Result<T>;
}

impl<T, E: Into<Error>> OrRetry<T> for Result<T, E> {
    fn or_retry(self) -> Result<T> {
        self.map_err(|error| Error { heals: Heals::After(None), ..error.into() })
    }

    fn or_retry_after(self, pause: Duration) -> Result<T> {
        self.map_err(|error| Error { heals: Heals::After(Some(pause)), ..error.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<u8> {
        Ok(text.parse::<u8>()?)
    }

    #[test]
    fn a_question_mark_rejects() {
        assert_eq!(parse("x"), Err(Error::reject("invalid digit found in string")));
    }

    #[test]
    fn or_retry_makes_any_failure_heal() {
        assert_eq!("x".parse::<u8>().or_retry(), Err(Error::retry("invalid digit found in string")));
        let late = parse("x").or_retry_after(Duration::from_secs(3)).unwrap_err();
        assert!(late.is_retry());
        assert_eq!(late.pause(), Some(Duration::from_secs(3)));
    }
}
