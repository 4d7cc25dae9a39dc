//! For tests: a message, and what has become of it.

use super::bench::{End, Tried};
use crate::{message::Message, plugin::Said};
use bytes::Bytes;
use std::time::Duration;

pub(super) fn message(payload: &[u8]) -> Message {
    Message {
        id: "try-1".into(),
        source: "try".into(),
        topic: "try".into(),
        attempt: 1,
        received_ms: 0,
        headers: Vec::new(),
        payload: Bytes::copy_from_slice(payload),
    }
}

/// In a microsecond, without memory that is known.
pub(super) fn tried(payload: &[u8], end: End) -> Tried {
    Tried {
        message: message(payload),
        end,
        rounds: Vec::new(),
        batch: None,
        broke: None,
        said: Said::default(),
        start: None,
        took: Duration::from_micros(1),
        memory: None,
    }
}
