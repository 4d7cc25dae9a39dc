//! What `cargo xtask fuzz` does with an entry.

use super::{Group, entry::Told};
use crate::config;

/// Whatever the entry holds, a message is made of it, or the reason is told why it cannot be one.
pub(in crate::source) fn fuzz(id: String, fields: Vec<Vec<u8>>, deliveries: u32) {
    let stream = config::Stream {
        name: "s".to_owned(),
        group: "g".to_owned(),
        start: config::Start::Oldest,
        payload: "payload".to_owned(),
        done: config::Done::Keep,
        claim: None,
    };
    let has_payload = fields.chunks_exact(2).any(|pair| pair.first().is_some_and(|name| name == b"payload"));
    let item = Told { id: id.clone(), fields, deliveries }.item(&Group::new(&stream, 8));
    assert!(item.flaw.is_some() || has_payload);
    assert!(item.past.is_some_and(|past| past.id == id && past.attempts < deliveries.max(1)));
}
