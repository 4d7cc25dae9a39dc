//! The filter there and back.

use super::*;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use gristmill_sdk::{Change, config};
use std::io::{Read, Write};

fn plugin(json: &str) -> Result<Gzip> {
    Gzip::new(config::parse(json)?)
}

fn change(plugin: &mut Gzip, message: Message) -> Change {
    match plugin.filter(message).unwrap() {
        Verdict::Replace(change) => change,
        verdict => panic!("{verdict:?}"),
    }
}

fn gunzip() -> Gzip {
    plugin(r#"{"mode": "gunzip"}"#).unwrap()
}

/// What another implementation compresses.
fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_compressed_can_be_read_by_others_and_again_by_us() {
    let long: Vec<u8> = (0..300_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for level in 0..=9 {
        let mut gzip = plugin(&format!(r#"{{"level": {level}}}"#)).unwrap();
        for payload in [b"".as_slice(), b"x", &b"hello ".repeat(1000), &long] {
            let compressed = change(&mut gzip, Message::test(payload)).payload.unwrap();
            let mut read = Vec::new();
            GzDecoder::new(&compressed[..]).read_to_end(&mut read).unwrap();
            assert!(read == payload, "level {level}, {} bytes", payload.len());
            assert!(change(&mut gunzip(), Message::test(compressed)).payload.unwrap() == payload);
        }
    }
}

#[test]
fn text_becomes_shorter_and_the_same_bytes_every_time() {
    let mut gzip = plugin("{}").unwrap();
    let text = r#"{"type":"order","state":"paid"}"#.repeat(40);
    let first = change(&mut gzip, Message::test(text.clone()));
    assert!(first.payload.as_ref().unwrap().len() < text.len() / 10);
    assert_eq!(change(&mut gzip, Message::test(text)), first);
}

#[test]
fn the_header_says_what_was_done_and_is_undone() {
    let mut gzip = plugin("{}").unwrap();
    let compressed = |gzip: &mut Gzip, message| change(gzip, message).headers;
    let set = |value: &str| [("content-encoding".to_owned(), Some(value.to_owned()))];
    assert_eq!(compressed(&mut gzip, Message::test("x")), set("gzip"));
    assert_eq!(compressed(&mut gzip, Message::test("x").with_header("Content-Encoding", "br")), set("br, gzip"));
    let undone = |value: &str| {
        change(&mut gunzip(), Message::test(gzipped(b"x")).with_header("content-encoding", value)).headers
    };
    assert_eq!(undone("GZIP"), [("content-encoding".to_owned(), None)]);
    assert_eq!(undone("br, gzip"), set("br"));
    assert_eq!(undone("br"), []);
}

#[test]
fn short_payloads_are_left_alone_where_that_is_wanted() {
    let mut gzip = plugin(r#"{"at_least": 3}"#).unwrap();
    assert_eq!(gzip.filter(Message::test("ab")), Ok(Verdict::Pass));
    assert_ne!(gzip.filter(Message::test("abc")), Ok(Verdict::Pass));
    let mut gunzip = plugin(r#"{"mode": "gunzip", "plain": "pass"}"#).unwrap();
    assert_eq!(gunzip.filter(Message::test("ab")), Ok(Verdict::Pass));
}

#[test]
fn a_bomb_is_rejected_at_the_bound_and_not_a_byte_before() {
    let mut gunzip = plugin(r#"{"mode": "gunzip", "most_kib": 64}"#).unwrap();
    let just = vec![0; 64 * 1024];
    assert_eq!(change(&mut gunzip, Message::test(gzipped(&just))).payload.unwrap(), just);
    let bomb = gzipped(&vec![0; 64 * 1024 + 1]);
    assert!(bomb.len() < 1000);
    // Members behind each other count together.
    for bomb in [bomb, gzipped(&just[1..]).repeat(2)] {
        let error = gunzip.filter(Message::test(bomb)).unwrap_err();
        assert_eq!(error, Error::reject("payload: decompresses to more than 64 KiB, see `most_kib`"));
    }
}

#[test]
fn what_is_damaged_is_rejected() {
    let whole = gzipped(&b"hello".repeat(100));
    for cut in 0..whole.len() {
        assert!(gunzip().filter(Message::test(&whole[..cut])).is_err(), "{cut}");
    }
    let mut wrong = whole.clone();
    let sum = whole.len() - 6;
    wrong[sum] ^= 1;
    let error = gunzip().filter(Message::test(wrong)).unwrap_err();
    assert!(error.reason().starts_with("payload: not whole as gzip: "), "{error}");
    assert!(gunzip().filter(Message::test([whole.as_slice(), b"x"].concat())).is_err());
    assert_eq!(gunzip().filter(Message::test("{}")), Err(Error::reject("payload: not gzip")));
    assert_eq!(change(&mut gunzip(), Message::test(whole.repeat(2))).payload.unwrap(), b"hello".repeat(200));
}

#[test]
fn a_config_that_will_not_do_is_refused_by_name() {
    let why = |json: &str| plugin(json).err().unwrap().reason().to_owned();
    assert_eq!(why(r#"{"level": 10}"#), "config.level: expected 0 to 9, not 10");
    assert_eq!(why(r#"{"mode": "gunzip", "level": 1}"#), "config.level: only `mode = \"gzip\"` has it");
    assert_eq!(why(r#"{"most_kib": 1}"#), "config.most_kib: only `mode = \"gunzip\"` has it");
    assert_eq!(why(r#"{"mode": "gunzip", "most_kib": 0}"#), "config.most_kib: expected 1 or more");
    assert!(why(r#"{"mode": "zip"}"#).starts_with("config.mode: unknown variant `zip`"));
}
