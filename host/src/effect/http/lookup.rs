//! Names to addresses, by the system's resolver: few threads, and never the same name twice at once.

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, ToSocketAddrs},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Threads that may wait for the system's resolver at once. They come from the pool that also reads files, which a dead name server must not exhaust.
const THREADS: usize = 32;

/// Finished lookups that may stay on the list until it is tidied.
const UNTIDY: usize = 64;

type Answer = Result<Arc<[IpAddr]>, Arc<io::Error>>;
type Running = BoxFuture<'static, Answer>;

/// Lookups under way; who asks for the same name joins in, so that a thousand new connections to one host cost one lookup.
pub(super) struct Lookups {
    threads: Arc<Semaphore>,
    running: Mutex<HashMap<Box<str>, WeakShared<Running>>>,
}

impl Lookups {
    pub(super) fn new() -> Self {
        Self { threads: Arc::new(Semaphore::new(THREADS)), running: Mutex::default() }
    }

    /// The addresses of `name`, in the order in which the system prefers them.
    pub(super) async fn addresses(&self, name: &str) -> Answer {
        self.join(name).await
    }

    pub(super) fn join(&self, name: &str) -> Shared<Running> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = running.get(name).and_then(WeakShared::upgrade) {
            return lookup;
        }
        if running.len() >= UNTIDY {
            running.retain(|_, lookup| lookup.upgrade().is_some());
        }
        let lookup = look_up(self.threads.clone(), name.to_owned()).boxed().shared();
        if let Some(weak) = lookup.downgrade() {
            running.insert(name.into(), weak);
        }
        lookup
    }
}

async fn look_up(threads: Arc<Semaphore>, name: String) -> Answer {
    // The permit goes along: a lookup that nobody waits for any more still occupies its thread.
    let permit = threads.acquire_owned().await.map_err(io::Error::other)?;
    let lookup = spawn_blocking(move || {
        let found = (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
        drop(permit);
        found
    });
    Ok(lookup.await.map_err(io::Error::other)??)
}
