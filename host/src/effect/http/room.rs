//! How many exchanges and connections there may be at once, so that descriptors are left for Redis, files and plugins.

use super::cause::within;
use crate::event;
use rustix::{
    io::Errno,
    process::{Resource, getrlimit},
};
use std::{
    error::Error,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
};

/// However many descriptors there are: a connection takes memory, too.
const MOST: usize = 1 << 20;
/// Descriptors for everything else: half of them, and no more than this.
const REST: usize = 4096;
/// How often somebody who waits for a connection asks those that are kept unused to go.
const ASK: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Room {
    /// Fewer than connections, so that whoever may begin finds some that are unused when all connections are taken.
    exchanges: Semaphore,
    connections: Arc<Semaphore>,
    most: usize,
    known: Mutex<Vec<Weak<Usage>>>,
    short: event::Sampler,
}

impl Room {
    /// What this process may open, less half or [`REST`].
    pub(super) fn of_this_process() -> Self {
        Self::of(getrlimit(Resource::Nofile).current)
    }

    fn of(descriptors: Option<u64>) -> Self {
        let descriptors = descriptors.and_then(|descriptors| usize::try_from(descriptors).ok());
        let most = descriptors.map_or(MOST, |all| (all - REST.min(all / 2)).clamp(4, MOST));
        Self {
            exchanges: Semaphore::new(most - most / 4),
            connections: Arc::new(Semaphore::new(most)),
            most,
            known: Mutex::default(),
            short: event::Sampler::default(),
        }
    }

    /// Waits until one more exchange may begin; it has ended when what is returned is dropped.
    pub(super) async fn exchange(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.exchanges.acquire().await.ok()
    }

    /// Waits until one more connection may be made.
    pub(super) async fn connection(&self) -> Ticket {
        loop {
            if let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() {
                return self.ticket(permit);
            }
            self.make();
            let freed = tokio::time::timeout(ASK, Arc::clone(&self.connections).acquire_owned()).await;
            if let Ok(Ok(permit)) = freed {
                return self.ticket(permit);
            }
        }
    }

    /// The system had no descriptor for a connection: somebody else has more than half of them.
    pub(super) fn exhausted(&self) {
        event::descriptors_exhausted(&self.short);
        self.make();
    }

    /// Asks some of the connections that nobody uses to go, those that were not used for longest first.
    fn make(&self) {
        let mut resting: Vec<(Instant, Arc<Usage>)> = Vec::new();
        self.known().retain(|usage| match usage.upgrade() {
            Some(usage) => {
                resting.extend(usage.rests_since().map(|since| (since, usage)));
                true
            }
            None => false,
        });
        resting.sort_unstable_by_key(|(since, _)| *since);
        // More than one, or a crowd would look at all of them once for each that goes.
        let some = resting.len().div_ceil(8);
        resting.iter().take(some).for_each(|(_, usage)| usage.leave());
    }

