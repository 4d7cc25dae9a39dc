//! What `cargo xtask fuzz` does with a job.

use super::job::{Job, payload};
use serde::de::IgnoredAny;

/// What we keep of `bytes` is JSON, and a job that is written again reads as the same.
pub(in crate::source) fn fuzz(bytes: &[u8]) {
    let kept = payload(bytes);
    assert!(serde_json::from_str::<IgnoredAny>(&kept).is_ok(), "{kept}");
    let Ok(job) = Job::read(bytes) else { return };
    for text in [job.json(), job.delayed("a \"queue\"")] {
        assert_eq!(Job::read(text.as_bytes()).as_ref(), Ok(&job), "{text}");
    }
    assert!(!job.counter().contains(char::is_whitespace));
}
