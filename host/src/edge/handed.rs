//! A connection in the hands of hyper, for as long as its requests do not read channels.
//!
//! Between two requests the head of the next one is read here, before hyper sees anything of it. If that one reads channels, hyper is told
//! that the client is gone, and the connection is taken back.

use super::{
    head::{Dialects, Head},
    publish,
    shard::Shard,
};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    cell::Cell,
    convert::Infallible,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// What hyper wants at least for the head of a request.
const LEAST: usize = 8_192;

/// Serves requests, the first of which begins with `begun`. Returns the connection, and what has been read of it, when a request comes that reads channels.
pub(super) async fn serve(shard: &Rc<Shard>, stream: TcpStream, begun: Vec<u8>) -> Option<(TcpStream, Vec<u8>)> {
    let between = Rc::new(Cell::new(false));
    let (longest, patience, dialects) = {
        let settings = shard.settings();
        (settings.edge.limits.head_bytes.max(LEAST), settings.edge.timeouts.head, settings.dialects())
    };
    let between_requests = Rc::clone(&between);
    let io = TokioIo::new(Handed { stream, begun, between: between_requests, longest, dialects, taken: false });
    let service = service_fn(|request| {
        let between = Rc::clone(&between);
        Box::pin(async move {
            let answer = publish::answer(shard, request).await;
            between.set(true);
            Ok::<_, Infallible>(answer)
        })
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(longest);
    let parts = server.serve_connection(io, service).without_shutdown().await.ok()?;
    let handed = parts.io.into_inner();
    handed.taken.then_some((handed.stream, handed.begun))
}

struct Handed {
    stream: TcpStream,
    /// Read, and not yet given to hyper.
    begun: Vec<u8>,
    /// Whether what comes next is the head of a request.
    between: Rc<Cell<bool>>,
    longest: usize,
    dialects: Dialects,
    /// Whether the next request reads channels.
    taken: bool,
}

impl Handed {
    /// Ready when hyper may have what has begun, or is told that nothing comes.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.between.get() {
            match Head::parse(&self.begun) {
                Ok(None) if self.begun.len() < self.longest => {}
                Ok(Some(head)) if !matches!(head.subscription(self.dialects), Ok(None)) => {
                    self.taken = true;
                    return Poll::Ready(Ok(()));
                }
                _ => self.between.set(false),
            }
            if self.between.get() {
                let mut bytes = [0; 1_024];
                let mut read = ReadBuf::new(&mut bytes);
                ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
                if read.filled().is_empty() {
                    self.begun.clear();
                    return Poll::Ready(Ok(()));
                }
                self.begun.extend(read.filled());
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Handed {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.taken {
            return Poll::Ready(Ok(()));
        }
        if this.between.get() {
            ready!(this.poll_head(cx))?;
            if this.taken || this.between.get() {
                return Poll::Ready(Ok(()));
            }
        }
        if this.begun.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, into);
        }
        let length = this.begun.len().min(into.remaining());
        into.put_slice(this.begun.get(..length).unwrap_or_default());
        this.begun.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Handed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
