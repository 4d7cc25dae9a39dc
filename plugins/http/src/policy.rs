//! What the status of an answer means, where the config says otherwise than the default judgement.

use gristmill_sdk::{Error, HttpReply, Reply, Result};
use serde::Deserialize;
use std::ops::RangeInclusive;

/// One entry of a list: `404`, `"5xx"` or `"200-204"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Statuses {
    One(u16),
    Many(String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Meaning {
    Done,
    Retry,
    Reject,
}

/// The narrowest entry that has a status says what it means.
#[derive(Debug)]
pub(crate) struct Policy(Vec<(RangeInclusive<u16>, Meaning)>);

impl Policy {
    /// # Errors
    /// An entry that is no status, or one that is in two lists.
    pub(crate) fn new(done: &[Statuses], retry: &[Statuses], reject: &[Statuses]) -> Result<Self> {
        let lists =
            [("done", Meaning::Done, done), ("retry", Meaning::Retry, retry), ("reject", Meaning::Reject, reject)];
        let mut all: Vec<(RangeInclusive<u16>, Meaning)> = Vec::new();
        for (name, meaning, list) in lists {
            for statuses in list {
                let range = statuses.range().ok_or_else(|| {
                    Error::reject(format!(
                        "config.{name}: {statuses:?} is not a status such as 404, \"5xx\" or \"200-204\""
                    ))
                })?;
                if all.iter().any(|(known, other)| *known == range && *other != meaning) {
                    return Err(Error::reject(format!("config.{name}: {statuses:?} is in another list, too")));
                }
                all.push((range, meaning));
            }
        }
        all.sort_by_key(|(range, _)| range.end() - range.start());
        Ok(Self(all))
    }

    /// # Errors
    /// What is to become of the message, unless it is done.
    pub(crate) fn judge(&self, reply: &Reply) -> Result<()> {
        let Reply::Http(Ok(http)) = reply else { return reply.success().map(drop) };
        let meaning = self.0.iter().find(|(range, _)| range.contains(&http.status)).map(|(_, meaning)| *meaning);
        match meaning {
            None => reply.success().map(drop),
            Some(Meaning::Done) => Ok(()),
            Some(Meaning::Retry) => Err(again(http)),
            Some(Meaning::Reject) => Err(Error::reject(http.to_string())),
        }
    }
}

fn again(http: &HttpReply) -> Error {
    match http.retry_after() {
        Some(pause) => Error::retry_after(pause, http.to_string()),
        None => Error::retry(http.to_string()),
    }
}

impl Statuses {
    fn range(&self) -> Option<RangeInclusive<u16>> {
        let range = match self {
            Self::One(status) => *status..=*status,
            Self::Many(text) => match (text.strip_suffix("xx"), text.split_once('-')) {
                (Some(hundreds), _) => {
                    let hundreds: u16 = hundreds.parse().ok().filter(|digit| (1..=9).contains(digit))?;
                    hundreds * 100..=hundreds * 100 + 99
                }
                (None, Some((first, last))) => first.parse().ok()?..=last.parse().ok()?,
                (None, None) => {
                    let status = text.parse().ok()?;
                    status..=status
                }
            },
        };
        (range.start() <= range.end() && *range.start() >= 100 && *range.end() <= 999).then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn many(texts: &[&str]) -> Vec<Statuses> {
        texts.iter().map(|&text| Statuses::Many(text.to_owned())).collect()
    }

    #[test]
    fn the_narrowest_entry_decides_and_the_rest_is_as_ever() {
        let policy =
            Policy::new(&[Statuses::One(409)], &many(&["404", "500-503"]), &many(&["4xx", "502", "5xx"])).unwrap();
        let judge = |status| policy.judge(&Reply::test(status, "")).map_err(|error| error.is_retry());
        assert_eq!([409, 204].map(judge), [Ok(()), Ok(())]);
        assert_eq!([404, 500, 503].map(judge), [Err(true); 3]);
        assert_eq!([429, 502, 504, 302].map(judge), [Err(false); 4]);
    }

    #[test]
    fn a_retry_waits_as_long_as_the_server_asks() {
        let policy = Policy::new(&[], &many(&["404"]), &[]).unwrap();
        let error = policy.judge(&Reply::test(404, "").with_header("retry-after", "7")).unwrap_err();
        assert_eq!(error.pause(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn what_is_no_status_or_has_two_meanings_is_refused() {
        for text in ["0xx", "6", "99", "1000", "204-200", "5x", "xx", "ok", "200-"] {
            let error = Policy::new(&[], &many(&[text]), &[]).unwrap_err();
            assert!(error.reason().starts_with("config.retry: "), "{text}: {error}");
        }
        let error = Policy::new(&many(&["404"]), &[], &[Statuses::One(404)]).unwrap_err();
        assert!(error.reason().contains("in another list"), "{error}");
    }
}
