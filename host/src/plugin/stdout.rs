//! An output stream of a guest that takes everything at once and never blocks.

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

/// Bytes a guest may hand over at once.
const WRITE_PERMIT: usize = 64 * 1024;

/// Where what a guest writes goes; every clone leads to the same place.
pub(super) trait Takes: Clone + Send + Sync + 'static {
    /// Takes what was written, or ends the guest.
    fn accept(&self, bytes: &[u8]) -> StreamResult<()>;
}

/// The stream that leads there.
#[derive(Clone)]
pub(super) struct Stdout<T>(pub(super) T);

impl<T> IsTerminal for Stdout<T> {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl<T: Takes> StdoutStream for Stdout<T> {
    /// Only WASI 0.3 asks for it, which no guest gets.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl<T: Takes> OutputStream for Stdout<T> {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.accept(&bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_PERMIT)
    }
}

#[wasmtime_wasi::async_trait]
impl<T: Takes> Pollable for Stdout<T> {
    async fn ready(&mut self) {}
}
