//! Notices what becomes of connections that nobody uses: the server closes them, or their places are wanted.

use super::{IDLE, Pool};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Wake, Waker},
    time::{Duration, Instant},
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

/// How soon after another it is looked again: connections often go in crowds.
const PAUSE: Duration = Duration::from_millis(10);

/// One for all pools of a node, so that no connection has a task of its own. Without anybody who tends it a connection is looked at
/// when it is wanted again, and not before.
pub(in crate::effect::http) struct Watch {
    pools: Mutex<Vec<Weak<Pool>>>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Rings when one of the connections can be read from.
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

impl Watch {
    pub(in crate::effect::http) fn new() -> Self {
        let bell = Arc::new(Bell(Notify::new()));
        Self { pools: Mutex::default(), waker: Waker::from(Arc::clone(&bell)), bell }
    }

    /// Does for ever what is to be done.
    pub(in crate::effect::http) async fn tend(&self) {
        loop {
            // Without a ring, too: what was not used for long has to go.
            drop(timeout(IDLE / 6, self.bell.0.notified()).await);
            self.sweep();
            sleep(PAUSE).await;
        }
    }

    /// Wakes whoever tends it.
    pub(super) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    pub(super) fn add(&self, pool: &Arc<Pool>) {
        let mut pools = self.pools();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    fn sweep(&self) {
        let pools: Vec<Arc<Pool>> = self.pools().iter().filter_map(Weak::upgrade).collect();
        let now = Instant::now();
        pools.iter().for_each(|pool| pool.sweep(&mut self.context(), now));
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Weak<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
