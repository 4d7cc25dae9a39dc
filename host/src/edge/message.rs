//! What subscribers get: one message, its place in the order of all, and how each transport writes it.

use super::push_stream::{self, Kind, Template};
use bytes::Bytes;
use std::{io::Write, sync::Arc, time::Instant};

/// One message of a channel.
#[derive(Debug)]
pub(super) struct Message {
    /// Its place among all that this node has published, whatever the channel; counts from 1.
    pub(super) sequence: u64,
    pub(super) channel: Arc<str>,
    pub(super) event: Option<Box<str>>,
    /// Text in UTF-8.
    pub(super) data: Bytes,
    /// When it was published.
    pub(super) at: Instant,
    pub(super) stamp: Stamp,
    /// What few messages have.
    pub(super) more: Option<Box<More>>,
}

/// When it was published, and its places as the dialect of push stream counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Since 1970.
    pub(super) second: u64,
    /// Among all of that second, from 1.
    pub(super) tag: u32,
    /// Among those of its channel, from 1.
    pub(super) number: u64,
}

/// What a publisher may say of a message, and few do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct More {
    /// The publisher's own id of it.
    pub(super) key: Option<Box<str>>,
}

/// What is needed to write in every form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice<'a> {
    pub(super) epoch: &'a str,
    /// Of the dialect of push stream.
    pub(super) template: &'a Template,
}

impl Message {
    /// The publisher's own id of it.
    pub(super) fn key(&self) -> Option<&str> {
        self.more.as_ref()?.key.as_deref()
    }

    /// What it takes in memory, about.
    pub(super) fn weight(&self) -> usize {
        let more =
            self.more.as_ref().map_or(0, |more| size_of::<More>() + more.key.as_ref().map_or(0, |key| key.len()));
        let event = self.event.as_ref().map_or(0, |event| event.len());
        size_of::<Self>() + self.channel.len() + event + more + self.data.len()
    }
}

/// How a subscriber wants its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Server-Sent Events whose data are the payload.
    Events,
    /// Server-Sent Events whose data are an object that names the channel, for those who read several.
    NamedEvents,
    /// An object a line.
    Lines,
    /// An object in each text frame.
    Frames,
    /// Objects in one answer, after which the client asks again.
    Answer,
    /// As the dialect of push stream has it.
    PushStream(Kind),
}

/// Something the node itself has to say to a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// From here on there is everything; says whether that which was missed came, where the client asked for it.
    Subscribed { recovered: Option<bool> },
    /// Some messages were left out here, as the client is too slow.
    Gap,
    /// The connection ends; the client should come back after so many milliseconds.
    Bye { why: Bye, retry_ms: u64 },
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bye {
    /// The client is too slow; history has what it has not got.
    Lagged,
    /// The node ends.
    Draining,
    /// The token has expired.
    Expired,
    /// The client has not answered signs of life.
    Silent,
    /// The client has broken the protocol.
    Protocol(u16),
}

impl Bye {
    /// One word for clients and metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Lagged => "lagged",
            Self::Draining => "draining",
            Self::Expired => "expired",
            Self::Silent => "silent",
            Self::Protocol(_) => "protocol",
        }
    }

    /// The close code of a WebSocket (RFC 6455, section 7.4); from 4000 on they are ours, and a client that gets one below 4100 may come back.
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Lagged => 4008,
            Self::Draining => 1012,
            Self::Expired => 4001,
            Self::Silent => 4002,
            Self::Protocol(code) => code,
        }
    }
}

/// Where a client has read to: this node's `epoch`, and a sequence.
pub(super) fn id(epoch: &str, sequence: u64) -> String {
    format!("{epoch}-{sequence}")
}

/// The sequence of an id, if it is one of this `epoch`.
pub(super) fn sequence(epoch: &str, id: &str) -> Option<u64> {
    let (theirs, sequence) = id.rsplit_once('-')?;
    (theirs == epoch).then(|| sequence.parse().ok()).flatten()
}

impl Form {
    /// Whether the client can send frames, and is asked for signs of life.
    pub(super) fn is_websocket(self) -> bool {
        matches!(self, Self::Frames | Self::PushStream(Kind::Frame))
    }

