//! What a plugin was granted it reaches, and nothing else, however it tries.

mod commands;
mod files;
mod machine;
mod needs;
mod secrets;

use crate::jobs::{SOON, pipeline};
use gristmill_tests::{Mill, eventually};
use serde_json::{Value, json};

/// A mill whose jobs tell the guest `reach` what to do; `keys` stand in its table.
fn mill(keys: &str) -> Mill {
    Mill::new().guests(&["reach"]).plugins(&["http"]).config(&config(keys))
}

fn config(keys: &str) -> String {
    let retry = "retry = { attempts = 1, crashes = 1 }";
    pipeline(&format!("filters = [\"reach\"]\n{retry}"), &format!("[plugin.reach]\ntimeout = \"2s\"\n{keys}\n"))
}

/// What came of it: `ok …` or `no …`.
#[track_caller]
fn told(mill: &Mill, deed: &Value) -> String {
    let before = mill.sink.count();
    mill.redis.push("jobs", [deed.to_string()]);
    eventually(SOON, &format!("the guest does {deed}"), || (mill.sink.count() > before).then_some(()));
    mill.sink.received().last().expect("it has arrived").text()
}

/// What comes of a deed with nothing but a path.
#[track_caller]
fn with_path(mill: &Mill, deed: &str, path: &str) -> String {
    told(mill, &json!({ "do": deed, "path": path }))
}
