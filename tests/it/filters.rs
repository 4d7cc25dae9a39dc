//! The filters that come with Gristmill, in real nodes: alone, one behind the other, and over two pipelines.

mod chain;
mod readmes;

use crate::jobs::{SOON, pipeline};
use gristmill_tests::{Dead, Mill, Received, eventually};
use serde_json::Value;

/// A mill whose jobs go through these filters in this order; `tables` are those of the plugins.
pub(crate) fn filtering(filters: &[&str], tables: &str) -> Mill {
    Mill::new().plugins(&[filters, &["http"]].concat()).config(&config(filters, tables))
}

/// The configuration of such a mill.
pub(crate) fn config(filters: &[&str], tables: &str) -> String {
    let retry = "retry = { attempts = 8, first = \"50ms\", longest = \"200ms\" }";
    pipeline(&format!("filters = {filters:?}\n{retry}"), tables)
}

/// What arrives when this alone is pushed.
#[track_caller]
pub(crate) fn made_of(mill: &Mill, payload: &str) -> Received {
    mill.sink.forget();
    mill.redis.push("jobs", [payload]);
    eventually(SOON, "it arrives", || mill.sink.received().pop())
}

/// The only dead letter, whole.
#[track_caller]
pub(crate) fn letter(mill: &Mill) -> Value {
    let dead = Dead::of(mill, "jobs");
    let letters = eventually(SOON, "a dead letter", || Some(dead.list()).filter(|letters| !letters.is_empty()));
    assert_eq!(letters.len(), 1, "{letters:?}");
    dead.show(&Dead::entry(&letters[0]))
}
