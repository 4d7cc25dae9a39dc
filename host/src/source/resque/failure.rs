//! The record of a failed job, as Ruby writes it and resque-web shows it.

use super::{
    clock,
    job::{self, Flaw},
    ruby,
};
use crate::{message::Trouble, source::lane::entry::Entry};

/// A job that has failed.
pub(super) struct Failure<'a> {
    pub(super) queue: &'a str,
    /// The id of the worker.
    pub(super) worker: String,
    /// How often a job is tried.
    pub(super) attempts: u32,
    pub(super) entry: &'a Entry,
    /// What went wrong last.
    pub(super) trouble: &'a Trouble,
    /// In seconds since 1970.
    pub(super) at: u64,
}

impl Failure<'_> {
    /// As the list `failed` holds it.
    pub(super) fn record(&self) -> String {
        let past = self.entry.past.troubles.iter();
        let lines: Vec<String> = past.chain([self.trouble]).map(|trouble| ruby::string(&line(trouble))).collect();
        format!(
            r#"{{"failed_at":"{}","payload":{},"exception":"{}","error":{},"backtrace":[{}],"worker":{},"queue":{}}}"#,
            clock::failed_at(self.at),
            job::payload(&self.entry.payload),
            self.exception(),
            ruby::string(&self.trouble.reason),
            lines.join(","),
            ruby::string(&self.worker),
            ruby::string(self.queue),
        )
    }

    fn exception(&self) -> &'static str {
        match job::class(&self.entry.payload) {
            Err(Flaw::Malformed(_)) => "Gristmill::Malformed",
            Err(Flaw::NoClass) => "Gristmill::NoClass",
            // Where no plugin had a say, a node ended with it.
            Ok(_) if self.trouble.broke || self.trouble.plugin.is_none() => "Gristmill::Broken",
            Ok(_) if self.trouble.attempt >= self.attempts => "Gristmill::Exhausted",
            Ok(_) => "Gristmill::Rejected",
        }
    }
}

/// One attempt, such as `attempt 2: http@0123456789ab: 503`.
fn line(trouble: &Trouble) -> String {
    let who = match (&trouble.plugin, &trouble.digest) {
        (Some(plugin), Some(digest)) => format!("{plugin}@{digest}"),
        (Some(plugin), None) => plugin.clone(),
        (None, _) => "gristmill".to_owned(),
    };
    format!("attempt {}: {who}: {}", trouble.attempt, trouble.reason)
}
