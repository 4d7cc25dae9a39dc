//! The head of a request, and what it asks for.

use super::{
    hub::{Start, check_name},
    push_stream::{self, Mode, Polled},
};
use std::sync::Arc;

/// Headers that a request may have.
const HEADERS: usize = 64;
/// Channels that one subscription may name.
const CHANNELS: usize = 100;

/// The head of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    headers: Vec<(String, String)>,
    /// Its length in bytes.
    pub(super) length: usize,
    /// Whether the connection stays if nobody says otherwise.
    pub(super) stays: bool,
}

/// A client that wants to read channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) transport: Transport,
    pub(super) channels: Vec<Arc<str>>,
    pub(super) start: Start,
    /// For one that gets an answer in the dialect of push stream.
    pub(super) polled: Option<Polled>,
}

/// Which dialects are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dialects {
    pub(super) push_stream: bool,
}

/// How it wants to read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// Server-Sent Events.
    Events,
    /// An object a line, for as long as the connection lasts.
    Lines,
    /// A WebSocket.
    WebSocket,
    /// One answer as soon as there is something.
    Poll,
    /// In the dialect of push stream.
    PushStream(Mode),
}

impl Transport {
    /// One word, for metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Events => "sse",
            Self::Lines => "stream",
            Self::WebSocket => "websocket",
            Self::Poll => "poll",
            Self::PushStream(mode) => mode.word(),
        }
    }
}

/// Why a request is none that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) status: u16,
    pub(super) why: &'static str,
}

const fn bad(why: &'static str) -> Bad {
    Bad { status: 400, why }
}

impl Head {
    /// The head that `bytes` begin with; nothing while it is not whole.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Bad> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Bad { status: 431, why: "too many headers" }),
            Err(_) => return Err(bad("this is no HTTP request")),
        };
        let (path, query) = request.path.unwrap_or("").split_once('?').unwrap_or((request.path.unwrap_or(""), ""));
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let mut head = Self {
            method: request.method.unwrap_or("").to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: request.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect(),
            length,
            stays: false,
        };
        head.stays = match request.version {
            Some(0) => head.lists("connection", "keep-alive"),
            _ => !head.lists("connection", "close"),
        };
        Ok(Some(head))
    }

    /// That of a request which hyper has read.
    pub(super) fn of(parts: &http::request::Parts) -> Self {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            ..Self::default()
        }
    }

    /// The first value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a header that is a list of words has this one.
    fn lists(&self, name: &str, word: &str) -> bool {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.flat_map(|(_, value)| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    }

    /// The value of a query's argument.
    pub(super) fn argument(&self, name: &str) -> Option<String> {
        argument(&self.query, name)
    }

    /// The channels it wants to read, and how; nothing where it wants something else.
    pub(super) fn subscription(&self, dialects: Dialects) -> Result<Option<Subscription>, Bad> {
        if dialects.push_stream && push_stream::speaks(&self.path) {
            return push_stream::subscription(self);
        }
        let Some((transport, names)) = transport(&self.path) else { return Ok(None) };
        // What a page asks before it may ask is answered elsewhere.
        if self.method == "OPTIONS" {
            return Ok(None);
        }
        self.check_reads()?;
        if transport == Transport::WebSocket {
            self.check_upgrade()?;
        }
        Ok(Some(Subscription { transport, channels: channels(names)?, start: self.start()?, polled: None }))
    }

    /// What every request that reads channels must be.
    pub(super) fn check_reads(&self) -> Result<(), Bad> {
        if self.method != "GET" {
            return Err(Bad {
                status: 405,
                why: "channels are read with GET; they are published to with POST at /publish/CHANNEL",
            });
        }
        if self.header("transfer-encoding").is_some()
            || self.header("content-length").is_some_and(|length| length != "0")
        {
            return Err(bad("a request to read channels has no body"));
        }
        Ok(())
    }

    fn start(&self) -> Result<Start, Bad> {
        let id = self.header("last-event-id").map(str::to_owned).or_else(|| self.argument("last_event_id"));
        match (id, self.argument("last")) {
            (Some(id), _) if !id.is_empty() => Ok(Start::After(id)),
            (_, Some(count)) => {
                let count = count.parse().map_err(|_| bad("`last` is how many messages that are kept are wanted"))?;
                Ok(Start::Last(count))
            }
            _ => Ok(Start::Now),
        }
    }

    /// Source: RFC 6455, section 4.2.1.
    pub(super) fn check_upgrade(&self) -> Result<(), Bad> {
        if !self.lists("upgrade", "websocket") || !self.lists("connection", "upgrade") {
            return Err(Bad { status: 426, why: "a WebSocket is opened here" });
        }
        if self.header("sec-websocket-version") != Some("13") {
            return Err(Bad { status: 426, why: "WebSockets are spoken here in version 13" });
        }
        match self.header("sec-websocket-key") {
            Some(key) if key.len() == 24 => Ok(()),
            _ => Err(bad("the key of the WebSocket is missing")),
        }
    }
}

/// The value of an argument in a query.
pub(super) fn argument(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut named = pairs.filter(|(key, _)| *key == name);
    named.next().and_then(|(_, value)| decoded(&value.replace('+', " ")))
}

