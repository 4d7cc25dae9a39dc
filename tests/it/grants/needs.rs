//! What plugins say they need: refused until granted, and told by `check`.

use super::{config, mill, told};
use crate::jobs::pipeline;
use gristmill_tests::{Mill, guest_bytes, replace_file};
use serde_json::json;

/// The guest `reach`, as if it had been built with these needs.
fn needy(needs: &str) -> Vec<u8> {
    const SECTION: &str = "gristmill:needs";
    let length = |bytes: usize| u8::try_from(bytes).ok().filter(|byte| *byte < 128).expect("one byte is enough");
    let mut bytes = guest_bytes("reach");
    bytes.extend([0, length(1 + SECTION.len() + needs.len()), length(SECTION.len())]);
    bytes.extend([SECTION.as_bytes(), needs.as_bytes()].concat());
    bytes
}

#[test]
fn a_new_version_that_needs_more_is_refused_until_that_is_granted() {
    let mill = mill("");
    let node = mill.node();
    assert_eq!(told(&mill, &json!({ "do": "hash-map" })), "ok 1");
    let seen = node.log().len();
    replace_file(&mill.plugin_file("reach"), &needy("clock\nenvironment LANG"));
    let line = node.says_after(seen, &["reach", "needs environment `LANG`, clock, which it was not granted", "stays"]);
    assert!(line.contains("allow = [\\\"clock\\\"]") || line.contains("allow = [\"clock\"]"), "{line}");
    assert_eq!(told(&mill, &json!({ "do": "hash-map" })), "ok 1");

    let seen = node.log().len();
    mill.write_config(&config("allow = [\"clock\"]"));
    node.says_after(seen, &["needs environment `LANG`, which it was not granted"]);
    assert_eq!(told(&mill, &json!({ "do": "hash-map" })), "ok 1");

    let seen = node.log().len();
    mill.write_config(&config("allow = [\"clock\"]\nallow_env = [\"LANG\"]"));
    node.says_after(seen, &["swapped", "reach"]);
    assert_eq!(told(&mill, &json!({ "do": "hash-map" })), "ok 1");
}

#[test]
fn a_need_that_this_host_does_not_know_is_refused() {
    let mill = mill("");
    replace_file(&mill.plugin_file("reach"), &needy("telepathy"));
    let finished = mill.run(&["check"]);
    assert_eq!(finished.code, 78);
    assert!(finished.stderr.contains("it needs `telepathy`, which this host does not know"), "{}", finished.stderr);
}

#[test]
fn the_http_publisher_says_that_it_needs_a_host() {
    let ungranted = pipeline("", "").replace("allow_http", "# allow_http");
    let mill = Mill::new().plugins(&["http"]).config(&ungranted);
    let finished = mill.run(&["check"]);
    assert_eq!(finished.code, 78);
    for words in ["plugin `http` cannot be used: it needs http", "add `allow_http = [\"HOST\"]` to [plugin.http]", "^"]
    {
        assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
    }
}

#[test]
fn check_tells_what_each_plugin_may_do_and_need_not() {
    let mill = mill(
        "allow_http = [\"example.com\"]\nallow_env = [\"GRISTMILL_NOT_SET\"]\nallow = [\"clock\"]\nallow_dirs = { tmp = \".:ro\" }\nsecrets = { token = \"x\" }",
    );
    let finished = mill.run(&["check"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let said = &finished.stdout;
    let lines = |plugin: &str| {
        let from = said.find(&format!("plugin    {plugin}: ")).unwrap();
        let rest = &said[from..];
        rest[..rest[1..].find("plugin    ").map_or(rest.len(), |end| end + 1)].to_owned()
    };
    let (http, reach) = (lines("http"), lines("reach"));
    assert!(http.contains(&format!("sends HTTP to `{}`\n", mill.sink.authority())), "{said}");
    assert!(http.contains("says it needs http\n") && !http.contains("warning"), "{said}");
    for words in [
        "sends HTTP to `example.com`\n",
        "reads `",
        "` as `tmp`\n",
        "sees the variables `GRISTMILL_NOT_SET` (which is not set)\n",
        "has clock\n",
        "warning: does not need http; take it out of `allow_http`\n",
        "warning: a filter sends nothing, so its `secrets` go nowhere\n",
    ] {
        assert!(reach.contains(words), "{words}: {said}");
    }
}
