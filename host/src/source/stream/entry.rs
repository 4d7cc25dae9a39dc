//! An entry of a stream, and the message it is.

use super::Group;
use crate::source::{dialect::Item, lane::envelope::Envelope};
use std::fmt;

/// The id of an entry; the greater was added later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    /// Since 1970, by the clock of the server or of the producer.
    pub(super) ms: u64,
    seq: u64,
}

impl Id {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (ms, seq) = text.split_once('-')?;
        Some(Self { ms: ms.parse().ok()?, seq: seq.parse().ok()? })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// An entry as Redis gives it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) id: String,
    /// Names and values in turn.
    pub(super) fields: Vec<Vec<u8>>,
    /// How often it has been handed to a consumer, this time included.
    pub(super) deliveries: u32,
}

impl Told {
    /// What a lane makes a message of.
    pub(super) fn item(self, group: &Group) -> Item {
        let received_ms = Id::parse(&self.id).map_or(0, |id| id.ms);
        let attempts = self.deliveries.saturating_sub(1);
        let mut fields = pairs(self.fields);
        let payload = fields.iter().position(|(name, _)| name == group.payload()).map(|at| fields.remove(at).1);
        let mut flaw = None;
        if self.deliveries > group.attempts() {
            flaw = Some(format!("delivered {} times to consumers that never settled it", self.deliveries));
        }
        let (payload, headers) = match payload {
            Some(payload) => (payload, fields.into_iter().map(|(name, value)| (text(name), text(value))).collect()),
            None => {
                let name = String::from_utf8_lossy(group.payload());
                flaw = Some(format!("the entry has no field `{name}`"));
                (as_json(fields), Vec::new())
            }
        };
        let past = Envelope { id: self.id, attempts, received_ms, headers, ..Envelope::default() };
        Item { flaw, past: Some(Box::new(past)), ..Item::from(payload) }
    }
}

fn pairs(fields: Vec<Vec<u8>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::with_capacity(fields.len() / 2);
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        pairs.push((name, value));
    }
    pairs
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// All fields, in order: `[["name","value"],…]`. What is not UTF-8 becomes an array of numbers, so that nothing is lost.
fn as_json(fields: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let value = |bytes: Vec<u8>| match String::from_utf8(bytes) {
        Ok(text) => serde_json::Value::from(text),
        Err(error) => serde_json::Value::from(error.into_bytes()),
    };
    let pairs: Vec<_> = fields.into_iter().map(|(name, content)| [value(name), value(content)]).collect();
    serde_json::to_vec(&pairs).expect("strings and numbers always serialise")
}

/// The entries in what `XREADGROUP` answers for one stream; nothing where it waited in vain.
pub(super) fn read(reply: redis::Value) -> Result<Vec<Told>, redis::ParsingError> {
    type Entries = Vec<(String, Vec<Vec<u8>>)>;
    let streams: Option<Vec<(String, Entries)>> = redis::from_redis_value(reply)?;
    let entries = streams.into_iter().flatten().flat_map(|(_, entries)| entries);
    Ok(entries.map(|(id, fields)| Told { id, fields, deliveries: 1 }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn group() -> Group {
        let stream = config::Stream {
            name: "s".into(),
            group: "g".into(),
            start: config::Start::Oldest,
            payload: "data".into(),
            done: config::Done::Keep,
            claim: None,
        };
        Group::new(&stream, 3)
    }

    fn item(deliveries: u32, fields: &[&[u8]]) -> Item {
        let fields = fields.iter().map(|field| field.to_vec()).collect();
        Told { id: "1700000000000-7".into(), fields, deliveries }.item(&group())
    }

    #[test]
    fn ids_are_ordered_as_redis_does() {
        let ids: Vec<Id> =
            ["9-1", "9-2", "9-10", "10-0", "18446744073709551615-0"].map(|id| Id::parse(id).unwrap()).into();
        assert!(ids.is_sorted());
        assert_eq!(ids[2].to_string(), "9-10");
        assert_eq!((Id::parse("9"), Id::parse("9-x"), Id::parse("")), (None, None, None));
    }

    #[test]
    fn entries_are_read_whichever_protocol_redis_speaks() {
        use redis::Value::{Array, BulkString, Map, Nil};
        let bulk = |text: &str| BulkString(text.into());
        let entry = || Array(vec![bulk("1-1"), Array(vec![bulk("data"), bulk("x")])]);
        let entries = || Array(vec![entry(), entry()]);
        for reply in [Array(vec![Array(vec![bulk("s"), entries()])]), Map(vec![(bulk("s"), entries())])] {
            let told = read(reply).unwrap();
            assert_eq!((told.len(), &*told[1].id, told[1].fields.len()), (2, "1-1", 2));
        }
        assert_eq!(read(Nil).unwrap().len(), 0);
        assert!(read(bulk("nonsense")).is_err());
    }

    #[test]
    fn the_other_fields_are_headers_in_their_order() {
        let item = item(1, &[b"b", b"1", b"data", b"\0pay\xff", b"a", b"\xff", b"data", b"2"]);
        assert_eq!((&item.raw[..], &item.flaw), (&b"\0pay\xff"[..], &None));
        let past = item.past.unwrap();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(past.headers, [header("b", "1"), header("a", "\u{fffd}"), header("data", "2")]);
        assert_eq!((&*past.id, past.received_ms, past.attempts), ("1700000000000-7", 1_700_000_000_000, 0));
    }

    #[test]
    fn an_entry_without_the_field_keeps_all_it_has() {
        let item = item(1, &[b"a", b"1", b"a", b"\xff\x01"]);
        assert_eq!(item.flaw.as_deref(), Some("the entry has no field `data`"));
        assert_eq!(&item.raw[..], br#"[["a","1"],["a",[255,1]]]"#);
    }

    #[test]
    fn deliveries_count_as_attempts_until_there_were_too_many() {
        let third = item(3, &[b"data", b"x"]);
        assert_eq!((third.past.unwrap().attempts, third.flaw), (2, None));
        let fourth = item(4, &[b"data", b"x"]);
        assert_eq!(fourth.flaw.as_deref(), Some("delivered 4 times to consumers that never settled it"));
    }
}
