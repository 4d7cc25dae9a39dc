//! One way of one connection: bytes read as they come, written when and as the faults have it.

use super::{
    Shared,
    faults::{Ending, Faults, Way},
};
use std::sync::atomic::Ordering;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, watch},
    task::yield_now,
    time::{Instant, sleep, sleep_until},
};

const BLOCK: usize = 16 * 1024;
/// How many blocks may be under way; what a server sends beyond that waits in its socket.
const LENGTH: usize = 64;

/// Some bytes and when they came.
type Block = (Instant, Vec<u8>);

/// The writing end.
struct Line<'a, W> {
    way: Way,
    to: W,
    shared: &'a Shared,
    faults: watch::Receiver<Faults>,
    /// How many bytes have passed since `origin` changed.
    passed: u64,
    origin: u64,
}

/// Carries bytes until their end, and hands on that end; an error says how the connection is to end instead.
pub(super) async fn carry(
    way: Way,
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    shared: &Shared,
) -> Result<(), Ending> {
    let (sender, receiver) = mpsc::channel(LENGTH);
    let faults = shared.faults.subscribe();
    let line = Line { way, to, shared, faults, passed: 0, origin: 0 };
    tokio::try_join!(take_in(from, sender), line.give_out(receiver))?;
    Ok(())
}

/// Reads to the end. An end with an error is an end like others: in a black hole nobody learns of it.
async fn take_in(mut from: impl AsyncRead + Unpin, line: mpsc::Sender<Block>) -> Result<(), Ending> {
    let mut buffer = vec![0; BLOCK];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if line.send((Instant::now(), buffer[..count].to_vec())).await.is_err() {
            break;
        }
    }
    Ok(())
}

impl<W: AsyncWrite + Unpin> Line<'_, W> {
    async fn give_out(mut self, mut line: mpsc::Receiver<Block>) -> Result<(), Ending> {
        while let Some((came, bytes)) = line.recv().await {
            self.hold_back(came).await;
            self.write(bytes).await?;
        }
        self.let_through().await;
        self.to.shutdown().await.map_err(|_| Ending::Reset)
    }

    /// Waits until what `came` then is due, by the delay in force.
    async fn hold_back(&mut self, came: Instant) {
        loop {
            let due = came + self.faults.borrow_and_update().delay(self.way);
            if due <= Instant::now() {
                return;
            }
            tokio::select! {
                () = sleep_until(due) => {}
                _ = self.faults.changed() => {}
            }
        }
    }

    /// Waits for the end of a black hole.
    async fn let_through(&mut self) {
        // The sender lives in `shared`, so this ends only with the black hole.
        self.faults.wait_for(Faults::passes).await.ok();
    }

    async fn write(&mut self, mut bytes: Vec<u8>) -> Result<(), Ending> {
        while !bytes.is_empty() {
            self.let_through().await;
            let faults = self.current();
            let size = faults.piece(self.way, self.passed, bytes.len());
            let mut piece: Vec<u8> = bytes.drain(..size).collect();
            self.flip_in(&mut piece);
            self.to.write_all(&piece).await.map_err(|_| Ending::Reset)?;
            self.count(size);
            self.cut_here()?;
            match faults.pace(size) {
                Some(pace) => sleep(pace).await,
                None => yield_now().await,
            }
        }
        Ok(())
    }

    /// The faults in force, with the count begun anew where they want that.
    fn current(&mut self) -> Faults {
        let faults = self.faults.borrow().clone();
        if faults.origin() != self.origin {
            (self.origin, self.passed) = (faults.origin(), 0);
        }
        faults
    }

    fn flip_in(&self, piece: &mut [u8]) {
        if self.way == Way::ToServer {
            return;
        }
        let mut flipped = None;
        self.shared.faults.send_if_modified(|faults| {
            flipped = faults.claim_flip(self.origin, self.passed..self.passed + piece.len() as u64);
            flipped.is_some()
        });
        if let Some(at) = flipped {
            let here = usize::try_from(at - self.passed).expect("it lies in the piece");
            piece[here] = !piece[here];
        }
    }

    fn count(&mut self, size: usize) {
        let total = match self.way {
            Way::ToServer => &self.shared.to_server,
            Way::ToClient => &self.shared.to_client,
        };
        total.fetch_add(size as u64, Ordering::Relaxed);
        self.passed += size as u64;
    }

    fn cut_here(&self) -> Result<(), Ending> {
        if self.way == Way::ToServer {
            return Ok(());
        }
        let mut cut = None;
        self.shared.faults.send_if_modified(|faults| {
            cut = faults.claim_cut(self.origin, self.passed);
            cut.is_some()
        });
        cut.map_or(Ok(()), Err)
    }
}
