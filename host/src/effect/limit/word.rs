//! What a server says of how much it wants: `Retry-After`, and `RateLimit` as its drafts have had it.
//!
//! Sources: RFC 9110, section 10.2.3; draft-ietf-httpapi-ratelimit-headers, up to version 02 with `RateLimit-Remaining` and
//! `RateLimit-Reset`, up to 07 with both in one `RateLimit: remaining=0, reset=5`, and since then `RateLimit: "name";r=0;t=5`.

use crate::request::{Failure, HttpReply};
use std::time::{Duration, SystemTime};

/// However long a server wants to be left alone, it is asked again then.
const LONGEST: Duration = Duration::from_secs(3_600);

/// What a reply says of the server that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing: it was not even asked.
    Nothing,
    /// It works.
    Well,
    /// It works, and wants fewer requests.
    TooMany,
    /// It fails; `true` if that may come from too many requests.
    Failing(bool),
}

/// What `reply` says.
pub(super) fn told(reply: &Result<HttpReply, Failure>) -> Told {
    match reply {
        Err(Failure::Denied(_) | Failure::Invalid(_)) => Told::Nothing,
        Err(Failure::TooLarge(_)) => Told::Well,
        Err(Failure::Unreachable(_)) => Told::Failing(true),
        Ok(reply) => match reply.status {
            429 => Told::TooMany,
            408 | 502..=504 => Told::Failing(true),
            500.. => Told::Failing(false),
            _ => Told::Well,
        },
    }
}

/// How long it wants to be left alone.
pub(super) fn pause(reply: &HttpReply, now: SystemTime) -> Option<Duration> {
    let header = |wanted: &str| {
        let found = reply.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim())
    };
    let asked = match reply.status {
        429 | 503 => header("retry-after").and_then(|value| after(value, header("date"), now)),
        _ => None,
    };
    let counted = || match (header("ratelimit-remaining"), header("ratelimit-reset")) {
        (Some(remaining), Some(reset)) if number(remaining) == Some(0) => number(reset),
        _ => header("ratelimit").and_then(reset),
    };
    let pause = asked.or_else(|| counted().map(Duration::from_secs))?;
    Some(pause.min(LONGEST)).filter(|pause| !pause.is_zero())
}

/// Seconds, or a date, which is compared with the server's own where it says that.
fn after(value: &str, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    if let Some(seconds) = number(value) {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let now = date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    Some(until.duration_since(now).unwrap_or_default())
}

/// In how many seconds there is something again, where nothing remains; the longest where there are several policies.
fn reset(value: &str) -> Option<u64> {
    let items: Vec<Vec<(&str, &str)>> = outside_quotes(value, ',').map(parameters).collect();
    // In the older form what belongs together stands in several items.
    let old = |item: &Vec<(&str, &str)>| item.iter().any(|(name, _)| *name == "remaining");
    let together = items.iter().any(old).then(|| items.concat());
    let policies = together.map_or(items, |one| vec![one]);
    policies.iter().filter_map(|policy| exhausted(policy)).max()
}

fn exhausted(policy: &[(&str, &str)]) -> Option<u64> {
    let value = |names: [&str; 2]| {
        let found = policy.iter().find(|(name, _)| names.contains(name));
        found.and_then(|(_, value)| number(value))
    };
    value(["remaining", "r"]).filter(|left| *left == 0).and_then(|_| value(["reset", "t"]))
}

fn parameters(item: &str) -> Vec<(&str, &str)> {
    let pairs = outside_quotes(item, ';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim())).collect()
}

/// The parts of `text` between separators that are not within quotes.
fn outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |letter| {
        quoted ^= letter == '"';
        letter == separator && !quoted
    })
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn reply(status: u16, headers: &[(&str, &str)]) -> HttpReply {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        HttpReply { status, headers, body: Bytes::new() }
    }

    fn seconds(status: u16, headers: &[(&str, &str)]) -> Option<u64> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        pause(&reply(status, headers), now).map(|pause| pause.as_secs())
    }

    #[test]
    fn retry_after_is_in_seconds_or_a_date() {
        assert_eq!(seconds(429, &[("Retry-After", "7")]), Some(7));
        assert_eq!(seconds(503, &[("retry-after", "Sun, 06 Nov 1994 08:49:39 GMT")]), Some(2));
        // The server's own clock is some hours ahead.
        let date = ("date", "Sun, 06 Nov 1994 12:00:00 GMT");
        assert_eq!(seconds(429, &[("retry-after", "Sun, 06 Nov 1994 12:00:09 GMT"), date]), Some(9));
        for nothing in ["0", "-1", "soon", "", "Sun, 06 Nov 1994 08:49:37 GMT", "99999999999999999999999"] {
            assert_eq!(seconds(429, &[("retry-after", nothing)]), None, "{nothing}");
        }
        assert_eq!(seconds(429, &[("retry-after", "86400")]), Some(3_600), "an hour at most");
        assert_eq!(seconds(301, &[("retry-after", "7")]), None, "that is of the new place");
    }

    #[test]
    fn every_generation_of_rate_limit_headers_is_understood() {
        assert_eq!(seconds(200, &[("RateLimit-Remaining", "0"), ("RateLimit-Reset", "5")]), Some(5));
        assert_eq!(seconds(200, &[("ratelimit-remaining", "1"), ("ratelimit-reset", "5")]), None);
        assert_eq!(seconds(200, &[("ratelimit", "limit=100, remaining=0, reset=6")]), Some(6));
        assert_eq!(seconds(200, &[("ratelimit", "limit=100, remaining=99, reset=6")]), None);
        assert_eq!(seconds(200, &[("ratelimit", "\"default\";r=0;t=8")]), Some(8));
        assert_eq!(seconds(200, &[("ratelimit", "\"default\";r=50;t=8")]), None);
        assert_eq!(
            seconds(200, &[("ratelimit", "\"a,b;r=0;t=99\";r=1;t=8, \"day\";r=0;t=60;pk=:x=:, hour;r=0;t=9")]),
            Some(60)
        );
        for nothing in ["", ";;;,,,===", "\"", "r=0", "t=5", "\"x\";r=;t=", "\"x\";r=0;t=-4"] {
            assert_eq!(seconds(200, &[("ratelimit", nothing)]), None, "{nothing}");
        }
        assert_eq!(
            seconds(429, &[("retry-after", "3"), ("ratelimit", "\"d\";r=0;t=8")]),
            Some(3),
            "which is meant for us"
        );
    }

    #[test]
    fn a_reply_tells_how_the_server_is() {
        let status = |status| told(&Ok(reply(status, &[])));
        assert_eq!([200, 301, 404, 499].map(status), [Told::Well; 4]);
        assert_eq!(status(429), Told::TooMany);
        assert_eq!([408, 502, 503, 504].map(status), [Told::Failing(true); 4]);
        assert_eq!([500, 501, 505, 999].map(status), [Told::Failing(false); 4]);
        assert_eq!(told(&Err(Failure::Denied(String::new()))), Told::Nothing);
        assert_eq!(told(&Err(Failure::Unreachable(String::new()))), Told::Failing(true));
    }
}
