//! Rules over whole messages.

use super::*;
use gristmill_sdk::{Change, config};

fn plugin(json: &str) -> Result<Route> {
    Route::new(config::parse(json)?)
}

/// The topic that these rules give.
fn topic(rules: &str, message: Message) -> String {
    match plugin(&format!(r#"{{"rules": [{rules}]}}"#)).unwrap().filter(message).unwrap() {
        Verdict::Replace(change) => change.topic.unwrap(),
        verdict => format!("{verdict:?}"),
    }
}

/// Whether this condition holds.
fn holds(condition: &str, message: Message) -> bool {
    topic(&format!(r#"{{"when": {{{condition}}}, "topic": "yes"}}"#), message) == "yes"
}

const ORDER: &str = r#"{"type":"order.paid","total":10.0,"vip":false,"note":null,"user":{"country":"DE"},"items":[{"sku":"a-1"},{"sku":"b-2"}]}"#;

fn order() -> Message {
    Message::test(ORDER).with_source("orders").with_topic("shop").with_header("Tenant", "eu-west")
}

#[test]
fn values_of_the_payload_are_compared_as_what_they_are() {
    let all = [
        r#""json": "type", "equals": "order.paid""#,
        r#""json": "total", "equals": 10"#,
        r#""json": "vip", "equals": false"#,
        r#""json": "note", "matches": "^null$""#,
        r#""json": "user.country", "in": ["AT", "DE"]"#,
        r#""json": "items[*].sku", "equals": "b-2""#,
        r#""json": "type", "prefix": "order.""#,
        r#""json": "total", "prefix": "10""#,
        r#""json": "items[].sku", "matches": "^b-\\d$""#,
        r#""json": "note", "exists": true"#,
        r#""json": "gift", "exists": false"#,
        r#""json": "\"user\".country", "equals": "DE""#,
    ];
    for condition in all {
        assert!(holds(condition, order()), "{condition}");
        assert!(!holds(&format!("{condition}, \"not\": true"), order()), "{condition}");
    }
}

#[test]
fn what_is_not_so_does_not_match() {
    let none = [
        r#""json": "type", "equals": "order""#,
        r#""json": "total", "equals": "10.0""#,
        r#""json": "vip", "equals": true"#,
        r#""json": "user", "prefix": "{""#,
        r#""json": "items[].sku", "matches": "^c""#,
        r#""json": "note", "exists": false"#,
        r#""json": "gift", "exists": true"#,
        r#""json": "gift", "prefix": """#,
        r#""header": "none", "prefix": """#,
    ];
    for condition in none {
        assert!(!holds(condition, order()), "{condition}");
    }
}

#[test]
fn headers_topic_and_source_are_looked_at_and_the_payload_is_left_alone_then() {
    let all = [
        r#""header": "tenant", "prefix": "eu-""#,
        r#""header": "tenant", "exists": true"#,
        r#""header": "user", "exists": false"#,
        r#""envelope": "topic", "equals": "shop""#,
        r#""envelope": "source", "matches": "^ord""#,
    ];
    for condition in all {
        let message =
            Message::test("no JSON").with_source("orders").with_topic("shop").with_header("Tenant", "eu-west");
        assert!(holds(condition, message), "{condition}");
    }
}

#[test]
fn the_first_rule_all_of_whose_conditions_hold_counts() {
    let rules = r#"{"when": [{"json": "type", "prefix": "order."}, {"header": "tenant", "equals": "us"}], "topic": "us"},
        {"when": [{"json": "type", "prefix": "order."}, {"json": "type", "matches": "paid$"}], "topic": "paid"},
        {"when": {"json": "type", "exists": true}, "topic": "typed"}, {"topic": "rest"}"#;
    assert_eq!(topic(rules, order()), "paid");
    assert_eq!(topic(rules, order().with_header("tenant", "us")), "paid", "the first value of a header counts");
    assert_eq!(topic(rules, Message::test(ORDER).with_header("tenant", "us")), "us");
    assert_eq!(topic(rules, Message::test(r#"{"type":"x"}"#)), "typed");
    assert_eq!(topic(rules, Message::test("[]")), "rest");
}

#[test]
fn a_path_in_several_rules_is_found_for_all_of_them() {
    let rules = r#"{"when": {"json": "a[*]", "equals": 1}, "topic": "1"}, {"when": {"json": "a[*]", "equals": 2}, "topic": "2"},
        {"when": {"json": "[*]", "equals": 3}, "topic": "3"}, {"when": {"json": "b", "equals": 4}, "topic": "4"}"#;
    for (payload, expected) in
        [(r#"{"a":[2]}"#, "2"), (r#"{"b":3}"#, "3"), (r#"{"b":4}"#, "4"), (r#"{"a":[1,2]}"#, "1")]
    {
        assert_eq!(topic(rules, Message::test(payload)), expected, "{payload}");
    }
}

#[test]
fn topics_and_headers_have_places_that_the_message_fills() {
    let config =
        r#"{"rules": [{"topic": "{topic}.{json:user.country}", "headers": {"a": "{topic}/{header:tenant}"}}]}"#;
    let change = Change::default().with_topic("shop.DE").with_header("a", "shop/eu-west");
    assert_eq!(plugin(config).unwrap().filter(order()), Ok(change.into()));
    assert!(plugin(config).unwrap().filter(Message::test("{}")).is_err());
}

#[test]
fn a_rule_sets_headers_drops_or_does_nothing() {
    let mut plugin = plugin(
        r#"{"rules": [{"when": {"json": "n", "equals": 1}, "headers": {"a": "1", "b": "2"}}, {"when": {"json": "n", "equals": 2}, "drop": true},
            {"when": {"json": "n", "equals": 3}}], "otherwise": "reject"}"#,
    )
    .unwrap();
    let headers = Change::default().with_header("a", "1").with_header("b", "2");
    assert_eq!(plugin.filter(Message::test(r#"{"n":1}"#)), Ok(headers.into()));
    assert_eq!(plugin.filter(Message::test(r#"{"n":2}"#)), Ok(Verdict::drop("rule 2 matches")));
    assert_eq!(plugin.filter(Message::test(r#"{"n":3}"#)), Ok(Verdict::Pass));
    assert_eq!(plugin.filter(Message::test(r#"{"n":4}"#)), Err(Error::reject("no rule matches")));
    assert!(plugin.filter(Message::test("{")).unwrap_err().reason().starts_with("payload: not JSON at byte 1"));
}

#[test]
fn a_config_that_will_not_do_is_refused_by_name() {
    let why = |json: &str| plugin(json).err().unwrap().reason().to_owned();
    let rule = |rule: &str| why(&format!(r#"{{"rules": [{{}}, {rule}]}}"#));
    assert_eq!(why(r#"{"rules": []}"#), "config.rules: expected at least one");
    assert!(
        rule(r#"{"when": {"json": "a..b", "exists": true}}"#).starts_with("config.rules[1].when.json: `a..b` is not")
    );
    assert!(rule(r#"{"when": {"equals": 1}}"#).ends_with("when.equals: expected a string, not `1`"));
    assert!(
        rule(r#"{"when": {"exists": true}}"#).ends_with("when.json: expected one of `json`, `header` and `envelope`")
    );
    assert!(
        rule(r#"{"when": [{"json": "a", "exists": true}, {"json": "a"}]}"#).contains("when[1].equals: expected one of")
    );
    assert!(rule(r#"{"when": {"json": "a", "equals": [1]}}"#).ends_with("expected a string, a number or a boolean"));
    assert!(rule(r#"{"when": {"json": "a", "matches": "("}}"#).starts_with("config.rules[1].when.matches: "));
    assert!(rule(r#"{"topic": "{nothing}"}"#).starts_with("config.rules[1].topic: nothing is known as `{nothing}`"));
    assert!(rule(r#"{"drop": true, "topic": "a"}"#).starts_with("config.rules[1].drop: what is dropped"));
    assert!(rule(r#"{"when": {"jsno": "a"}}"#).starts_with("config.rules[1].when"));
}
