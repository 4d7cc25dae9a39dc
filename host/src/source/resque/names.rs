//! Resque's own keys, all behind one namespace.

use crate::source::keys;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The namespace and a colon, or nothing.
    pub(super) prefix: String,
    namespace: String,
}

impl Names {
    pub(super) fn new(namespace: &str) -> Self {
        let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}:") };
        Self { prefix, namespace: namespace.to_owned() }
    }

    /// Set: every queue that was ever pushed to.
    pub(super) fn queues(&self) -> String {
        self.of("queues")
    }

    /// List: the jobs of one queue.
    pub(super) fn queue(&self, queue: &str) -> String {
        keys::resque_queue(&self.namespace, queue)
    }

    /// Set: ids of workers.
    pub(super) fn workers(&self) -> String {
        self.of("workers")
    }

    /// String: the job that a worker is at.
    pub(super) fn worker(&self, id: &str) -> String {
        format!("{}worker:{id}", self.prefix)
    }

    /// String: since when it is there.
    pub(super) fn started(&self, id: &str) -> String {
        format!("{}worker:{id}:started", self.prefix)
    }

    /// Hash: id of a worker → when it was last alive.
    pub(super) fn heartbeat(&self) -> String {
        self.of("workers:heartbeat")
    }

    /// Counter: jobs `processed` or `failed`, in all or by one worker.
    pub(super) fn stat(&self, what: &str, id: Option<&str>) -> String {
        match id {
            Some(id) => format!("{}stat:{what}:{id}", self.prefix),
            None => format!("{}stat:{what}", self.prefix),
        }
    }

    /// List: jobs that have failed for good.
    pub(super) fn failed(&self) -> String {
        self.of("failed")
    }

    /// String: `true` while no worker is to take anything.
    pub(super) fn pause(&self) -> String {
        self.of("pause-all-workers")
    }

    /// Sorted set of resque-scheduler: seconds at which jobs are due.
    pub(super) fn schedule(&self) -> String {
        self.of("delayed_queue_schedule")
    }

    /// Set of resque-scheduler: where the job `json` is to be found.
    pub(super) fn timestamps(&self, json: &str) -> String {
        format!("{}timestamps:{json}", self.prefix)
    }

    /// Any other.
    pub(super) fn of(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }
}
