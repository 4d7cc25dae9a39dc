//! What is said about keys that change nothing.

use super::*;

/// The warnings about one pipeline.
fn odd(from: &str, lines: &str) -> Vec<String> {
    warned(&format!("[pipeline.p]\nfrom = {from}\npublish = [\"o\"]\n{lines}\n"))
}

const NONE: [&str; 0] = [];
const LIST: &str = "{ list = \"x\" }";
const STREAM: &str = "{ stream = \"x\" }";
const CHANNEL: &str = "{ pattern = \"x\" }";
const RESQUE: &str = "{ resque = \"x\" }";
const THOONK: &str = "{ thoonk = \"x\" }";
const FEED: &str = "{ thoonk = \"x\", kind = \"feed\" }";

#[test]
fn only_lists_are_taken_from_at_either_end() {
    let line = "take = \"newest\"";
    assert_eq!(odd(LIST, line), NONE);
    assert_eq!(odd(STREAM, line), ["`take` has no effect on a stream"]);
    assert_eq!(odd(CHANNEL, line), ["`take` has no effect on channels"]);
    assert_eq!(odd(RESQUE, line), ["`take` has no effect on Resque queues"]);
    assert_eq!(odd(THOONK, line), ["`take` has no effect on a Thoonk feed"]);
}

#[test]
fn only_lists_and_channels_have_a_backlog() {
    let line = "backlog = { keep = 9 }";
    assert_eq!((odd(LIST, line), odd(CHANNEL, line)), (vec![], vec![]));
    assert_eq!(odd(STREAM, line), ["`backlog` has no effect on a stream"]);
    assert_eq!(odd(RESQUE, line), ["`backlog` has no effect on Resque queues"]);
    assert_eq!(odd(THOONK, line), ["`backlog` has no effect on a Thoonk feed"]);
    assert_eq!(odd(LIST, "backlog = { drop = \"newest\" }"), ["`backlog` has no effect without `keep`"]);
}

#[test]
fn what_only_the_node_keeps_leaves_nothing_in_redis() {
    let lines = "retry.attempts = 2\norder_retries = \"overtake\"\norder_by = \"topic\"\n\
                 dead_letters = \"dead\"\nkeep_dead.most = 1\njournal = false";
    for from in [LIST, STREAM, RESQUE, THOONK] {
        assert_eq!(odd(from, lines), NONE, "{from}");
    }
    let keys = ["dead_letters", "keep_dead", "journal"];
    assert_eq!(odd(CHANNEL, lines), keys.map(|key| format!("`{key}` has no effect on channels")));
    assert_eq!(odd(FEED, lines), keys.map(|key| format!("`{key}` has no effect on a Thoonk feed")));
    assert_eq!(odd(CHANNEL, "order_by = \"topic\""), NONE);
}

#[test]
fn retries_stay_in_order_only_where_there_is_one() {
    let line = "order_retries = \"overtake\"";
    assert_eq!(odd(LIST, line), ["`order_retries` has no effect without `order_by`"]);
    assert_eq!(odd(LIST, &format!("order_by = \"nothing\"\n{line}")).len(), 1);
    assert_eq!(odd(LIST, &format!("order_by = \"topic\"\n{line}")), NONE);
}

#[test]
fn only_jobs_are_claimed_and_finished() {
    let feed =
        |kind: &str| format!("{{ thoonk = \"x\", kind = \"{kind}\", claim = \"1m\", cancels = 1, result = true }}");
    assert_eq!((odd(&feed("job"), ""), odd(&feed("auto"), "")), (vec![], vec![]));
    for kind in ["queue", "feed"] {
        let expected =
            ["claim", "cancels", "result"].map(|key| format!("`{key}` has no effect where `kind` is not \"job\""));
        assert_eq!(odd(&feed(kind), ""), expected);
    }
}

#[test]
fn a_key_that_says_what_is_so_anyway_is_left_alone() {
    let lines = "take = \"oldest\"\nbacklog = { drop = \"oldest\" }\nretry = { attempts = 8 }\nkeep_dead = {}\n\
                 order_retries = \"hold\"";
    for from in [LIST, STREAM, CHANNEL, RESQUE, THOONK, FEED] {
        assert_eq!(odd(from, lines), NONE, "{from}");
    }
}

#[test]
fn the_value_is_pointed_at() {
    let text = "[pipeline.p]\nfrom = { stream = \"s\" }\ntake = \"newest\"\npublish = [\"o\"]\n";
    let help = "leave it out; only a list can be taken from at either end";
    assert_eq!(only_fault(text), (Some((3, 8)), "`take` has no effect on a stream".to_owned(), help.to_owned()));
}
