//! Topics and headers by rules, and texts by templates.

use super::{filtering, letter, made_of};
use crate::jobs::{SOON, nothing_is_left};
use gristmill_tests::eventually;

const TABLES: &str = r#"
[plugin.route]
config = { rules = [{ when = { json = "debug", equals = true }, drop = true }, { when = [{ json = "type", prefix = "order." }, { json = "items[*].price", matches = "^[0-9]{3,}$" }], topic = "orders.big", headers = { priority = "high" } }, { when = { json = "type", prefix = "order." }, topic = "orders.{json:country}" }, { when = { json = "type", exists = true }, topic = "other" }], otherwise = "reject" }

[plugin.template]
config = { template = "{{ topic }} {{ payload.type }} {{ headers.priority|default('normal') }}" }
"#;

#[test]
fn the_first_rule_that_matches_gives_topic_and_headers() {
    let mill = filtering(&["route", "template"], TABLES);
    let mut node = mill.node();
    let jobs = [
        (
            r#"{"type":"order.new","items":[{"price":5},{"price":1200}]}"#,
            "/hooks/orders.big",
            "orders.big order.new high",
        ),
        (
            r#"{"type":"order.new","items":[{"price":5}],"country":"de"}"#,
            "/hooks/orders.de",
            "orders.de order.new normal",
        ),
        (r#"{"type":"visit"}"#, "/hooks/other", "other visit normal"),
    ];
    for (job, path, text) in jobs {
        let received = made_of(&mill, job);
        assert_eq!((received.path.as_str(), received.text().as_str()), (path, text));
    }
    assert_eq!(node.terminate(), 0);
}

#[test]
fn a_rule_drops_and_what_no_rule_matches_is_kept() {
    let mill = filtering(&["route", "template"], TABLES);
    let _node = mill.node();
    mill.redis.push("jobs", [r#"{"debug":true,"type":"order.new"}"#, "{}"]);
    let letter = letter(&mill, "jobs");
    assert!(letter.to_string().contains("no rule matches"), "{letter}");
    nothing_is_left_but_letters(&mill);
    assert_eq!(mill.sink.count(), 0);
}

fn nothing_is_left_but_letters(mill: &gristmill_tests::Mill) {
    eventually(SOON, "nothing is waiting", || (mill.redis.len("jobs") == 0).then_some(()));
    mill.redis.ask::<usize>(&["DEL", "gristmill:{jobs}:jobs:dead"]);
    nothing_is_left(&mill.redis);
}

#[test]
fn a_template_that_runs_on_is_kept_and_the_next_message_goes_through() {
    let table = "[plugin.template]\nconfig = { template = \"{% for a in range(payload.n) %}{% for b in range(payload.n) %}x{% endfor %}{% endfor %}\", fuel = 50000, headers = { subject = \"{{ payload.s }}\" } }\n";
    let mill = filtering(&["template"], table);
    let _node = mill.node();
    mill.redis.push("jobs", [r#"{"n":9999,"s":"a"}"#]);
    let letter = letter(&mill, "jobs");
    assert!(letter.to_string().contains("ran out of fuel"), "{letter}");
    assert_eq!(made_of(&mill, r#"{"n":3,"s":"a"}"#).text(), "x".repeat(9));
}
