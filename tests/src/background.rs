//! A future on a thread and a runtime of its own, gone with all of its sockets when dropped.

use std::{thread, time::Duration};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
};

#[derive(Debug)]
pub(crate) struct Background {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Background {
    /// A runtime for `start`, in which sockets can be made before.
    pub(crate) fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    /// Runs `work` on a thread of this name, of which the system shows 15 bytes.
    pub(crate) fn start(name: &str, runtime: Runtime, work: impl Future<Output = ()> + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = work => {}
                    _ = stopped => {}
                }
            });
            // With the runtime go all of its sockets, whoever waits for an answer.
            runtime.shutdown_timeout(Duration::from_secs(1));
        });
        Self { stop: Some(stop), thread: Some(thread.expect("a thread")) }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