    /// Writes `message` as this transport sends it.
    pub(super) fn write(self, out: &mut Vec<u8>, voice: Voice<'_>, message: &Message) {
        let epoch = voice.epoch;
        match self {
            Self::Events => {
                event_head(out, Some((epoch, message.sequence)), message.event.as_deref());
                event_data(out, &message.data);
            }
            Self::NamedEvents => {
                event_head(out, Some((epoch, message.sequence)), message.event.as_deref());
                let mut object = Vec::new();
                write_object(&mut object, epoch, message);
                event_data(out, &object);
            }
            Self::Lines => {
                write_object(out, epoch, message);
                out.push(b'\n');
            }
            Self::Frames => frame(out, |out| write_object(out, epoch, message)),
            Self::Answer => {
                write_object(out, epoch, message);
                out.push(b',');
            }
            Self::PushStream(kind) => {
                push_stream::write(kind, out, voice.template, &id(epoch, message.sequence), message)
            }
        }
    }

    /// Writes what the node has to say; `sequence` is where the client stands, where that is to be told.
    pub(super) fn notice(self, out: &mut Vec<u8>, epoch: &str, sequence: Option<u64>, notice: Notice) {
        let line = |out: &mut Vec<u8>| {
            out.extend(b"{");
            if let Some(sequence) = sequence {
                put(out, format_args!("\"id\":\"{epoch}-{sequence}\","));
            }
            out.extend(b"\"gristmill\":");
            write_notice(out, notice);
            out.extend(b"}");
        };
        match self {
            Self::Events | Self::NamedEvents => {
                if let Notice::Bye { retry_ms, .. } = notice {
                    put(out, format_args!("retry: {retry_ms}\n"));
                }
                event_head(out, sequence.map(|sequence| (epoch, sequence)), Some("gristmill"));
                let mut object = Vec::new();
                write_notice(&mut object, notice);
                event_data(out, &object);
            }
            Self::Lines => {
                line(out);
                out.push(b'\n');
            }
            Self::PushStream(Kind::Frame) => {
                if let Notice::Bye { why, .. } = notice {
                    close_frame(out, why);
                }
            }
            // Its clients know no notices; they know a pause, and pass over comments.
            Self::PushStream(Kind::Event) => match notice {
                Notice::Bye { retry_ms, .. } => put(out, format_args!("retry: {retry_ms}\n\n")),
                Notice::Gap => out.extend(b": gap\n"),
                Notice::Subscribed { .. } => {}
            },
            Self::Frames => match notice {
                Notice::Bye { why: why @ Bye::Protocol(_), .. } => close_frame(out, why),
                Notice::Bye { why, .. } => {
                    frame(out, line);
                    close_frame(out, why);
                }
                Notice::Subscribed { .. } | Notice::Gap => frame(out, line),
            },
            Self::Answer | Self::PushStream(Kind::Text | Kind::Item) => {}
        }
    }

    /// What keeps a silent connection alive.
    pub(super) fn ping(self, voice: Voice<'_>) -> Bytes {
        match self {
            Self::Events | Self::NamedEvents => Bytes::from_static(b":\n\n"),
            Self::Lines => Bytes::from_static(b"\n"),
            Self::Frames => Bytes::from_static(&[0x89, 0]),
            Self::Answer => Bytes::new(),
            Self::PushStream(kind) => push_stream::ping(kind, voice.template).into(),
        }
    }
}

/// Writing to memory takes everything.
fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory takes everything");
}

fn write_object(out: &mut Vec<u8>, epoch: &str, message: &Message) {
    put(out, format_args!("{{\"id\":\"{epoch}-{}\",\"channel\":", message.sequence));
    json(out, &message.channel);
    if let Some(event) = &message.event {
        out.extend(b",\"event\":");
        json(out, event);
    }
    out.extend(b",\"data\":");
    json(out, &String::from_utf8_lossy(&message.data));
    out.push(b'}');
}

fn json(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("memory takes everything, and a text is JSON");
}

fn write_notice(out: &mut Vec<u8>, notice: Notice) {
    match notice {
        Notice::Subscribed { recovered: None } => out.extend(b"{\"subscribed\":true}"),
        Notice::Subscribed { recovered: Some(all) } => {
            put(out, format_args!("{{\"subscribed\":true,\"recovered\":{all}}}"));
        }
        Notice::Gap => out.extend(b"{\"gap\":true}"),
        Notice::Bye { why, retry_ms } => {
            put(out, format_args!("{{\"bye\":\"{}\",\"retry_ms\":{retry_ms}}}", why.word()));
        }
    }
}

