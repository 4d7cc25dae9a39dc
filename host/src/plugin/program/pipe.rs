//! The ends of a program's stdin and stdout that the host holds.

use super::super::stdout::{Stdout, Takes};
use bytes::{Bytes, BytesMut};
use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};
use tokio::io::AsyncRead;
use wasmtime_wasi::{
    cli::{IsTerminal, StdinStream},
    p2::{InputStream, Pollable, StreamError, StreamResult},
};

/// What a program reads.
#[derive(Clone)]
pub(super) struct Input(Arc<Mutex<Feed>>);

struct Feed {
    bytes: Bytes,
    /// Whether more may come when there is nothing left.
    open: bool,
    /// Whether the program has asked for more than there is.
    waited_for: bool,
}

impl Input {
    /// One that holds `bytes` and then ends.
    pub(super) fn of(bytes: Bytes) -> Self {
        Self::with(bytes, false)
    }

    /// One that is fed.
    pub(super) fn open() -> Self {
        Self::with(Bytes::new(), true)
    }

    fn with(bytes: Bytes, open: bool) -> Self {
        Self(Arc::new(Mutex::new(Feed { bytes, open, waited_for: false })))
    }

    /// Adds `bytes`. Whoever polls the program next lets it read them: no waker is kept.
    pub(super) fn feed(&self, bytes: Bytes) {
        let feed = &mut *lock(&self.0);
        feed.waited_for = false;
        feed.bytes = match feed.bytes.is_empty() {
            true => bytes,
            false => [&feed.bytes[..], &bytes[..]].concat().into(),
        };
    }

    /// Whether the program waits for more.
    pub(super) fn is_waited_for(&self) -> bool {
        lock(&self.0).waited_for
    }
}

impl Feed {
    /// Whether a read would be answered.
    fn ready(&mut self) -> bool {
        self.waited_for = self.open && self.bytes.is_empty();
        !self.waited_for
    }
}

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Input {
    /// Only WASI 0.3 asks for it, which no program gets.
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let feed = &mut *lock(&self.0);
        if !feed.ready() {
            return Ok(Bytes::new());
        }
        if feed.bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        let size = size.min(feed.bytes.len());
        Ok(feed.bytes.split_to(size))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        poll_fn(|_| if lock(&self.0).ready() { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// What a program writes.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<Said>>);

struct Said {
    bytes: BytesMut,
    most: usize,
    overflowed: bool,
}

impl Output {
    /// One that holds at most so many bytes; a program that writes more is stopped.
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Said { bytes: BytesMut::new(), most, overflowed: false })))
    }

    /// The stream that leads there.
    pub(super) fn stream(&self) -> Stdout<Self> {
        Stdout(self.clone())
    }

    /// Whether the program was stopped because it wrote too much.
    pub(super) fn overflowed(&self) -> bool {
        lock(&self.0).overflowed
    }

    /// All that was written.
    pub(super) fn take(&self) -> Bytes {
        std::mem::take(&mut lock(&self.0).bytes).freeze()
    }

    /// The first line, without its end, if it is whole.
    pub(super) fn take_line(&self) -> Option<Bytes> {
        let said = &mut *lock(&self.0);
        let end = said.bytes.iter().position(|byte| *byte == b'\n')?;
        let mut line = said.bytes.split_to(end + 1);
        line.truncate(end);
        Some(line.freeze())
    }
}

impl Takes for Output {
    fn accept(&self, bytes: &[u8]) -> StreamResult<()> {
        let said = &mut *lock(&self.0);
        if bytes.len() > said.most - said.bytes.len() {
            said.overflowed = true;
            return Err(StreamError::trap("it wrote too much"));
        }
        said.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// A poisoned lock here guards nothing but bytes.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fed_is_read_in_pieces_and_more_is_waited_for() {
        let mut input = Input::open();
        assert_eq!(input.read(9).unwrap(), Bytes::new());
        assert!(input.is_waited_for());
        input.feed(Bytes::from_static(b"abc"));
        assert!(!input.is_waited_for());
        assert_eq!(input.read(2).unwrap(), &b"ab"[..]);
        input.feed(Bytes::from_static(b"de"));
        assert_eq!(input.read(9).unwrap(), &b"cde"[..]);
        assert!(!input.is_waited_for());
        assert!(matches!(Input::of(Bytes::new()).read(1), Err(StreamError::Closed)));
    }

    #[test]
    fn lines_are_taken_one_by_one_and_no_more_than_fits() {
        let output = Output::new(8);
        output.accept(b"ab\n\ncd").unwrap();
        assert_eq!(output.take_line().unwrap(), &b"ab"[..]);
        assert_eq!(output.take_line().unwrap(), &b""[..]);
        assert_eq!(output.take_line(), None);
        assert!(output.accept(b"1234567").is_err());
        assert!(output.overflowed());
        assert_eq!(output.take(), &b"cd"[..]);
    }
}
