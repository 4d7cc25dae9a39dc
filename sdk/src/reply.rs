//! What came of a publisher's requests, and how a publisher judges it unless it says otherwise.

use crate::{Error, Result};
use serde::de::DeserializeOwned;
use std::{fmt, time::Duration};

/// What came of one request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// Of an HTTP request.
    Http(Result<HttpReply, Failure>),
    /// Of a command of Redis.
    Redis(Result<RedisValue, Failure>),
    /// Of a line for a file: whether it is there, whole.
    File(Result<(), Failure>),
    /// Of a message over a WebSocket: the answer, if one was expected.
    WebSocket(Result<Option<Vec<u8>>, Failure>),
}

/// What Redis answered.
#[derive(Clone, Debug, PartialEq)]
pub enum RedisValue {
    /// There is nothing.
    Nil,
    /// A number.
    Number(i64),
    /// A string, or a status such as `OK`.
    Bytes(Vec<u8>),
    /// Several values.
    List(Vec<RedisValue>),
}

/// An HTTP response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpReply {
    /// From 100 to 999.
    pub status: u16,
    /// In the order received.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why a request got no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The operator did not grant it; trying again cannot help.
    Denied(String),
    /// The request itself is wrong: a URL that does not parse, a header that is not one.
    Invalid(String),
    /// No connection, a broken one, or no reply in time; a file that cannot be written to.
    Unreachable(String),
    /// The reply is longer than the operator allows.
    TooLarge(String),
}

impl Reply {
    /// An HTTP reply for a test.
    pub fn test(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Http(Ok(HttpReply { status, body: body.into(), headers: Vec::new() }))
    }

    /// That to [`Request::redis_with_settling`](crate::Request::redis_with_settling), for a test.
    pub fn queued() -> Self {
        Self::Redis(Ok(RedisValue::Bytes(b"QUEUED".to_vec())))
    }

    /// With this header, beside those it has; for a test.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Self::Http(Ok(reply)) = &mut self {
            reply.headers.push((name.into(), value.into()));
        }
        self
    }

    /// The response of HTTP, if it tells of success.
    ///
    /// # Errors
    /// What the default judgement says: a retry, which heeds `Retry-After`, for no reply and for the statuses 408, 425, 429 and
    /// 5xx; a rejection for every other status outside 2xx and for a request that was denied, wrong or answered at too great length.
    pub fn success(&self) -> Result<&HttpReply> {
        match self {
            Self::Http(Ok(reply)) => reply.success(),
            Self::Redis(Ok(_)) | Self::File(Ok(())) | Self::WebSocket(Ok(_)) => {
                Err(Error::reject("this is no HTTP response"))
            }
            Self::Http(Err(failure))
            | Self::Redis(Err(failure))
            | Self::File(Err(failure))
            | Self::WebSocket(Err(failure)) => Err(failure.judged()),
        }
    }

    /// What Redis answered.
    ///
    /// # Errors
    /// What the default judgement says: a retry where Redis was away or busy, a rejection for a command that was denied or wrong.
    pub fn redis(&self) -> Result<&RedisValue> {
        match self {
            Self::Redis(Ok(value)) => Ok(value),
            Self::Http(Ok(_)) | Self::File(Ok(())) | Self::WebSocket(Ok(_)) => {
                Err(Error::reject("this is no answer of Redis"))
            }
            Self::Http(Err(failure))
            | Self::Redis(Err(failure))
            | Self::File(Err(failure))
            | Self::WebSocket(Err(failure)) => Err(failure.judged()),
        }
    }

    /// What the server at the other end of a WebSocket has answered, if that was asked for.
    ///
    /// # Errors
    /// What the default judgement says: a retry where there was no connection, or no answer in time, a rejection of a message that was
    /// denied or wrong.
    pub fn websocket(&self) -> Result<Option<&[u8]>> {
        match self {
            Self::WebSocket(answer) => answer.as_ref().map(Option::as_deref).map_err(Failure::judged),
            other => Err(other.fault().unwrap_or_else(|| Error::reject("this is no answer over a WebSocket"))),
        }
    }

    fn fault(&self) -> Option<Error> {
        match self {
            Self::Http(_) => self.success().err(),
            Self::Redis(_) => self.redis().err(),
            Self::File(written) => written.as_ref().err().map(Failure::judged),
            Self::WebSocket(answer) => answer.as_ref().err().map(Failure::judged),
        }
    }
}

impl RedisValue {
    /// The string, if it is one and UTF-8.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The number, or what a string spells.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => self.text()?.parse().ok(),
        }
    }

    /// The values in it; none if it is no list.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(values) => values,
            _ => &[],
        }
    }
}

impl HttpReply {
    /// The first value of the header `name`, which is compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// A rejection that names the line and column if it is not JSON or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| Error::from(error).within("reply"))
    }

    /// How long the server asks to wait: `Retry-After` in seconds, or as a date against the server's own `Date`.
    pub fn retry_after(&self) -> Option<Duration> {
        let asked = self.header("retry-after")?.trim();
        if let Ok(seconds) = asked.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let now = httpdate::parse_http_date(self.header("date")?).ok()?;
        Some(httpdate::parse_http_date(asked).ok()?.duration_since(now).unwrap_or_default())
    }

    fn success(&self) -> Result<&Self> {
        match (self.status, self.retry_after()) {
            (200..=299, _) => Ok(self),
            (408 | 425 | 429 | 500..=599, Some(pause)) => Err(Error::retry_after(pause, self.to_string())),
            (408 | 425 | 429 | 500..=599, None) => Err(Error::retry(self.to_string())),
            _ => Err(Error::reject(self.to_string())),
        }
    }
}

