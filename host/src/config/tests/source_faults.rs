//! What is said about a bad `from`.

use super::*;

/// The faults of a pipeline whose first line is `from = …`.
fn from(from: &str) -> Vec<String> {
    refused(&format!("[pipeline.p]\nfrom = {from}\npublish = [\"o\"]\n"))
}

/// Column, message and advice of the only fault of a pipeline whose first line is `from = …`.
fn fault(from: &str) -> (usize, String, String) {
    let (place, message, advice) = only_fault(&format!("[pipeline.p]\nfrom = {from}\npublish = [\"o\"]\n"));
    (place.expect("a place").1, message, advice)
}

fn expected(column: usize, message: &str, advice: &str) -> (usize, String, String) {
    (column, message.to_owned(), advice.to_owned())
}

#[test]
fn a_source_is_a_table() {
    let nothing = refused("[pipeline.p]\npublish = [\"o\"]\n");
    assert_eq!(nothing, ["[pipeline.p] does not say where its messages come from"]);
    assert_eq!(from("\"q\""), ["`from` is a string, not a table"]);
    assert_eq!(from("[\"a\", \"b\"]"), ["`from` is a list, not a table"]);
}

#[test]
fn a_source_is_of_exactly_one_kind() {
    let kinds = "`list`, `stream`, `channel`, `pattern`, `shard_channel`, `resque`, `thoonk`";
    let help = format!("write one of {kinds}, such as `from = {{ list = \"…\" }}`");
    assert_eq!(fault("{}"), expected(8, "`from` names no source", &help));
    let help = "`group` goes with `stream`: write `stream = \"…\"` too";
    assert_eq!(fault("{ group = \"g\" }"), expected(8, "`from` names no source", help));
    let help = "leave one of them out; every source has a pipeline of its own";
    assert_eq!(fault("{ pattern = \"a*\", channel = \"a\" }"), expected(26, "`from` names two kinds of source", help));
    assert_eq!(fault("{ lists = \"q\" }"), expected(10, "unknown key `lists` in `from`", "did you mean `list`?"));
    assert_eq!(fault("{ Stream = \"q\" }").2, "did you mean `stream`?");
    assert_eq!(fault("{ shard-channel = \"q\" }").2, "did you mean `shard_channel`?");
}

#[test]
fn a_key_of_another_kind_of_source_is_told_from_an_unknown_one() {
    let help = "leave it out; only a source with `stream` has it";
    assert_eq!(fault("{ list = \"q\", group = \"g\" }"), expected(22, "`group` does not go with `list`", help));
    let help = "leave it out; only a source with `list` has it";
    assert_eq!(fault("{ channel = \"q\", weights = [1] }").2, help);
    let help = "leave it out; only a source with `stream` or `thoonk` has it";
    assert_eq!(fault("{ resque = \"q\", claim = \"1m\" }").2, help);
    let two = from("{ stream = \"q\", namespace = \"r\", cancels = 3 }");
    assert_eq!(two, ["`namespace` does not go with `stream`", "`cancels` does not go with `stream`"]);
    assert_eq!(fault("{ list = \"q\", wieghts = [1] }").2, "did you mean `weights`?");
    assert_eq!(fault("{ channel = \"q\", x = 1 }").2, "the keys here are `channel`");
    assert_eq!(fault("{ list = \"q\", take = \"newest\" }").2, "`take` belongs under [pipeline.NAME]");
}

#[test]
fn every_kind_wants_names() {
    for kind in ["list", "channel", "pattern", "shard_channel", "resque"] {
        assert_eq!(from(&format!("{{ {kind} = \"\" }}")), [format!("`{kind}` is empty")]);
        assert_eq!(from(&format!("{{ {kind} = \"${{EMPTY}}\" }}")), [format!("`{kind}` is empty")]);
        assert_eq!(from(&format!("{{ {kind} = [] }}")), [format!("`{kind}` names nothing")]);
        assert_eq!(from(&format!("{{ {kind} = [\"a\", \"\", 7] }}")).len(), 2);
        assert_eq!(from(&format!("{{ {kind} = 7 }}")), [format!("`{kind}` is a whole number, not a string")]);
        let twice = from(&format!("{{ {kind} = [\"a\", \"b\", \"a\", \"a\"] }}"));
        assert_eq!(twice, vec![format!("this stands in `{kind}` twice"); 2]);
    }
    for kind in ["stream", "thoonk"] {
        assert_eq!(from(&format!("{{ {kind} = \"\" }}")), [format!("`{kind}` is empty")]);
        assert_eq!(from(&format!("{{ {kind} = [\"a\"] }}")), [format!("`{kind}` is a list, not a string")]);
    }
}

