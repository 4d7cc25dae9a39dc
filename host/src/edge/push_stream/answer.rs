//! Heads and answers: what clients of push stream see of HTTP.

use crate::edge::{access::Origin, message::Stamp};
use bytes::Bytes;

/// Every answer forbids to keep it.
const NOT_KEPT: &str =
    "expires: Thu, 01 Jan 1970 00:00:01 GMT\r\ncache-control: no-cache, no-store, must-revalidate\r\n";

/// How a request that gets one answer is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::edge) struct Polled {
    /// The function that a page wants called with the messages.
    pub(super) callback: Option<Box<str>>,
    /// Whether it is answered at once, whatever there is.
    pub(super) at_once: bool,
    /// What it said it had, to be told again where there is nothing.
    pub(super) had: Option<(u64, u32)>,
}

impl Polled {
    /// Whether it is answered at once, whatever there is.
    pub(in crate::edge) fn is_at_once(&self) -> bool {
        self.at_once
    }

    /// Messages, the last of which has this stamp.
    pub(in crate::edge) fn answer(&self, messages: &[u8], last: Stamp, origin: &Origin, stays: bool) -> Bytes {
        let (kind, body) = match &self.callback {
            Some(callback) => {
                let messages = messages.strip_suffix(b",").unwrap_or(messages);
                ("application/javascript", [callback.as_bytes(), b"([", messages, b"]);"].concat())
            }
            None => ("text/plain", messages.to_vec()),
        };
        let mut out = head("200 OK", Some(last), origin, stays);
        out.push_str(&format!(
            "content-type: {kind}\r\nx-content-type-options: nosniff\r\ncontent-length: {}\r\n\r\n",
            body.len()
        ));
        [out.as_bytes(), &body].concat().into()
    }

    /// There was nothing until now.
    pub(in crate::edge) fn nothing(&self, now: u64, origin: &Origin, stays: bool) -> Bytes {
        let stamp = match (self.at_once, self.had) {
            (true, had) => had,
            (false, _) => Some((now, 0)),
        };
        let stamp = stamp.map(|(second, tag)| Stamp { second, tag, number: 0 });
        (head("304 Not Modified", stamp, origin, stays) + "\r\n").into()
    }
}

fn head(status: &str, stamp: Option<Stamp>, origin: &Origin, stays: bool) -> String {
    let place = stamp.map_or(String::new(), |stamp| {
        format!("last-modified: {}\r\netag: W/{}\r\n", super::date(stamp.second), stamp.tag)
    });
    let close = if stays { "" } else { "connection: close\r\n" };
    let origin = allow(origin);
    format!("HTTP/1.1 {status}\r\n{place}{NOT_KEPT}{origin}{close}")
}

/// The head before messages that come one by one.
pub(super) fn stream(kind: &str, origin: &Origin) -> String {
    let origin = allow(origin);
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{NOT_KEPT}x-accel-buffering: no\r\nconnection: close\r\n{origin}\r\n"
    )
}

/// A page may read which message an answer ends with.
fn allow(origin: &Origin) -> String {
    match origin {
        Origin::Own => String::new(),
        Origin::Any | Origin::This(_) => origin.headers() + "access-control-expose-headers: last-modified, etag\r\n",
    }
}

/// A name, or several with dots between them: nothing else can be called.
pub(super) fn callback(name: &str) -> Option<Box<str>> {
    let fits = |part: &str| {
        !part.is_empty()
            && !part.starts_with(|first: char| first.is_ascii_digit())
            && part.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '$'))
    };
    (name.len() <= 128 && name.split('.').all(fits)).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_a_name() {
        for name in ["cb", "a.b_c.$d1", "PushStreamManager_0_onmessage_17"] {
            assert_eq!(callback(name).as_deref(), Some(name));
        }
        for name in ["", "a(", "alert(1)//", "a..b", "1a", "a.b;", "ü", &"x".repeat(129)] {
            assert_eq!(callback(name), None, "{name}");
        }
    }

    #[test]
    fn an_answer_says_where_to_go_on() {
        let shown = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
        let stamp = Stamp { second: 1_795_298_922, tag: 3, number: 9 };
        let polled = Polled { callback: callback("cb"), ..Polled::default() };
        let answer = shown(polled.answer(b"{},{},", stamp, &Origin::Own, true));
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\nlast-modified: Sat, 21 Nov 2026 22:08:42 GMT\r\netag: W/3\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("content-length: 12\r\n\r\ncb([{},{}]);"), "{answer}");
        let waited = shown(Polled::default().nothing(1_795_298_922, &Origin::Own, true));
        assert!(waited.contains("etag: W/0\r\n") && waited.starts_with("HTTP/1.1 304 "), "{waited}");
        let at_once = Polled { at_once: true, ..Polled::default() };
        assert!(!shown(at_once.nothing(1, &Origin::Own, true)).contains("etag"));
        let at_once = Polled { had: Some((1_795_298_922, 2)), ..at_once };
        assert!(shown(at_once.nothing(1, &Origin::Own, true)).contains("22:08:42 GMT\r\netag: W/2\r\n"));
    }
}
