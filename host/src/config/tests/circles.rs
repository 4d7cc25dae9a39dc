//! Pipelines that may feed themselves.

use super::*;

/// A pipeline that takes from `from` and publishes through `publisher`, which may do `grants`.
fn step(name: &str, from: &str, publisher: &str, grants: &str) -> String {
    format!(
        "[pipeline.{name}]\nfrom = {{ {from} }}\npublish = [\"{publisher}\"]\n[plugin.{publisher}]\nallow_redis = [{grants}]\n"
    )
}

#[test]
fn a_pipeline_that_may_feed_its_own_source_is_warned_of_at_the_grant() {
    let (place, message, advice) = only_fault(&step("p", "list = \"q\"", "out", "\"SET a:*\", \"RPUSH q\""));
    assert_eq!(place, Some((5, 27)));
    assert_eq!(message, "what `out` puts there may come back without end: p → p");
    assert!(advice.contains("`backlog`"), "{advice}");
}

#[test]
fn a_circle_of_several_pipelines_is_told_once_with_its_way() {
    let text = [
        step("a", "list = \"one\"", "x", "\"XADD two\""),
        step("b", "stream = \"two\", group = \"g\"", "y", "\"PUBLISH three.x\", \"PUBLISH other\""),
        step("c", "pattern = \"three.*\"", "z", "\"* one\""),
        step("d", "list = \"four\"", "w", "\"RPUSH one\""),
    ]
    .concat();
    let told: Vec<String> = warned(&text).into_iter().filter(|told| told.contains("without end")).collect();
    assert_eq!(told, ["what `x` puts there may come back without end: a → b → c → a"]);
}

#[test]
fn what_only_reads_leads_elsewhere_or_does_not_reach_a_source_is_no_circle() {
    for grants in ["\"LLEN|LRANGE q\"", "\"RPUSH other\"", "\"* q*\"", "\"RPUSH *\"", ""] {
        let told = warned(&step("p", "list = \"q\"", "out", grants));
        assert!(!told.iter().any(|told| told.contains("without end")), "{grants}: {told:?}");
    }
}
