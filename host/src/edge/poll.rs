//! Long polling: a subscriber that gets one answer, as soon as there is something to tell or when it has waited long enough.

use super::{
    access::{self, Origin},
    message::{self, Message},
    push_stream::Polled,
};
use bytes::Bytes;

/// What an answer needs to know.
#[derive(Debug)]
pub(super) struct Poll {
    pub(super) origin: Origin,
    /// Whether the client may send its next request on the same connection.
    pub(super) stays: bool,
    /// Whether it has been given all that it has missed, where it said what it has seen.
    pub(super) recovered: Option<bool>,
    /// Where it stands if nothing comes.
    pub(super) since: u64,
    /// How it is answered in the dialect of push stream.
    pub(super) polled: Option<Polled>,
}

impl Poll {
    /// Whether it is answered at once, whatever there is.
    pub(super) fn is_at_once(&self) -> bool {
        self.polled.as_ref().is_some_and(Polled::is_at_once)
    }

    /// The answer with messages that are written already, of which this is the last.
    pub(super) fn messages(&self, epoch: &str, written: &[u8], last: &Message) -> Bytes {
        match &self.polled {
            Some(polled) => polled.answer(written, last.stamp, &self.origin, self.stays),
            None => self.answer(epoch, last.sequence, written),
        }
    }

    /// The answer where nothing has come.
    pub(super) fn nothing(&self, epoch: &str) -> Bytes {
        match &self.polled {
            Some(polled) => polled.nothing(access::now(), &self.origin, self.stays),
            None => self.answer(epoch, self.since, b""),
        }
    }

    /// The answer with `objects`, each with a comma behind it, after which the client stands at `sequence`.
    fn answer(&self, epoch: &str, sequence: u64, objects: &[u8]) -> Bytes {
        let objects = objects.strip_suffix(b",").unwrap_or(objects);
        let recovered = self.recovered.map_or(String::new(), |all| format!("\"recovered\":{all},"));
        let begin = format!("{{\"id\":\"{}\",{recovered}\"messages\":[", message::id(epoch, sequence));
        let length = begin.len() + objects.len() + 2;
        let mut out = self.head("200 OK", "application/json", length).into_bytes();
        out.extend(begin.as_bytes());
        out.extend(objects);
        out.extend(b"]}");
        out.into()
    }

    /// The answer of a node that ends.
    pub(super) fn unavailable(&self) -> Bytes {
        let mut head = self.head("503 Service Unavailable", "text/plain; charset=utf-8", 0);
        head.insert_str(head.len() - 2, "retry-after: 1\r\n");
        head.into()
    }

    fn head(&self, status: &str, kind: &str, length: usize) -> String {
        let close = if self.stays { "" } else { "connection: close\r\n" };
        let origin = self.origin.headers();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\ncache-control: no-store\r\n{origin}{close}\r\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_where_the_client_stands() {
        let mut poll = Poll { origin: Origin::Own, stays: true, recovered: None, since: 3, polled: None };
        let body = |poll: &Poll, objects| {
            let answer = poll.answer("e", 4, objects);
            let text = String::from_utf8_lossy(&answer).into_owned();
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
            body.to_owned()
        };
        assert_eq!(body(&poll, b""), r#"{"id":"e-4","messages":[]}"#);
        poll.recovered = Some(true);
        assert_eq!(body(&poll, b"{},{},"), r#"{"id":"e-4","recovered":true,"messages":[{},{}]}"#);
    }
}