#[test]
fn a_doublet_is_shown_beside_the_first() {
    let text = "[pipeline.p]\nfrom = { list = [\"a\", \"b\", \"a\"] }\npublish = [\"o\"]\n";
    assert_eq!(
        read(text).expect_err("a doublet").to_string(),
        "error: this stands in `list` twice\n --> gristmill.toml:2:28\n  |\n\
         2 | from = { list = [\"a\", \"b\", \"a\"] }\n  |                  ---       ^^^\n  \
         |                  |\n  |                  first here\n  |\n  = help: leave one of them out"
    );
}

#[test]
fn there_are_as_many_weights_as_lists() {
    let help = "write one for each list, in the same order";
    let message = "`weights` has 1 number for 2 lists";
    assert_eq!(fault("{ list = [\"a\", \"b\"], weights = [3] }"), expected(39, message, help));
    assert_eq!(from("{ list = \"a\", weights = [3, 1] }"), ["`weights` has 2 numbers for 1 list"]);
    assert_eq!(from("{ list = \"a\", weights = [0] }"), ["`weights` is out of range"]);
    assert_eq!(from("{ list = \"a\", weights = 3 }"), ["`weights` is a whole number, not a list"]);
    assert_eq!(from("{ list = \"a\", pushed = \"top\" }"), ["`pushed` is neither \"right\" nor \"left\""]);
}

#[test]
fn a_stream_begins_where_there_can_be_an_entry() {
    let help = "write \"oldest\", \"newest\", or the id of an entry, such as \"1700000000000-0\"";
    assert_eq!(fault("{ stream = \"s\", start = \"$\" }"), expected(32, "`start` is no place in a stream", help));
    let none = "`done` is none of \"keep\", \"delete\", \"trim\"";
    assert_eq!(fault("{ stream = \"s\", done = \"deleted\" }"), expected(31, none, "did you mean \"delete\"?"));
    assert_eq!(from("{ stream = \"s\", group = \"\", payload = \"\" }"), ["`group` is empty", "`payload` is empty"]);
    assert_eq!(from("{ stream = \"s\", claim = \"always\" }"), ["`claim` is not a duration"]);
    assert_eq!(from("{ stream = \"s\", claim = \"${NONE}\" }"), ["the environment variable `NONE` is not set"]);
    assert_eq!(from("{ stream = \"s\", claim = \"1ms\" }"), ["`claim` is out of range"]);
    assert_eq!(from("{ stream = \"s\", claim = 300 }"), ["`claim` has no unit"]);
}

#[test]
fn a_word_instead_of_a_value_is_advised_too() {
    let help = "write a number from 1 to 1000000000, without quotes, or \"all\"";
    let text = "[pipeline.p]\nfrom.list = \"q\"\npublish = [\"o\"]\nbacklog.keep = \"some\"\n";
    assert_eq!(only_fault(text).2, help);
    assert!(fault("{ stream = \"s\", claim = \"5\" }").2.ends_with(", or \"never\""));
}

#[test]
fn resque_names_are_such_that_its_workers_understand_them() {
    let help = "write several queues as a list: `resque = [\"critical\", \"*\"]`";
    assert_eq!(fault("{ resque = [\"a\", \"high,low\"] }"), expected(25, "`resque` holds a comma", help));
    assert_eq!(from("{ resque = \"q\", host = \"\" }"), ["`host` is empty"]);
    assert_eq!(from("{ resque = \"q\", host = \"web:1\" }"), ["`host` holds a colon"]);
    assert_eq!(from("{ resque = \"q\", namespace = \"app:\" }"), ["`namespace` ends in a colon"]);
    assert_eq!(from("{ resque = \"q\", retries = \"none\" }"), ["`retries` is neither \"own\" nor \"scheduler\""]);
}

#[test]
fn a_thoonk_feed_has_values_of_the_right_types() {
    let none = "`kind` is none of \"auto\", \"feed\", \"queue\", \"job\"";
    assert_eq!(fault("{ thoonk = \"t\", kind = \"jobs\" }"), expected(31, none, "did you mean \"job\"?"));
    assert_eq!(from("{ thoonk = \"t\", result = \"yes\" }"), ["`result` is a string, not true or false"]);
    assert_eq!(from("{ thoonk = \"t\", cancels = -1 }"), ["`cancels` is out of range"]);
    assert_eq!(from("{ thoonk = \"t\", claim = \"never\" }"), ["`claim` is not a duration"]);
}

#[test]
fn every_fault_of_a_source_is_reported_at_once() {
    let faults = from("{ stream = 1, group = \"\", start = \"x\", done = 2, claim = 3, pushed = 4, what = 5 }");
    assert_eq!(faults.len(), 7, "{faults:#?}");
}