    fn ticket(&self, permit: OwnedSemaphorePermit) -> Ticket {
        let usage = Arc::new(Usage(Mutex::new(State { stage: Stage::Busy, reader: None })));
        let mut known = self.known();
        if known.len() > 2 * (self.most - self.connections.available_permits()) + 64 {
            known.retain(|usage| usage.strong_count() > 0);
        }
        known.push(Arc::downgrade(&usage));
        Ticket { usage, _permit: permit }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Weak<Usage>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it failed for want of a descriptor.
pub(super) fn wants_descriptor(error: &(dyn Error + 'static)) -> bool {
    let system = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    let is_it = system.is_some_and(|code| [Errno::MFILE, Errno::NFILE].contains(&Errno::from_raw_os_error(code)));
    is_it || within(error).is_some_and(wants_descriptor)
}

/// The right to one connection.
pub(super) struct Ticket {
    usage: Arc<Usage>,
    _permit: OwnedSemaphorePermit,
}

impl Ticket {
    /// `stream`, whose descriptor is given back when it is dropped.
    pub(super) fn admit<T>(self, stream: T) -> Admitted<T> {
        Admitted { stream, ticket: self }
    }
}

/// Whether a connection is in use; a reply over HTTP/1 carries that of its own.
pub(in crate::effect) struct Usage(Mutex<State>);

struct State {
    stage: Stage,
    /// Who reads from the connection, to be told when it is to go.
    reader: Option<Waker>,
}

enum Stage {
    Busy,
    Resting(Instant),
    Leaving,
}

impl Usage {
    /// The last exchange over it is complete.
    pub(in crate::effect) fn rest(&self) {
        let mut state = self.state();
        if matches!(state.stage, Stage::Busy) {
            state.stage = Stage::Resting(Instant::now());
        }
    }

    fn rests_since(&self) -> Option<Instant> {
        match self.state().stage {
            Stage::Resting(since) => Some(since),
            Stage::Busy | Stage::Leaving => None,
        }
    }

    /// Ends the connection as if the server had, unless it is in use by now.
    fn leave(&self) {
        let mut state = self.state();
        if matches!(state.stage, Stage::Resting(_)) {
            state.stage = Stage::Leaving;
            if let Some(reader) = state.reader.take() {
                reader.wake();
            }
        }
    }

    /// Something is to be written. A connection that was asked to go and has not yet is taken back.
    fn write(&self) {
        self.state().stage = Stage::Busy;
    }

    /// Whether it is still there for `reader` to read from.
    fn read(&self, reader: &Waker) -> bool {
        let mut state = self.state();
        if !state.reader.as_ref().is_some_and(|known| known.will_wake(reader)) {
            state.reader = Some(reader.clone());
        }
        !matches!(state.stage, Stage::Leaving)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that has its place.
pub(super) struct Admitted<T> {
    stream: T,
    ticket: Ticket,
}

impl<T> Admitted<T> {
    pub(super) fn usage(&self) -> Arc<Usage> {
        Arc::clone(&self.ticket.usage)
    }

    pub(super) fn get_ref(&self) -> &T {
        &self.stream
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Admitted<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ticket.usage.read(cx.waker()) {
            Pin::new(&mut self.stream).poll_read(cx, buffer)
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Admitted<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.ticket.usage.write();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.ticket.usage.write();
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_few_descriptors_and_most_of_many_are_for_connections_and_fewer_for_exchanges() {
        for (descriptors, connections, exchanges) in [
            (Some(64), 32, 24),
            (Some(8_192), 4_096, 3_072),
            (Some(20_000), 15_904, 11_928),
            (Some(2), 4, 3),
            (None, MOST, MOST / 4 * 3),
            (Some(u64::MAX), MOST, MOST / 4 * 3),
        ] {
            let room = Room::of(descriptors);
            let there = (room.connections.available_permits(), room.exchanges.available_permits());
            assert_eq!(there, (connections, exchanges), "{descriptors:?}");
        }
    }

    #[tokio::test]
    async fn whoever_waits_gets_the_place_of_what_was_unused_for_longest() {
        let room = Room::of(Some(8));
        let mut tickets = Vec::new();
        for _ in 0..4 {
            tickets.push(room.connection().await);
        }
        let gone = |ticket: &Ticket| !ticket.usage.read(Waker::noop());
        for rested in [2, 1] {
            tickets[rested].usage.rest();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let waiting = tokio::time::timeout(ASK / 4, room.connection()).await;
        assert!(waiting.is_err(), "it is asked to go and has not gone");
        assert_eq!(tickets.iter().map(gone).collect::<Vec<_>>(), [false, false, true, false]);
        tickets.remove(2);
        tokio::time::timeout(ASK * 10, room.connection()).await.unwrap();
        // One that is written to is there again.
        tickets[1].usage.leave();
        assert!(gone(&tickets[1]));
        tickets[1].usage.write();
        assert!(!gone(&tickets[1]));
    }

    #[test]
    fn want_of_a_descriptor_is_found_however_deep() {
        let error = |code| io::Error::other(io::Error::from_raw_os_error(code));
        assert!(wants_descriptor(&error(24)) && wants_descriptor(&io::Error::from_raw_os_error(23)));
        assert!(!wants_descriptor(&error(111)));
    }
}
