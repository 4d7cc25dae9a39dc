//! Where a client goes on, as clients of push stream say it: by time and tag, by the id of a message, or so many messages back.

use crate::edge::{head::Head, message::Message};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::edge) struct Since {
    /// In the order of the channels; what is more than 0 holds whatever else is said.
    pub(super) back: Vec<usize>,
    /// The second of the last message that the client has, since 1970, and its tag.
    pub(super) time: Option<u64>,
    pub(super) tag: u32,
    /// The publisher's id of that message.
    pub(super) id: Option<String>,
}

impl Since {
    /// What a request says in its headers or, where those say nothing, in its arguments.
    pub(super) fn of(head: &Head, back: Vec<usize>) -> Self {
        let said = |header: &str, argument: &str| {
            let of_header = head.header(header).map(str::to_owned).filter(|value| !value.is_empty());
            of_header.or_else(|| head.argument(argument)).filter(|value| !value.is_empty())
        };
        let time = said("if-modified-since", "time").and_then(|text| httpdate::parse_http_date(&text).ok());
        let time = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).map(|since| since.as_secs());
        let tag = said("if-none-match", "tag").map_or(0, |text| tag(&text));
        Self { back, time, tag, id: said("last-event-id", "eventid") }
    }

    /// How many of a channel's messages are wanted, where that is said: the channel is the one at this place.
    pub(in crate::edge) fn back(&self, place: usize) -> Option<usize> {
        self.back.get(place).copied().filter(|back| *back > 0)
    }

    /// The id of the last message that the client has, if it said one.
    pub(in crate::edge) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether the client has `message` and wants what comes behind it, or has what comes before `message` and wants it; nothing where neither is known.
    pub(in crate::edge) fn begins(&self, message: &Message) -> Option<Begins> {
        if self.id.is_some() && self.id.as_deref() == message.key() {
            return Some(Begins::Behind);
        }
        let at = message.stamp;
        self.time.filter(|time| (at.second, at.tag) > (*time, self.tag)).map(|_| Begins::With)
    }
}

/// Where it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) enum Begins {
    /// With the message.
    With,
    /// With the one behind it.
    Behind,
}

/// `W/7`, `7` or `-7`.
fn tag(text: &str) -> u32 {
    let text = text.trim().strip_prefix("W/").unwrap_or(text.trim()).trim_matches('"');
    text.parse::<i64>().map_or(0, |tag| u32::try_from(tag.unsigned_abs()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::message::{More, Stamp};
    use bytes::Bytes;
    use std::time::Instant;

    fn of(query: &str, headers: &str) -> Since {
        let text = format!("GET /ev/a?{query} HTTP/1.1\r\n{headers}\r\n");
        Since::of(&Head::parse(text.as_bytes()).expect("is a request").expect("is whole"), vec![0])
    }

    fn message(second: u64, tag: u32, key: &str) -> Message {
        let more = More { key: Some(key.into()) };
        let stamp = Stamp { second, tag, number: 1 };
        let (channel, data) = ("a".into(), Bytes::new());
        Message { sequence: 1, channel, event: None, data, at: Instant::now(), stamp, more: Some(Box::new(more)) }
    }

    #[test]
    fn where_to_go_on_stands_in_headers_or_arguments() {
        let date = "Sat, 21 Nov 2026 22:08:42 GMT";
        let expected = Since { back: vec![0], time: Some(1_795_298_922), tag: 3, id: None };
        for tag in ["W/3", "3", "-3", "W/\"3\""] {
            assert_eq!(of("", &format!("If-Modified-Since: {date}\r\nIf-None-Match: {tag}\r\n")), expected, "{tag}");
        }
        assert_eq!(of("time=Sat%2C%2021%20Nov%202026%2022:08:42%20GMT&tag=3&eventid=", ""), expected);
        assert_eq!(
            of("eventid=e1", "If-Modified-Since: null\r\n"),
            Since { back: vec![0], id: Some("e1".to_owned()), ..Since::default() }
        );
        assert_eq!(of("eventid=e1", "Last-Event-Id: e2\r\n").id.as_deref(), Some("e2"));
    }

    #[test]
    fn what_the_client_has_is_passed_over() {
        let by_time = |tag| Since { time: Some(100), tag, ..Since::default() };
        for (since, message, expected) in [
            (by_time(2), message(99, 9, ""), None),
            (by_time(2), message(100, 1, ""), None),
            (by_time(2), message(100, 2, ""), None),
            (by_time(2), message(100, 3, ""), Some(Begins::With)),
            (by_time(0), message(100, 1, ""), Some(Begins::With)),
            (by_time(9), message(101, 1, ""), Some(Begins::With)),
            (Since { id: Some("e1".to_owned()), ..Since::default() }, message(1, 1, "e1"), Some(Begins::Behind)),
            (Since { id: Some("e1".to_owned()), ..Since::default() }, message(1, 1, "e2"), None),
            (Since { tag: 1, ..Since::default() }, message(100, 3, ""), None),
        ] {
            assert_eq!(since.begins(&message), expected, "{since:?} {message:?}");
        }
    }
}