/// Source: HTML, section 9.2.5, "Parsing an event stream". An event's name has no line breaks; who publishes sees to that.
fn event_head(out: &mut Vec<u8>, id: Option<(&str, u64)>, event: Option<&str>) {
    if let Some((epoch, sequence)) = id {
        put(out, format_args!("id: {epoch}-{sequence}\n"));
    }
    if let Some(event) = event {
        put(out, format_args!("event: {event}\n"));
    }
}

/// A line for each line, as each of CR, LF and CRLF would end one.
fn event_data(out: &mut Vec<u8>, data: &[u8]) {
    let mut rest = data;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, behind) = rest.split_at(end.unwrap_or(rest.len()));
        out.extend(b"data: ");
        out.extend(line);
        out.push(b'\n');
        rest = match behind {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => break,
        };
    }
    out.push(b'\n');
}

/// A text frame that a server sends (RFC 6455, section 5.2), with what `write` puts into it.
fn frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut payload = Vec::with_capacity(256);
    write(&mut payload);
    super::websocket::server_frame(out, super::websocket::TEXT, &payload);
}

fn close_frame(out: &mut Vec<u8>, why: Bye) {
    let mut payload = why.code().to_be_bytes().to_vec();
    if !matches!(why, Bye::Protocol(_)) {
        payload.extend(why.word().as_bytes());
    }
    super::websocket::server_frame(out, super::websocket::CLOSE, &payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(event: Option<&str>, data: &'static str) -> Message {
        let data = Bytes::from_static(data.as_bytes());
        let (event, at, stamp) = (event.map(Into::into), Instant::now(), Stamp::default());
        Message { sequence: 7, channel: "news".into(), event, data, at, stamp, more: None }
    }

    fn written(form: Form, message: &Message) -> String {
        let mut out = Vec::new();
        let template = Template::default();
        form.write(&mut out, Voice { epoch: "e", template: &template }, message);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn an_event_has_a_line_for_each_line() {
        let shown = |data| written(Form::Events, &message(None, data));
        assert_eq!(shown("a"), "id: e-7\ndata: a\n\n");
        assert_eq!(shown(""), "id: e-7\ndata: \n\n");
        assert_eq!(shown("a\nb\r\nc\rd"), "id: e-7\ndata: a\ndata: b\ndata: c\ndata: d\n\n");
        assert_eq!(shown("a\n"), "id: e-7\ndata: a\ndata: \n\n");
        assert_eq!(shown("\r\n\n"), "id: e-7\ndata: \ndata: \ndata: \n\n");
        assert_eq!(written(Form::Events, &message(Some("hit"), "a")), "id: e-7\nevent: hit\ndata: a\n\n");
    }

    #[test]
    fn an_object_names_the_channel() {
        let object = "{\"id\":\"e-7\",\"channel\":\"news\",\"event\":\"hit\",\"data\":\"\\\"a\\nb\"}";
        let message = message(Some("hit"), "\"a\nb");
        assert_eq!(written(Form::Lines, &message), format!("{object}\n"));
        assert_eq!(written(Form::NamedEvents, &message), format!("id: e-7\nevent: hit\ndata: {object}\n\n"));
        assert!(written(Form::Frames, &message).ends_with(object));
    }

    #[test]
    fn what_the_node_says_is_told_from_messages() {
        let shown = |form: Form, sequence, notice| {
            let mut out = Vec::new();
            form.notice(&mut out, "e", sequence, notice);
            String::from_utf8_lossy(&out).into_owned()
        };
        let subscribed = Notice::Subscribed { recovered: Some(false) };
        assert_eq!(
            shown(Form::Events, Some(3), subscribed),
            "id: e-3\nevent: gristmill\ndata: {\"subscribed\":true,\"recovered\":false}\n\n"
        );
        let bye = Notice::Bye { why: Bye::Lagged, retry_ms: 9 };
        assert_eq!(shown(Form::Lines, None, bye), "{\"gristmill\":{\"bye\":\"lagged\",\"retry_ms\":9}}\n");
        assert!(shown(Form::Events, None, bye).starts_with("retry: 9\nevent: gristmill\n"));
        assert!(
            shown(Form::Frames, None, bye).ends_with("\u{fffd}\u{8}\u{f}\u{fffd}lagged"),
            "{:?}",
            shown(Form::Frames, None, bye)
        );
    }

    #[test]
    fn an_id_is_of_this_node_or_of_none() {
        assert_eq!(sequence("e", &id("e", 12)), Some(12));
        for other in ["", "e", "e-", "f-12", "e-x", "-1", "e--1"] {
            assert_eq!(sequence("e", other), None, "{other}");
        }
    }
}
