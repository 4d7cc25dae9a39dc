//! The log: for people or as JSON, with who said what over which message, and without what messages and secrets are.

use crate::jobs::{SOON, all_arrive, pipeline};
use gristmill_tests::{Answer, Mill, Node, eventually};
use serde_json::Value;

/// A plugin that writes a line for each message, rejects some and retries others; a server that wants a secret and often fails.
fn mill(format: &str) -> Mill {
    let tables = format!(
        r#"
[plugin.misbehave]
config = {{ mode = "log-line", amount = 40 }}

[plugin.picky]
file = "misbehave.wasm"
config = {{ mode = "reject", when = "\"n\":1}}" }}

[plugin.shaky]
file = "misbehave.wasm"
config = {{ mode = "trap", when = "\"n\":2}}" }}

[log]
format = "{format}"
"#
    );
    let keys = "filters = [\"misbehave\", \"picky\", \"shaky\"]\nretry = { attempts = 3, first = \"10ms\", longest = \"10ms\" }";
    let config = pipeline(keys, &tables).replace(
        "method = \"POST\" }",
        "method = \"POST\", headers = { authorization = \"Bearer ${secret:KEY}\" } }\nsecrets = { KEY = \"marked-secret\" }",
    );
    Mill::new().guests(&["misbehave"]).plugins(&["http"]).config(&config)
}

/// Has everything go wrong that can, with messages and a secret that would be known again.
fn at_work(mill: &Mill) -> Node {
    let mut node = mill.node();
    mill.sink.answer_first(3, Answer::Status(503));
    mill.redis
        .push("jobs", (0..6).map(|number| format!("{{\"id\":{number},\"text\":\"marked-payload\",\"n\":{number}}}")));
    all_arrive(&mill.sink, 3..6);
    let secret =
        mill.sink.received().iter().any(|received| received.header("authorization") == Some("Bearer marked-secret"));
    assert!(secret, "the server has seen it");
    eventually(SOON, "one is rejected, one is quarantined", || {
        (node.log().matches("into the dead letters").count() >= 1).then_some(())
    });
    mill.write_raw_config("this is marked-secret and no config");
    node.sighup();
    node.says(&["cannot be used, the old one stays in force"]);
    assert_eq!(node.terminate(), 0);
    node
}

#[test]
fn every_line_is_json_where_that_is_wanted_and_plugins_are_told_with_version_and_message() {
    let mill = mill("json");
    let node = at_work(&mill);
    let lines: Vec<Value> = node.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        for key in ["timestamp", "level", "message"] {
            assert!(line[key].is_string(), "`{key}` is missing: {line}");
        }
    }
    let said =
        lines.iter().find(|line| line["plugin"] == "misbehave" && line["id"].is_string()).expect("it has written");
    assert_eq!(said["digest"].as_str().map(str::len), Some(12), "{said}");
    assert!(lines.iter().any(|line| line["message"] == "ready" && line["pipelines"] == 1), "{lines:?}");
}

#[test]
fn no_line_at_info_has_anything_of_a_message_or_a_secret() {
    for format in ["text", "json"] {
        let mill = mill(format);
        let node = at_work(&mill);
        let told = node.log();
        assert!(told.contains("into the dead letters") && told.contains("to be tried again"), "{told}");
        assert!(!told.contains("marked-payload"), "{told}");
        let without_the_file = told.replace("this is marked-secret and no config", "");
        assert!(!without_the_file.contains("marked-secret"), "{told}");
    }
}
