//! What is said about sources that several pipelines have to do with.

use super::*;

/// The warnings about two pipelines with these sources.
fn both(a: &str, b: &str) -> Vec<String> {
    warned(&format!("[pipeline.a]\nfrom = {a}\npublish = [\"x\"]\n[pipeline.b]\nfrom = {b}\npublish = [\"y\"]\n"))
}

fn same(what: &str) -> Vec<String> {
    vec![format!("[pipeline.a] and [pipeline.b] take from {what}, so each message goes to one of them")]
}

const NONE: [&str; 0] = [];

#[test]
fn pipelines_that_take_from_each_other_are_told() {
    assert_eq!(both("{ list = [\"a\", \"b\"] }", "{ list = [\"c\", \"b\", \"a\"] }"), same("the same list"));
    assert_eq!(both("{ stream = \"s\" }", "{ stream = \"s\" }"), same("the same stream in the same group"));
    assert_eq!(both("{ resque = [\"a\", \"b\"] }", "{ resque = \"b\" }"), same("the same Resque queue"));
    assert_eq!(both("{ thoonk = \"t\" }", "{ thoonk = \"t\", kind = \"job\" }"), same("the same Thoonk feed"));
}

#[test]
fn pipelines_that_each_get_every_message_are_not() {
    assert_eq!(both("{ stream = \"s\" }", "{ stream = \"s\", group = \"other\" }"), NONE);
    assert_eq!(both("{ channel = \"c\" }", "{ channel = \"c\" }"), NONE);
    assert_eq!(both("{ thoonk = \"t\", kind = \"feed\" }", "{ thoonk = \"t\", kind = \"feed\" }"), NONE);
    assert_eq!(both("{ resque = \"q\" }", "{ resque = \"q\", namespace = \"other\" }"), NONE);
    assert_eq!(both("{ list = \"q\" }", "{ stream = \"q\" }"), NONE);
}

#[test]
fn of_three_on_one_list_each_further_one_is_told() {
    let table = |name: &str| format!("[pipeline.{name}]\nfrom.list = \"q\"\npublish = [\"x\"]\n");
    assert_eq!(warned(&["a", "b", "c"].map(table).concat()).len(), 2);
}

#[test]
fn a_list_that_is_a_resque_queue_is_told() {
    let expected =
        "[pipeline.a] takes from the list of a Resque queue of [pipeline.b], so each job goes to one of them";
    let list = "{ list = \"resque:queue:low\" }";
    assert_eq!(both(list, "{ resque = [\"high\", \"low\"] }"), [expected]);
    assert_eq!(both(list, "{ resque = \"*\" }"), [expected]);
    assert_eq!(both("{ list = \"queue:low\" }", "{ resque = \"low\", namespace = \"\" }"), [expected]);
    assert_eq!(both(list, "{ resque = \"high\" }"), NONE);
    assert_eq!(both(list, "{ resque = \"low\", namespace = \"other\" }"), NONE);
    assert_eq!(both("{ list = \"resque:queue:.low\" }", "{ resque = \"*\" }"), NONE);
}

#[test]
fn dead_letters_do_not_go_where_a_pipeline_takes_from() {
    let dead = |from: &str, key: &str| {
        only_fault(&format!("[pipeline.p]\nfrom = {from}\npublish = [\"o\"]\ndead_letters = \"{key}\"\n"))
    };
    for (from, key, what) in
        [("{ list = [\"p\", \"q\"] }", "q", "a list"), ("{ resque = \"q\" }", "resque:queue:q", "a Resque queue")]
    {
        let (place, message, _) = dead(from, key);
        assert_eq!(message, format!("`dead_letters` is {what} that a pipeline takes from"));
        assert_eq!(place, Some((4, 16)));
    }
}

/// Pipelines that each take from a stream, or a list of that name, and give up to another one.
fn giving_up(pipelines: &[(&str, &str)]) -> String {
    let table = |(from, dead): &(&str, &str)| {
        let kind = if from.starts_with('s') { "stream" } else { "list" };
        format!("[pipeline.from-{from}]\nfrom.{kind} = \"{from}\"\npublish = [\"o\"]\ndead_letters = \"{dead}\"\n")
    };
    pipelines.iter().map(table).collect()
}

#[test]
fn dead_letters_may_be_taken_by_another_pipeline_unless_they_come_back() {
    assert_eq!(warned(&giving_up(&[("a", "s1"), ("b", "s1"), ("s1", "s2"), ("s2", "dead")])), NONE);
    let back = "`dead_letters` is a stream from which they come back to this pipeline without end";
    assert_eq!(refused(&giving_up(&[("s1", "s1")])), [back]);
    assert_eq!(refused(&giving_up(&[("a", "s1"), ("s1", "s2"), ("s2", "s1")])), [back, back]);
}
