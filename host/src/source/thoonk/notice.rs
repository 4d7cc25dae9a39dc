//! What a feed that is neither queue nor job publishes: at most once, as Redis keeps nothing of it for those who listen.

use crate::{
    config::{ChannelKind, Channels},
    message::Message,
    source::{
        Opening,
        channel::{Channel, Meaning},
    },
};
use bytes::Bytes;
use std::sync::Arc;

/// Which header tells the id of an item, and which what happened to it.
const ID: &str = "thoonk-id";
const EVENT: &str = "thoonk-event";
/// What can happen, each on a channel `feed.EVENT:NAME`.
const EVENTS: [&str; 3] = ["publish", "edit", "retract"];

/// Something happened to an item.
#[derive(Debug, PartialEq)]
pub(super) struct Notice {
    pub(super) headers: Vec<(String, String)>,
    /// The item; empty when it was retracted.
    pub(super) payload: Bytes,
}

/// Starts to listen to the feed.
pub(super) fn listen(opening: &Opening, feed: &str) -> Channel {
    let channels = Channels { kind: ChannelKind::Exact, names: channels(feed).to_vec() };
    let feed: Arc<str> = feed.into();
    let meaning: Meaning = Arc::new(move |message| understand(&feed, message));
    Channel::understood(opening, &channels, Some(meaning))
}

/// What makes no sense stays as it was heard.
fn understand(feed: &Arc<str>, message: Message) -> Message {
    match decode(feed, &message.topic, &message.payload) {
        Some(Notice { headers, payload }) => {
            Message { source: Arc::clone(feed), topic: Arc::clone(feed), headers, payload, ..message }
        }
        None => message,
    }
}

/// The channels on which a feed tells what happens.
pub(super) fn channels(feed: &str) -> [String; 3] {
    EVENTS.map(|event| format!("feed.{event}:{feed}"))
}

/// What was said on a channel of `channels(feed)`; none on any other, or where the id is not text.
pub(super) fn decode(feed: &str, channel: &str, said: &Bytes) -> Option<Notice> {
    let (event, of) = channel.strip_prefix("feed.")?.split_once(':')?;
    let event = EVENTS.into_iter().find(|known| *known == event).filter(|_| of == feed)?;
    // Items may hold NUL, ids never do.
    let end = said.iter().position(|byte| *byte == 0).unwrap_or(said.len());
    let id = String::from_utf8(said.slice(..end).to_vec()).ok()?;
    let payload = said.slice((end + 1).min(said.len())..);
    Some(Notice { headers: vec![(ID.to_owned(), id), (EVENT.to_owned(), event.to_owned())], payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(channel: &str, said: &'static [u8]) -> Option<(String, String, Bytes)> {
        let notice = decode("a:b", channel, &Bytes::from_static(said))?;
        let value = |name: &str| notice.headers.iter().find(|(known, _)| known == name).unwrap().1.clone();
        Some((value(ID), value(EVENT), notice.payload))
    }

    #[test]
    fn an_item_begins_behind_the_first_nul() {
        let known =
            |id: &str, event: &str, item: &'static [u8]| Some((id.into(), event.into(), Bytes::from_static(item)));
        assert_eq!(heard("feed.publish:a:b", b"1f\0x\0y\xff"), known("1f", "publish", b"x\0y\xff"));
        assert_eq!(heard("feed.edit:a:b", b"1f\0"), known("1f", "edit", b""));
        assert_eq!(heard("feed.retract:a:b", b"1f"), known("1f", "retract", b""));
    }

    #[test]
    fn what_is_said_elsewhere_is_not_of_the_feed() {
        assert_eq!(heard("feed.publish:a", b"1f\0x"), None);
        assert_eq!(heard("feed.position:a:b", b"1f\0x"), None);
        assert_eq!(heard("feed.publish:a:b", b"\xff\0x"), None);
        let [publish, edit, retract] = channels("a:b");
        assert_eq!([&*publish, &*edit, &*retract], ["feed.publish:a:b", "feed.edit:a:b", "feed.retract:a:b"]);
    }
}
