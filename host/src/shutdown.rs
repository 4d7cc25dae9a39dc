//! How a node, or one pipeline of it, ends: quiet (take nothing new), drain (finish what is in flight), stop (leave it).

use std::{future::Future, time::Duration};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tokens and the tasks of something that can be ended.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    quiet: CancellationToken,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// One that ends when this one does, but can also be ended alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { quiet: self.quiet.child_token(), stop: self.stop.child_token(), tasks: TaskTracker::new() }
    }

    /// Runs `task` until it ends by itself; whoever ends this awaits it.
    pub fn track<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Runs `task` until it ends by itself or everything is stopped.
    pub fn track_until_stop<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled_owned(task).await })
    }

    /// Cancelled when nothing new is to be taken.
    pub fn quiet(&self) -> &CancellationToken {
        &self.quiet
    }

    /// Cancelled when what is unfinished is to be left.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Takes nothing new, waits up to `grace` for the tasks, then stops them. True when all finished in time.
    pub async fn end(&self, grace: Duration) -> bool {
        self.quiet.cancel();
        self.tasks.close();
        let finished = tokio::select! {
            waited = tokio::time::timeout(grace, self.tasks.wait()) => waited.is_ok(),
            () = self.stop.cancelled() => false,
        };
        self.stop.cancel();
        self.tasks.wait().await;
        finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_finishes_in_time_is_awaited() {
        let shutdown = Shutdown::default();
        let quiet = shutdown.quiet().clone();
        shutdown.track_until_stop(async move { quiet.cancelled().await });
        assert!(shutdown.end(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn a_task_that_outlasts_the_grace_is_stopped() {
        let shutdown = Shutdown::default();
        shutdown.track_until_stop(std::future::pending::<()>());
        assert!(!shutdown.end(Duration::from_millis(10)).await);
    }

    #[tokio::test]
    async fn ending_a_child_leaves_the_parent_alone() {
        let parent = Shutdown::default();
        let child = parent.child();
        assert!(child.end(Duration::ZERO).await);
        assert!(!parent.quiet().is_cancelled());
    }
}
