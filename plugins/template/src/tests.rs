//! The filter over whole messages.

use super::*;
use gristmill_sdk::{Change, config};
use serde_json::json;

fn plugin(config: &serde_json::Value) -> Result<Template> {
    Template::new(config::parse(&config.to_string())?)
}

fn run(config: serde_json::Value, message: Message) -> Result<Change> {
    match plugin(&config).unwrap().filter(message)? {
        Verdict::Replace(change) => Ok(change),
        verdict => panic!("{verdict:?}"),
    }
}

/// The text of this template.
fn made(template: &str, payload: &str) -> Result<String> {
    Ok(String::from_utf8(run(json!({"template": template}), Message::test(payload))?.payload.unwrap()).unwrap())
}

#[test]
fn values_conditions_loops_and_filters_make_a_text() {
    let template = "Hi {{ payload.user.name|upper }},{% for item in payload.items %} {{ loop.index }}. {{ item.sku }}{% endfor %}{% if payload.vip %}!{% endif %}";
    let payload = r#"{"user":{"name":"Ada"},"items":[{"sku":"a"},{"sku":"b"}],"vip":true}"#;
    assert_eq!(made(template, payload).unwrap(), "Hi ADA, 1. a 2. b!");
    assert_eq!(made("{{ payload|tojson }}", r#"{"a": [1.5, "é", null]}"#).unwrap(), r#"{"a": [1.5, "é", null]}"#);
    assert_eq!(made("{{ payload[0] + range(3)|last }}", "[40]").unwrap(), "42");
}

#[test]
fn topic_and_headers_are_made_of_the_message_before() {
    let config = json!({"topic": "mail.{{ payload.lang }}", "headers": {"Subject": "{{ topic }}/{{ source }}/{{ id }}/{{ attempt }}/{{ headers['x-tenant'] }}"},
        "template": "{{ topic }}"});
    let message = Message::test(r#"{"lang":"de"}"#)
        .with_source("s")
        .with_topic("t")
        .with_id("i")
        .with_attempt(2)
        .with_header("X-Tenant", "n");
    let expected = Change::payload("t").with_topic("mail.de").with_header("Subject", "t/s/i/2/n");
    assert_eq!(run(config, message).unwrap(), expected);
    let only = run(json!({"headers": {"a": "b"}}), Message::test("no JSON")).unwrap();
    assert_eq!(only, Change::default().with_header("a", "b"));
}

#[test]
fn what_is_put_in_is_escaped_as_said() {
    let with = |escape: &str, template: &str| {
        let config = json!({"template": template, "escape": escape, "topic": "{{ payload.a }}"});
        let change = run(config, Message::test(r#"{"a":"<b>\"&"}"#)).unwrap();
        assert_eq!(change.topic.unwrap(), "<b>\"&", "topics are never escaped");
        String::from_utf8(change.payload.unwrap()).unwrap()
    };
    assert_eq!(with("none", "{{ payload.a }}"), "<b>\"&");
    assert_eq!(with("html", "<p>{{ payload.a }}</p>"), "<p>&lt;b&gt;&quot;&amp;</p>");
    assert_eq!(with("html", "{{ payload.a|safe }}"), "<b>\"&");
    let json: serde_json::Value =
        serde_json::from_str(&with("json", r#"{"text": {{ payload.a }}, "all": {{ payload }}}"#)).unwrap();
    assert_eq!(json, json!({"text": "<b>\"&", "all": {"a": "<b>\"&"}}));
}

#[test]
fn what_a_message_lacks_is_rejected_or_empty() {
    let error = made("a\n{{ payload.user.name }}", "{}").unwrap_err();
    assert!(!error.is_retry() && error.reason().starts_with("template: undefined value in line 2"), "{error}");
    assert_eq!(made("{% if payload.user %}x{% endif %}{{ payload.n|default('-') }}", "{}").unwrap(), "-");
    let lenient = run(json!({"template": "[{{ payload.user.name }}]", "lenient": true}), Message::test("{}")).unwrap();
    assert_eq!(lenient, Change::payload("[]"));
}

#[test]
fn text_can_be_taken_as_it_is() {
    let config = json!({"template": "<{{ payload }}>", "input": "text"});
    assert_eq!(run(config.clone(), Message::test("no JSON")).unwrap(), Change::payload("<no JSON>"));
    assert!(run(config, Message::test([0xff])).is_err());
    assert!(made("{{ payload }}", "no JSON").unwrap_err().reason().starts_with("payload: "));
}

#[test]
fn a_template_that_goes_on_and_on_runs_out_of_fuel() {
    let long = "{% for a in range(1000) %}{% for b in range(1000) %}{{ a * b }}{% endfor %}{% endfor %}";
    assert_eq!(made(long, "{}").unwrap_err().reason(), "template: engine ran out of fuel in line 1, see `fuel`");
    let big = "{{ 'x' * 1000000000 }}";
    assert!(made(big, "{}").unwrap_err().reason().contains("fuel"), "memory is fuel, too");
    let grown = "{% set ns = namespace(s='x') %}{% for a in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s|length }}";
    assert!(made(grown, "{}").unwrap_err().reason().contains("fuel"));
    let enough = run(json!({"template": "{{ 'x' * 1000 }}", "fuel": 100}), Message::test("{}")).unwrap();
    assert_eq!(enough.payload.unwrap().len(), 1000);
}

#[test]
fn a_line_break_does_not_get_into_a_header() {
    let config = json!({"headers": {"subject": "{{ payload }}"}});
    let error = run(config, Message::test(r#""a\r\nbcc: x""#)).unwrap_err();
    assert_eq!(error.reason(), "headers.subject: a line break comes out, which cannot be there");
}

#[test]
fn a_reason_holds_nothing_of_the_values() {
    for template in [
        "{{ payload.a + 1 }}",
        "{{ payload.a.b() }}",
        "{{ payload.a|round }}",
        "{{ payload.a() }}",
        "{% for x in payload.n %}{% endfor %}",
    ] {
        let error = made(template, r#"{"a":"secret","n":12345}"#).unwrap_err();
        assert!(!error.reason().contains("secret") && !error.reason().contains("12345"), "{template}: {error}");
    }
}

#[test]
fn a_config_that_will_not_do_is_refused_by_name() {
    let why = |config: serde_json::Value| plugin(&config).err().unwrap().reason().to_owned();
    assert_eq!(why(json!({})), "config: expected `template`, `topic` or `headers`");
    assert!(why(json!({"template": "a\n{{ payload"})).starts_with("config.template: syntax error: "));
    assert!(why(json!({"template": "a\n{{ payload"})).ends_with("in line 2"));
    assert!(
        why(json!({"topic": "{{ paylod.a }}"}))
            .starts_with("config.topic: nothing is known as `paylod`; known are `payload`, `topic`")
    );
    assert!(why(json!({"headers": {"a": "{% include 'x' %}"}})).starts_with("config.headers.a: syntax error"));
    assert!(why(json!({"template": "", "escape": "xml"})).starts_with("config.escape: unknown variant `xml`"));
}