/// The status and the beginning of the body, on one line.
impl fmt::Display for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 200;
        write!(f, "answered {}", self.status)?;
        let start = self.body.get(..4 * SHOWN).unwrap_or(&self.body);
        let text = String::from_utf8_lossy(start);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(SHOWN) {
            _ if line.is_empty() => Ok(()),
            Some((end, _)) => write!(f, ": {}…", line.get(..end).unwrap_or_default()),
            None => write!(f, ": {line}"),
        }
    }
}

impl Failure {
    fn judged(&self) -> Error {
        match self {
            Self::Unreachable(reason) => Error::retry(reason),
            Self::Denied(reason) | Self::Invalid(reason) | Self::TooLarge(reason) => Error::reject(reason),
        }
    }
}

/// The default judgement over all replies of a round: a rejection outweighs a retry, and the longest pause holds.
///
/// # Errors
/// As [`Reply::success`] says.
pub fn judge(replies: &[Reply]) -> Result<()> {
    judge_all(replies)
}

pub(crate) fn judge_all<'r>(replies: impl IntoIterator<Item = &'r Reply>) -> Result<()> {
    let mut worst: Option<Error> = None;
    for error in replies.into_iter().filter_map(Reply::fault) {
        if !error.is_retry() {
            return Err(error);
        }
        if worst.as_ref().is_none_or(|worst| worst.pause() < error.pause()) {
            worst = Some(error);
        }
    }
    worst.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> Reply {
        Reply::Http(Err(Failure::Unreachable("connection refused".into())))
    }

    #[test]
    fn every_2xx_is_a_success() {
        assert!([200, 201, 204, 299].iter().all(|&status| Reply::test(status, "").success().is_ok()));
    }

    #[test]
    fn answers_of_redis_are_judged_too() {
        let answer = |value| Reply::Redis(Ok(value));
        assert_eq!(answer(RedisValue::Number(7)).redis().unwrap().number(), Some(7));
        assert_eq!(answer(RedisValue::Bytes(b"7".to_vec())).redis().unwrap().number(), Some(7));
        assert_eq!(judge(&[answer(RedisValue::Nil), Reply::queued(), Reply::test(200, "")]), Ok(()));
        let away = Reply::Redis(Err(Failure::Unreachable("no connection".into())));
        assert!(judge(&[answer(RedisValue::Nil), away]).unwrap_err().is_retry());
        let denied = Reply::Redis(Err(Failure::Denied("`DEL` is not granted".into())));
        assert_eq!(judge(&[denied]), Err(Error::reject("`DEL` is not granted")));
        assert_eq!(judge(&[Reply::File(Ok(())), answer(RedisValue::Nil)]), Ok(()));
        let full = Reply::File(Err(Failure::Unreachable("`out/a.log`: no space is left".into())));
        assert!(judge(&[full]).unwrap_err().is_retry());
        assert!(answer(RedisValue::Nil).success().is_err() && Reply::test(200, "").redis().is_err());
    }

    #[test]
    fn what_may_heal_is_tried_again() {
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(Reply::test(status, "").success(), Err(Error::retry(format!("answered {status}"))));
        }
        assert_eq!(unreachable().success(), Err(Error::retry("connection refused")));
    }

    #[test]
    fn what_cannot_heal_is_rejected() {
        for status in [100, 301, 304, 400, 401, 404, 410, 422, 600] {
            assert_eq!(Reply::test(status, "").success(), Err(Error::reject(format!("answered {status}"))));
        }
        let denied = Reply::Http(Err(Failure::Denied("`a` is not granted".into())));
        assert_eq!(denied.success(), Err(Error::reject("`a` is not granted")));
    }

    #[test]
    fn retry_after_is_heeded_in_both_its_forms() {
        let pause = |reply: Reply| reply.success().unwrap_err().pause();
        assert_eq!(pause(Reply::test(503, "").with_header("Retry-After", "7")), Some(Duration::from_secs(7)));
        let dated = Reply::test(429, "")
            .with_header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
            .with_header("retry-after", "Sun, 06 Nov 1994 08:51:37 GMT");
        assert_eq!(pause(dated), Some(Duration::from_secs(120)));
        assert_eq!(pause(Reply::test(503, "").with_header("retry-after", "soon")), None);
    }

    #[test]
    fn the_reason_names_the_status_and_a_short_piece_of_the_body() {
        let long = Reply::test(400, "no\n  such ".repeat(100));
        let reason = long.success().unwrap_err().reason().to_owned();
        assert!(reason.starts_with("answered 400: no such no such"));
        assert!(reason.chars().count() < 230, "{reason}");
        assert!(Reply::test(400, [0xff, 0xfe]).success().is_err());
    }

    #[test]
    fn among_several_replies_a_rejection_outweighs_and_the_longest_pause_holds() {
        let slow = |seconds: &str| Reply::test(503, "").with_header("retry-after", seconds);
        let replies = [unreachable(), slow("9"), slow("3"), Reply::test(200, "")];
        assert_eq!(judge(&replies).unwrap_err().pause(), Some(Duration::from_secs(9)));
        assert!(!judge(&[slow("9"), Reply::test(404, "")]).unwrap_err().is_retry());
        assert_eq!(judge(&[]), Ok(()));
    }
}