fn transport(path: &str) -> Option<(Transport, &str)> {
    let (first, names) = path.strip_prefix('/')?.split_once('/')?;
    let transport = match first {
        "sse" => Transport::Events,
        "stream" => Transport::Lines,
        "ws" => Transport::WebSocket,
        "poll" => Transport::Poll,
        _ => return None,
    };
    Some((transport, names))
}

/// Each part of a path is a channel; empty ones are passed over.
pub(super) fn channels(path: &str) -> Result<Vec<Arc<str>>, Bad> {
    let mut channels: Vec<Arc<str>> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let name = decoded(part).ok_or(bad("a channel's name is not UTF-8"))?;
        check_name(&name).map_err(|_| bad("a channel's name has 1 to 200 bytes and no control characters"))?;
        if !channels.iter().any(|known| **known == *name) {
            channels.push(name.into());
        }
    }
    match channels.len() {
        0 => Err(bad("name a channel behind the last slash")),
        1..=CHANNELS => Ok(channels),
        _ => Err(bad("one subscription may name 100 channels")),
    }
}

/// Without percent signs; nothing where that is not UTF-8.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let escaped = match (byte, behind) {
            (b'%', [high, low, behind @ ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low, behind)),
            _ => None,
        };
        let (byte, behind) = escaped.unwrap_or((*byte, behind));
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::parse(text.as_bytes()).expect("is a request").expect("is whole")
    }

    fn subscription(first: &str) -> Result<Option<Subscription>, Bad> {
        head(&format!("{first} HTTP/1.1\r\nhost: h\r\n\r\n")).subscription(Dialects::default())
    }

    #[test]
    fn a_head_is_whole_or_not_or_none() {
        let text = "GET /sse/a?x=1 HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive, Upgrade\r\n\r\nmore";
        for end in 0..text.len() - 4 {
            assert_eq!(Head::parse(&text.as_bytes()[..end]), Ok(None), "{end}");
        }
        let head = head(text);
        assert_eq!(
            (&*head.path, &*head.query, head.header("HOST"), head.length),
            ("/sse/a", "x=1", Some("h"), text.len() - 4)
        );
        assert!(head.lists("connection", "upgrade") && head.stays);
        assert!(Head::parse(b"\x16\x03\x01").is_err());
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
        assert_eq!(Head::parse(many.as_bytes()).expect_err("too many").status, 431);
    }

    #[test]
    fn a_connection_stays_unless_its_version_or_its_word_says_otherwise() {
        for (rest, stays) in [
            ("1.1\r\n", true),
            ("1.0\r\n", false),
            ("1.1\r\nconnection: close\r\n", false),
            ("1.0\r\nconnection: keep-alive\r\n", true),
        ] {
            assert_eq!(head(&format!("GET / HTTP/{rest}\r\n")).stays, stays, "{rest}");
        }
    }

    #[test]
    fn each_part_of_the_path_is_a_channel() {
        let channels = |path: &str| {
            let subscription = subscription(&format!("GET {path}")).expect("is good").expect("reads");
            subscription.channels.iter().map(|name| name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(channels("/sse/news"), ["news"]);
        assert_eq!(channels("/stream/a/b/a"), ["a", "b"]);
        assert_eq!(channels("/poll//a%2Fb/%C3%BC/"), ["a/b", "ü"]);
        for path in ["/sse/", "/sse/%ff", "/sse/%0a", "/sse/%00", &format!("/sse/{}", "x".repeat(201))] {
            assert_eq!(subscription(&format!("GET {path}")).expect_err(path).status, 400);
        }
        let many: String = (0..101).map(|number| format!("/{number}")).collect();
        assert!(subscription(&format!("GET /sse{many}")).is_err());
    }

    #[test]
    fn where_to_begin_is_said_in_a_header_or_an_argument() {
        let start = |first: &str, more: &str| {
            let text = format!("GET {first} HTTP/1.1\r\n{more}\r\n");
            head(&text).subscription(Dialects::default()).map(|wanted| wanted.expect("reads").start)
        };
        assert_eq!(start("/sse/a", ""), Ok(Start::Now));
        assert_eq!(start("/sse/a", "Last-Event-ID: e-1\r\n"), Ok(Start::After("e-1".to_owned())));
        assert_eq!(start("/sse/a?last_event_id=e%2d1&last=3", ""), Ok(Start::After("e-1".to_owned())));
        assert_eq!(start("/sse/a?last=3", "Last-Event-ID:\r\n"), Ok(Start::Last(3)));
        assert!(start("/sse/a?last=x", "").is_err());
    }

    #[test]
    fn what_does_not_read_channels_is_left_to_others() {
        for first in ["GET /", "GET /sse", "POST /publish/a", "OPTIONS /sse/a", "GET *"] {
            assert_eq!(subscription(first), Ok(None), "{first}");
        }
        assert_eq!(subscription("POST /sse/a").expect_err("wrong").status, 405);
        assert_eq!(subscription("GET /ws/a").expect_err("wrong").status, 426);
        let body = head("GET /poll/a HTTP/1.1\r\ncontent-length: 3\r\n\r\n");
        assert_eq!(body.subscription(Dialects::default()).expect_err("wrong").status, 400);
    }
}
