//! The dialect of nginx's push stream module, so that its clients and publishers can be served without it: `/pub?id=`, `/sub/…`, `/ev/…`,
//! `/lp/…`, `/ws/…` and `/channels-stats`.
//!
//! Source: the module's documentation, and what a server was seen to answer.

mod answer;
mod path;
pub(super) mod publish;
mod since;
mod stats;
mod template;

pub(super) use answer::Polled;
pub(super) use since::{Begins, Since};
pub(super) use template::Template;

use super::{
    access::Origin,
    head::{Bad, Head, Subscription, Transport, argument, decoded},
    hub::Start,
    message::{Form, Message},
    websocket,
};
use std::time::{Duration, UNIX_EPOCH};
use template::Said;

/// How channels are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Message behind message.
    Stream,
    /// What there is, at once.
    Poll,
    /// What there is, or what comes next.
    LongPoll,
    /// Server-Sent Events.
    Events,
    /// A WebSocket.
    WebSocket,
}

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As the template has it.
    Text,
    /// With a comma behind it, for a list of them.
    Item,
    /// As an event.
    Event,
    /// In a text frame.
    Frame,
}

impl Mode {
    /// One word, for metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stream => "push-stream stream",
            Self::Poll | Self::LongPoll => "push-stream poll",
            Self::Events => "push-stream sse",
            Self::WebSocket => "push-stream websocket",
        }
    }

    /// How messages are written to one that asked so.
    pub(super) fn form(self, polled: Option<&Polled>) -> Form {
        Form::PushStream(match self {
            Self::Events => Kind::Event,
            Self::WebSocket => Kind::Frame,
            Self::Poll | Self::LongPoll if polled.is_some_and(|polled| polled.callback.is_some()) => Kind::Item,
            Self::Stream | Self::Poll | Self::LongPoll => Kind::Text,
        })
    }
}

/// Whether the dialect has this path: for reading, the mode and the channels that it names.
fn place(path: &str) -> Option<(Option<Mode>, &str)> {
    let (first, names) = path.strip_prefix('/')?.split_once('/').unwrap_or((path.get(1..)?, ""));
    let mode = match first {
        "sub" => Some(Mode::Stream),
        "ev" => Some(Mode::Events),
        "lp" => Some(Mode::LongPoll),
        "ws" => Some(Mode::WebSocket),
        "pub" | "channels-stats" if names.is_empty() => None,
        _ => return None,
    };
    Some((mode, names))
}

/// Whether a request is one of this dialect.
pub(super) fn speaks(path: &str) -> bool {
    place(path).is_some()
}

/// The channels that a request wants to read; nothing where it wants something else.
pub(super) fn subscription(head: &Head) -> Result<Option<Subscription>, Bad> {
    let Some((Some(mode), names)) = place(&head.path) else { return Ok(None) };
    if head.method == "OPTIONS" {
        return Ok(None);
    }
    head.check_reads()?;
    let mode = match (mode, head.header("x-nginx-pushstream-mode")) {
        (Mode::WebSocket, _) => mode,
        (_, Some("polling")) => Mode::Poll,
        (_, Some("long-polling")) => Mode::LongPoll,
        _ => mode,
    };
    if mode == Mode::WebSocket {
        head.check_upgrade()?;
    }
    let names = if names.is_empty() { argument(&head.query, "channels") } else { decoded(names) };
    let named = path::channels(&names.unwrap_or_default()).map_err(|unnamed| {
        let (status, why) = unnamed.told();
        Bad { status, why }
    })?;
    let (channels, back): (Vec<_>, Vec<_>) = named.into_iter().map(|(name, back)| (name.into(), back)).unzip();
    let since = Since::of(head, back);
    let polled = matches!(mode, Mode::Poll | Mode::LongPoll).then(|| polled(head, mode, &since)).transpose()?;
    Ok(Some(Subscription { transport: Transport::PushStream(mode), channels, start: Start::PushStream(since), polled }))
}

fn polled(head: &Head, mode: Mode, since: &Since) -> Result<Polled, Bad> {
    let wrong = Bad { status: 400, why: "`callback` is no name of a function" };
    let callback = argument(&head.query, "callback").map(|name| answer::callback(&name).ok_or(wrong)).transpose()?;
    Ok(Polled { callback, at_once: mode == Mode::Poll, had: since.time.map(|time| (time, since.tag)) })
}

/// What one who reads for longer gets first.
pub(super) fn begin(kind: Kind, head: &Head, origin: &Origin) -> String {
    match kind {
        Kind::Event => answer::stream("text/event-stream; charset=utf-8", origin) + ": \n",
        Kind::Text | Kind::Item => answer::stream("text/plain; charset=utf-8", origin),
        Kind::Frame => websocket::switching(head.header("sec-websocket-key").unwrap_or_default()),
    }
}

/// What one who may not read gets over a WebSocket, which tells pages nothing of statuses.
pub(super) fn turned_down(head: &Head, status: u16, why: &str) -> Vec<u8> {
    let mut out = websocket::switching(head.header("sec-websocket-key").unwrap_or_default()).into_bytes();
    let why = serde_json::Value::from(why);
    let mut payload = 1008_u16.to_be_bytes().to_vec();
    payload.extend(format!("{{\"http_status\": {status}, \"explain\":{why}}}").bytes());
    payload.truncate(125);
    websocket::server_frame(&mut out, websocket::CLOSE, &payload);
    out
}

/// Writes `message`. Where the publisher has given it no id, an event has that by which the edge itself goes on, so that a browser loses nothing.
pub(super) fn write(kind: Kind, out: &mut Vec<u8>, template: &Template, own_id: &str, message: &Message) {
    let said = Said {
        id: i64::try_from(message.stamp.number).unwrap_or(i64::MAX),
        text: &message.data,
        channel: &message.channel,
        second: message.stamp.second,
        tag: message.stamp.tag,
        event_id: message.key().unwrap_or_default(),
        event_type: message.event.as_deref().unwrap_or_default(),
    };
    match kind {
        Kind::Text => template.write(out, &said),
        Kind::Item => {
            template.write(out, &said);
            out.push(b',');
        }
        Kind::Event => {
            out.extend(format!("id: {}\n", message.key().unwrap_or(own_id)).bytes());
            if let Some(event) = &message.event {
                out.extend(format!("event: {event}\n").bytes());
            }
            template.write_lines(out, &said);
            out.push(b'\n');
        }
        Kind::Frame => {
            let mut payload = Vec::with_capacity(256);
            template.write(&mut payload, &said);
            websocket::server_frame(out, websocket::TEXT, &payload);
        }
    }
}

/// A sign of life.
pub(super) fn ping(kind: Kind, template: &Template) -> Vec<u8> {
    match kind {
        Kind::Event => b": -1\n".to_vec(),
        Kind::Frame => vec![0x89, 0],
        Kind::Text | Kind::Item => {
            let said = Said { id: -1, text: b" ", channel: "", second: 0, tag: 0, event_id: "", event_type: "" };
            let mut out = Vec::new();
            template.write(&mut out, &said);
            out
        }
    }
}

/// As HTTP writes it.
fn date(second: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second))
}
