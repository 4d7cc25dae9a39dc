//! What a good `from`, and the keys about it, mean.

use super::*;

fn from(from: &str) -> From {
    pipeline(&format!("from = {from}")).from
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn lists_are_one_or_several_with_weights_and_either_end() {
    assert_eq!(from("{ list = \"a\" }"), from_list("a"));
    assert_eq!(from("{ list = [\"a\"], weights = [], pushed = \"right\" }"), from_list("a"));
    let expected = Lists { names: strings(&["a", "b"]), weights: Some(vec![3, 1]), pushed: End::Left };
    assert_eq!(from("{ list = [\"a\", \"b\"], weights = [3, 1], pushed = \"left\" }"), From::Lists(expected));
}

#[test]
fn a_stream_has_a_group_and_what_becomes_of_its_entries() {
    let plain = Stream {
        name: "s".to_owned(),
        group: "gristmill".to_owned(),
        start: Start::Oldest,
        payload: "payload".to_owned(),
        done: Done::Keep,
        claim: None,
    };
    assert_eq!(from("{ stream = \"s\" }"), From::Stream(plain.clone()));
    assert_eq!(from("{ stream = \"s\", claim = \"${NONE:-never}\" }"), From::Stream(plain));
    let expected = Stream {
        name: "s".to_owned(),
        group: "g".to_owned(),
        start: Start::After("1700000000000-0".to_owned()),
        payload: "body".to_owned(),
        done: Done::Trim,
        claim: Some(Duration::from_secs(300)),
    };
    let text = "{ stream = \"s\", group = \"g\", start = \"1700000000000-0\", payload = \"body\", done = \"trim\", claim = \"5m\" }";
    assert_eq!(from(text), From::Stream(expected));
    for (text, start) in [("oldest", Start::Oldest), ("newest", Start::Newest), ("0", Start::After("0".to_owned()))] {
        let from = from(&format!("{{ stream = \"s\", start = \"{text}\", done = \"delete\" }}"));
        assert!(matches!(from, From::Stream(stream) if stream.start == start && stream.done == Done::Delete));
    }
}

#[test]
fn channels_are_named_matched_or_sharded() {
    for (key, kind) in
        [("channel", ChannelKind::Exact), ("pattern", ChannelKind::Pattern), ("shard_channel", ChannelKind::Sharded)]
    {
        let expected = From::Channels(Channels { kind, names: strings(&["a"]) });
        assert_eq!(from(&format!("{{ {key} = \"a\" }}")), expected);
        let expected = From::Channels(Channels { kind, names: strings(&["a", "b"]) });
        assert_eq!(from(&format!("{{ {key} = [\"a\", \"b\"] }}")), expected);
    }
}

#[test]
fn resque_has_a_namespace_that_may_be_empty() {
    let plain = Resque {
        queues: strings(&["critical", "*", "!low"]),
        namespace: "resque".to_owned(),
        host: None,
        scheduler: false,
    };
    assert_eq!(from("{ resque = [\"critical\", \"*\", \"!low\"] }"), From::Resque(plain));
    let expected = Resque {
        queues: strings(&["q"]),
        namespace: String::new(),
        host: Some("web-1.mill".to_owned()),
        scheduler: true,
    };
    let text = "{ resque = \"q\", namespace = \"\", host = \"web-1.mill\", retries = \"scheduler\" }";
    assert_eq!(from(text), From::Resque(expected));
}

#[test]
fn a_thoonk_feed_is_what_redis_says_or_what_the_file_says() {
    let plain = Thoonk { feed: "f".to_owned(), kind: None, claim: Duration::from_secs(600), cancels: 3, result: false };
    assert_eq!(from("{ thoonk = \"f\" }"), From::Thoonk(plain.clone()));
    assert_eq!(from("{ thoonk = \"f\", kind = \"auto\" }"), From::Thoonk(plain.clone()));
    for (text, kind) in [("feed", ThoonkKind::Feed), ("queue", ThoonkKind::Queue), ("job", ThoonkKind::Job)] {
        let expected = Thoonk { kind: Some(kind), ..plain.clone() };
        assert_eq!(from(&format!("{{ thoonk = \"f\", kind = \"{text}\" }}")), From::Thoonk(expected));
    }
    let expected = Thoonk { claim: Duration::from_secs(30), cancels: 0, result: true, ..plain };
    assert_eq!(from("{ thoonk = \"f\", claim = \"30s\", cancels = 0, result = true }"), From::Thoonk(expected));
}

#[test]
fn a_source_may_have_a_header_of_its_own() {
    let config = good("[pipeline.p]\npublish = [\"o\"]\n[pipeline.p.from]\npushed = \"right\"\nlist = \"a\"\n").config;
    assert_eq!(config.pipelines.get("p").expect("is there").from, from_list("a"));
}

#[test]
fn a_backlog_keeps_so_many_and_drops_one_end() {
    let backlog = |lines: &str| pipeline(&format!("from.list = \"q\"\n{lines}")).backlog;
    assert_eq!(backlog("backlog = { keep = \"all\" }"), None);
    assert_eq!(backlog("backlog = { keep = 1 }"), Some(Backlog { keep: 1, drop: Take::Oldest }));
    let expected = Backlog { keep: 1_000_000_000, drop: Take::Newest };
    assert_eq!(backlog("backlog = { keep = 1_000_000_000, drop = \"newest\" }"), Some(expected));
}

#[test]
fn order_holds_back_unless_told_otherwise() {
    let order = |lines: &str| pipeline(&format!("from.list = \"q\"\n{lines}")).order;
    assert_eq!(order("order_by = \"nothing\""), None);
    assert_eq!(order("order_by = \"topic\""), Some(Order { by: OrderBy::Topic, hold: true }));
    let by = OrderBy::Header("user".to_owned());
    assert_eq!(order("order_by = \"header:user\"\norder_retries = \"hold\""), Some(Order { by, hold: true }));
    let by = OrderBy::Json("/user/id".to_owned());
    assert_eq!(order("order_by = \"json:/user/id\"\norder_retries = \"overtake\""), Some(Order { by, hold: false }));
}

#[test]
fn the_other_keys_of_a_pipeline_are_read() {
    let pipeline = pipeline(
        "from.list = \"q\"\ntake = \"newest\"\nretry = { crashes = 1, attempts = 2 }\n\
         keep_dead = { most = 7, longest = \"1h\" }",
    );
    assert_eq!(pipeline.take, Take::Newest);
    assert_eq!((pipeline.retry.crashes, pipeline.retry.attempts), (1, 2));
    assert_eq!(pipeline.keep_dead, KeepDead { most: 7, longest: Duration::from_secs(3_600) });
}
