//! The filters that come with Gristmill, in real nodes: alone, one behind the other, and over two pipelines.

mod chain;
mod gzip;
mod route;
mod seal;
mod seen;

use crate::jobs::{PATIENT, SOON, pipeline};
use gristmill_tests::{Dead, Mill, Received, eventually};
use serde_json::Value;

/// A mill whose jobs go through these filters in this order; `tables` are those of the plugins.
pub(crate) fn filtering(filters: &[&str], tables: &str) -> Mill {
    Mill::new().plugins(&[filters, &["http"]].concat()).config(&config(filters, tables))
}

/// A table for a second pipeline, `back`, which delivers to the same sink.
pub(crate) fn back(filters: &[&str]) -> String {
    format!("[pipeline.back]\nfrom = {{ list = \"back\" }}\nfilters = {filters:?}\npublish = [\"http\"]\n")
}

/// The configuration of such a mill.
pub(crate) fn config(filters: &[&str], tables: &str) -> String {
    let retry = "retry = { attempts = 8, first = \"50ms\", longest = \"200ms\" }";
    // A machine that does much else gives a plugin little of its time.
    let tables = tables.replace("\nconfig = ", &format!("\n{PATIENT}config = "));
    pipeline(&format!("filters = {filters:?}\n{retry}"), &tables)
}

/// What arrives when this alone is pushed.
#[track_caller]
pub(crate) fn made_of(mill: &Mill, payload: impl AsRef<[u8]>) -> Received {
    made_by(mill, "jobs", payload)
}

/// What arrives when this alone is pushed onto `list`.
#[track_caller]
pub(crate) fn made_by(mill: &Mill, list: &str, payload: impl AsRef<[u8]>) -> Received {
    mill.sink.forget();
    mill.redis.push(list, [payload.as_ref()]);
    eventually(SOON, "it arrives", || mill.sink.received().pop())
}

/// The only dead letter of this pipeline, whole.
#[track_caller]
pub(crate) fn letter(mill: &Mill, pipeline: &str) -> Value {
    let dead = Dead::of(mill, pipeline);
    let letters = eventually(SOON, "a dead letter", || Some(dead.list()).filter(|letters| !letters.is_empty()));
    assert_eq!(letters.len(), 1, "{letters:?}");
    dead.show(&Dead::entry(&letters[0]))
}
