//! A line on its way, and how it is said to have arrived.

use crate::request::{Durability, Failure, Rotation};
use bytes::Bytes;
use tokio::sync::oneshot;

/// What is to be written, and to whom it is told.
pub(super) struct Line {
    text: Bytes,
    pub(super) rotation: Rotation,
    pub(super) durability: Durability,
    answer: oneshot::Sender<Result<(), Failure>>,
}

impl Line {
    /// `text` has no line feed in it.
    pub(super) fn new(
        text: Bytes,
        rotation: Rotation,
        durability: Durability,
        answer: oneshot::Sender<Result<(), Failure>>,
    ) -> Self {
        Self { text, rotation, durability, answer }
    }

    /// In bytes, with the line feed.
    pub(super) fn length(&self) -> usize {
        self.text.len() + 1
    }

    pub(super) fn write_to(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.text);
        buffer.push(b'\n');
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }

    pub(super) fn answer(self, result: Result<(), Failure>) {
        // Whoever does not wait any more does not want to know.
        drop(self.answer.send(result));
    }
}
