//! The Redis keys and channels of one feed, as Thoonk names them.

use crate::source::keys::Keys;

/// The keys and channels of one feed. All but `held` are Thoonk's.
#[derive(Clone, Debug)]
pub(in crate::source) struct Names {
    /// List: ids that wait; producers push on the left.
    pub(in crate::source) ids: String,
    /// Hash: id → item.
    pub(in crate::source) items: String,
    /// Hash: `type` and options.
    pub(in crate::source) config: String,
    /// Sorted set of claimed jobs by the millisecond of their claim; and a channel, on which each is told.
    pub(in crate::source) claimed: String,
    /// Hash: id of a job → how often its claim was cancelled.
    pub(in crate::source) cancelled: String,
    /// Sorted set of jobs that wait or are claimed, by the time of their publication.
    pub(in crate::source) published: String,
    /// Set of jobs that were given up.
    pub(in crate::source) stalled: String,
    /// Counts finished jobs.
    pub(in crate::source) finishes: String,
    /// Channel: id NUL result of finished jobs.
    pub(in crate::source) finish: String,
    /// Set: ids of jobs that we hold.
    pub(in crate::source) held: String,
}

impl Names {
    pub(in crate::source) fn new(feed: &str) -> Self {
        let key = |what: &str| format!("feed.{what}:{feed}");
        let ids = key("ids");
        Self {
            items: key("items"),
            config: key("config"),
            claimed: key("claimed"),
            cancelled: key("cancelled"),
            published: key("published"),
            stalled: key("stalled"),
            finishes: key("finishes"),
            finish: format!("job.finish:{feed}"),
            held: Keys::new(&ids).held(),
            ids,
        }
    }
}
