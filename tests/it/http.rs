//! The plugin `http` as receivers of callbacks meet it.

use crate::jobs::{SOON, nothing_is_left};
use gristmill_tests::{Answer, Dead, Mill, eventually};

/// A mill with `more` in the config of the plugin.
fn mill(more: &str) -> Mill {
    Mill::new().plugins(&["http"]).config(&format!(
        r#"
[pipeline.jobs]
from = {{ list = "jobs" }}
publish = ["http"]
retry = {{ attempts = 3, first = "50ms", longest = "50ms" }}

[plugin.http]
config = {{ url = "$SINK/hooks/{{topic}}", {more} }}
allow_http = ["$AUTHORITY"]
allow = ["clock"]
timeout = "20s"
"#
    ))
}

#[test]
fn a_callback_is_signed_as_its_receiver_expects() {
    let mill = mill(
        r#"headers = { "x-topic" = "{topic}" }, sign = { key = "It's a Secret to Everybody", header = "X-Hub-Signature-256" }"#,
    );
    let _node = mill.node();
    mill.redis.push("jobs", ["Hello, World!"]);
    eventually(SOON, "it arrives", || (mill.sink.count() == 1).then_some(()));
    let received = mill.sink.received().remove(0);
    // The worked example of GitHub's documentation.
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(received.header("x-hub-signature-256"), Some(expected));
    assert_eq!((received.header("x-topic"), received.text().as_str()), (Some("jobs"), "Hello, World!"));
}

#[test]
fn a_signed_time_is_the_time_of_the_attempt() {
    let mill = mill(r#"sign = { key = "k", scheme = "timestamped" }"#);
    let _node = mill.node();
    mill.redis.push("jobs", ["{}"]);
    eventually(SOON, "it arrives", || (mill.sink.count() == 1).then_some(()));
    let received = mill.sink.received().remove(0);
    let value = received.header("x-signature-256").expect("it is signed").to_owned();
    let (time, signature) = value.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(time.parse().unwrap()) < 60 && signature.len() == 64, "{value}");
}

#[test]
fn statuses_mean_what_the_config_says() {
    let mill = mill(r#"done = [409], retry = [404], reject = ["5xx"]"#);
    mill.sink.answer_by(|received| Answer::Status(received.text().parse().unwrap()));
    let _node = mill.node();
    mill.redis.push("jobs", ["409"]);
    eventually(SOON, "it arrives", || (mill.sink.count() == 1).then_some(()));
    nothing_is_left(&mill.redis);
    mill.redis.push("jobs", ["404", "503"]);
    eventually(SOON, "both are dead letters", || (Dead::of(&mill, "jobs").list().len() == 2).then_some(()));
    let times = mill.sink.tally(|received| received.text());
    assert_eq!((times["409"], times["404"], times["503"]), (1, 3, 1));
}
