//! One connection that speaks HTTP/1.1: a request is written to it and the reply read from it, by the task that wants it.

use super::{
    room::{Admitted, Usage},
    stream::Stream,
    wire::{Fault, Reading},
};
use bytes::{Buf, Bytes, buf::Chain};
use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So much is read at once, in bytes, into a place on the stack: no buffer waits for what has not come.
const PIECE: usize = 8 * 1024;

/// What is to be written: a head and a body.
pub(super) type Unsent = Chain<Bytes, Bytes>;

/// See the module. Dropped, it hangs up.
pub(super) struct Connection<S = Admitted<Stream>> {
    stream: S,
}

/// Why an exchange has come to nothing.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection broke.
    Lost(io::Error),
    /// What came over it is no reply.
    Reply(Fault),
}

impl Connection {
    pub(super) fn usage(&self) -> Arc<Usage> {
        self.stream.usage()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream }
    }

    /// Whether it is still there, and the server has said nothing that nobody asked for. `cx` is woken when that changes.
    pub(super) fn is_alive(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    /// Writes the start of a request. After an error the server has seen nothing of it.
    pub(super) fn poll_begin(&mut self, cx: &mut Context<'_>, unsent: &mut Unsent) -> Poll<io::Result<()>> {
        let length = ready!(self.poll_write(cx, unsent))?;
        unsent.advance(length);
        Poll::Ready(Ok(()))
    }

    /// Writes what is left of a request, and reads of its reply until that is as far as `enough` says. The server need not wait for all of
    /// the request, so neither do we: one that refuses a long body says so while it is being written.
    pub(super) fn poll_reply(
        &mut self,
        cx: &mut Context<'_>,
        unsent: &mut Unsent,
        reading: &mut Reading,
        enough: fn(&Reading) -> bool,
    ) -> Poll<Result<(), Broken>> {
        let sent = self.poll_send(cx, unsent);
        while !enough(reading) {
            match self.poll_read(cx, reading) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(worse(sent, broken))),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, unsent: &mut Unsent) -> Poll<io::Result<()>> {
        while unsent.has_remaining() {
            match ready!(self.poll_write(cx, unsent)) {
                Ok(length) => unsent.advance(length),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // Its memory is free while the reply is waited for.
        *unsent = Bytes::new().chain(Bytes::new());
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, unsent: &Unsent) -> Poll<io::Result<usize>> {
        let pieces = [IoSlice::new(unsent.first_ref()), IoSlice::new(unsent.last_ref())];
        match ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &pieces)) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(written),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, reading: &mut Reading) -> Poll<Result<(), Broken>> {
        let mut space = [MaybeUninit::uninit(); PIECE];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).map_err(Broken::Lost)?;
        let read = buffer.filled();
        Poll::Ready(if read.is_empty() { reading.end() } else { reading.read(read) }.map_err(Broken::Reply))
    }
}

/// A server that takes no more of a request usually hangs up: then why it did is told by the writing.
fn worse(sent: Poll<io::Result<()>>, broken: Broken) -> Broken {
    match (sent, broken) {
        (Poll::Ready(Err(error)), Broken::Reply(Fault::CutShort)) => Broken::Lost(error),
        (_, broken) => broken,
    }
}
