//! What waits for one client that takes nothing at the moment.

use bytes::{Buf, Bytes};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};
use tokio::net::TcpStream;

/// Pieces that are written at once.
const AT_ONCE: usize = 16;

/// See the module; bounded by whoever adds to it.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// Whether the first piece is written in part, so that it has to be finished.
    begun: bool,
    /// The second in which the client last took something.
    pub(super) progress: u32,
}

impl Backlog {
    /// One with what is left of `piece`, of which so much is written.
    pub(super) fn of(mut piece: Bytes, written: usize, now: u32) -> Self {
        piece.advance(written.min(piece.len()));
        Self { bytes: piece.len(), pieces: VecDeque::from([piece]), begun: written > 0, progress: now }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push_back(piece);
    }

    /// Leaves out the oldest until so many bytes and `notice`, which says so, are no more than `most` together with what stays.
    pub(super) fn make_room(&mut self, bytes: usize, most: usize, notice: impl FnOnce() -> Bytes) {
        let first = if self.begun { self.pieces.pop_front() } else { None };
        let held = first.as_ref().map_or(0, Bytes::len);
        let mut left_out = false;
        while self.bytes + bytes > most.max(held)
            && let Some(piece) = self.pieces.pop_front()
        {
            self.bytes -= piece.len();
            left_out = true;
        }
        if left_out {
            let notice = notice();
            self.bytes += notice.len();
            self.pieces.push_front(notice);
        }
        if let Some(first) = first {
            self.pieces.push_front(first);
        }
    }

    /// Keeps only what has been begun.
    pub(super) fn cut(&mut self) {
        self.pieces.truncate(usize::from(self.begun));
        self.bytes = self.pieces.iter().map(Bytes::len).sum();
    }

    /// Writes as much as goes. True when nothing is left.
    pub(super) fn flush(&mut self, socket: &TcpStream, now: u32) -> io::Result<bool> {
        while !self.pieces.is_empty() {
            let slices: Vec<IoSlice<'_>> = self.pieces.iter().take(AT_ONCE).map(|piece| IoSlice::new(piece)).collect();
            match socket.try_write_vectored(&slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.progress = now;
                    self.written(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn written(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(first) = self.pieces.front_mut() {
            if written < first.len() {
                first.advance(written);
                self.begun |= written > 0;
                return;
            }
            written -= first.len();
            self.begun = false;
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(backlog: &Backlog) -> Vec<&[u8]> {
        let bytes: usize = backlog.pieces.iter().map(Bytes::len).sum();
        assert_eq!(bytes, backlog.bytes());
        backlog.pieces.iter().map(|piece| &**piece).collect()
    }

    fn notice() -> Bytes {
        Bytes::from_static(b"!")
    }

    fn of(begun: usize, pieces: &[&'static str]) -> Backlog {
        let mut pieces = pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes()));
        let mut backlog = Backlog::of(pieces.next().expect("one"), begun, 0);
        pieces.for_each(|piece| backlog.push(piece));
        backlog
    }

    #[test]
    fn the_oldest_is_left_out_and_that_is_said_where_it_was() {
        let mut backlog = of(0, &["aaaa", "bbbb", "cccc"]);
        backlog.make_room(4, 10, notice);
        assert_eq!(shown(&backlog), [&b"!"[..], b"cccc"]);
    }

    #[test]
    fn what_has_been_begun_is_finished_first() {
        let mut backlog = of(1, &["aaaa", "bbbb", "cccc"]);
        backlog.make_room(4, 12, notice);
        assert_eq!(shown(&backlog), [&b"aaa"[..], b"!", b"cccc"]);
        backlog.cut();
        assert_eq!(shown(&backlog), [b"aaa"]);
    }

    #[test]
    fn where_there_is_room_nothing_is_left_out() {
        let mut backlog = of(0, &["aaaa", "bbbb"]);
        backlog.make_room(4, 12, notice);
        assert_eq!(shown(&backlog), [b"aaaa", b"bbbb"]);
    }

    #[test]
    fn writing_ends_anywhere() {
        let mut backlog = of(2, &["aaaa", "bbbb", "cccc"]);
        backlog.written(3);
        assert_eq!((shown(&backlog), backlog.begun), (vec![&b"bbb"[..], b"cccc"], true));
        backlog.written(3);
        assert_eq!((shown(&backlog), backlog.begun), (vec![&b"cccc"[..]], false));
        backlog.cut();
        assert!(shown(&backlog).is_empty());
    }
}
