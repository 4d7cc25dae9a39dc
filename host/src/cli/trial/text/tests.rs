use super::{
    super::sample::{self, message},
    *,
};
use crate::{
    plugin::Line,
    request::{HttpReply, HttpRequest},
};
use bytes::Bytes;
use std::time::Duration;

fn tried(payload: &[u8], end: End) -> Tried {
    Tried { took: Duration::from_micros(38), memory: Some(1 << 20), ..sample::tried(payload, end) }
}

fn said(tried: &Tried) -> String {
    story(tried, Paint::PLAIN)
}

#[test]
fn a_replaced_message_shows_what_changed() {
    let mut after = message(br#"{"ip":null}"#);
    after.headers.push(("seen".into(), "yes".into()));
    after.topic = "news".into();
    let mut tried = tried(br#"{"ip":"192.0.2.1","id":7}"#, End::Replace(after));
    tried.start = Some(Duration::from_millis(2));
    assert_eq!(
        said(&tried),
        "try-1  replace  (38 µs after a start of 2 ms, 1 MiB of memory)\n  ~ topic: try → news\n  + header seen: yes\n  \
         - payload id: 7\n  ~ payload ip: \"192.0.2.1\" → null\n"
    );
}

#[test]
fn a_split_message_shows_its_children() {
    let parent = message(b"a b");
    let child = |index, payload: &'static [u8]| {
        let change = crate::message::Change { payload: Some(Bytes::from_static(payload)), ..Default::default() };
        parent.child(index, change)
    };
    let text = said(&tried(b"a b", End::Split(vec![child(0, b"a"), child(1, b"\xff")])));
    let expected = "  try-1/0\n    - a b\n    + a\n  try-1/1\n    ~ payload: the same up to byte 0, then\n    \
                    - 61 20 62 (3 bytes in all)\n    + ff (1 bytes in all)\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_publisher_shows_what_it_sends_and_what_it_was_answered() {
    let request = Request::Http(HttpRequest {
        method: "POST".into(),
        url: "http://h/".into(),
        headers: vec![("a".into(), "b\u{1b}[2J".into())],
        body: Bytes::from_static(b"hello"),
        template: false,
        timeout: Some(Duration::from_secs(3)),
    });
    let reply = Reply::Http(Ok(HttpReply { status: 429, headers: Vec::new(), body: Bytes::new() }));
    let after = Some(Duration::from_secs(7));
    let mut tried = tried(b"hello", End::Retry { after, reason: "busy".into() });
    tried.rounds = vec![vec![Exchange { request, reply, carries: Vec::new() }]];
    assert_eq!(
        said(&tried),
        "try-1  retry after 7 s: busy  (38 µs, 1 MiB of memory)\n  → POST http://h/ within 3 s\n      a: b\\u{1b}[2J\n      \
         (the payload, 5 bytes)\n  ← 429\n"
    );
}

#[test]
fn a_command_of_redis_is_one_line() {
    let words = [&b"RPUSH"[..], b"out", b"two words", b"", b"\xff"].map(Bytes::copy_from_slice);
    let request = Request::Redis(words.to_vec());
    let reply = Reply::Redis(Err(Failure::Denied("no".into())));
    let mut tried = tried(b"", End::Done);
    tried.rounds = vec![vec![Exchange { request, reply, carries: Vec::new() }]];
    let expected = "  → Redis RPUSH out \"two words\" \"\" (ff (1 bytes in all))\n  ← denied: no\n";
    assert!(said(&tried).ends_with(expected), "{}", said(&tried));
}

#[test]
fn a_command_with_the_settling_says_so_and_what_it_is_answered() {
    let request = Request::RedisWithSettling(vec!["INCR".into(), "count".into()]);
    let reply = Reply::Redis(Ok(RedisValue::queued()));
    let mut tried = tried(b"", End::Done);
    tried.rounds = vec![vec![Exchange { request, reply, carries: Vec::new() }]];
    let expected = "  → Redis, with the settling: INCR count\n  ← QUEUED\n";
    assert!(said(&tried).ends_with(expected), "{}", said(&tried));
}

#[test]
fn a_request_for_a_batch_names_its_messages_and_a_batch_that_broke_is_told() {
    let (request, reply) = (Request::Redis(vec!["PING".into()]), Reply::Redis(Err(Failure::Denied("no".into()))));
    let carries: Vec<Arc<str>> = (1..=52).map(|number| format!("try-{number}").into()).collect();
    let mut tried = tried(b"", End::Done);
    tried.rounds = vec![vec![Exchange { request, reply, carries }]];
    tried.batch = Some(52);
    tried.start = Some(Duration::from_millis(2));
    let text = said(&tried);
    assert!(
        text.starts_with("try-1  done  (38 µs each in a batch of 52 after a start of 2 ms, 1 MiB of memory)\n"),
        "{text}"
    );
    assert!(text.contains("\n      (for try-1, try-2, ") && text.contains("try-50 … 2 more messages)\n  ← "), "{text}");
    tried.broke = Some(Broke { size: 3, reason: "trapped".into() });
    let told = "\n  broke over a batch of 3, of which each message was tried alone then: trapped\n  → ";
    assert!(said(&tried).contains(told), "{}", said(&tried));
}

#[test]
fn what_a_plugin_says_stands_below_its_message() {
    let mut tried = tried(b"", End::Broken("trapped".into()));
    tried.memory = None;
    tried.said.lines.push(Line { loudness: Loudness::Warn, text: "panicked".into() });
    tried.said.more = 3;
    assert_eq!(said(&tried), "try-1  broken: trapped  (38 µs)\n  log warn  panicked\n  … 3 more lines\n");
}

#[test]
fn much_is_cut_and_counted() {
    let long = "x".repeat(SHOWN + 5);
    let text = said(&tried(b"", End::Reject(long)));
    assert!(text.contains(&format!("x… ({} bytes in all)", SHOWN + 5)), "{text}");
    let before: String = (0..60).map(|n| format!("{n}\n")).collect();
    let text = said(&tried(before.as_bytes(), End::Replace(message(b"none"))));
    assert!(text.ends_with("… 12 more lines\n"), "{text}");
}
