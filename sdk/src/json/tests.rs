//! Editing JSON, case by case; `tests/json.rs` compares it with serde_json on random documents.

use super::*;

fn removed(document: &str, paths: &[&str]) -> String {
    let edited = Paths::new(paths).unwrap().remove(document.as_bytes()).unwrap();
    edited.map_or_else(|| "as it was".into(), |edited| String::from_utf8(edited).unwrap())
}

fn set_to_1(document: &str, paths: &[&str]) -> String {
    let edited = Paths::new(paths).unwrap().set(document.as_bytes(), &Json::parse("1").unwrap()).unwrap();
    edited.map_or_else(|| "as it was".into(), |edited| String::from_utf8(edited).unwrap())
}

fn fault(document: impl AsRef<[u8]>) -> String {
    check(document.as_ref()).unwrap_err().to_string()
}

#[test]
fn a_removed_member_takes_one_comma_with_it() {
    let document = r#"{ "a": 1 , "b": 2 , "c": 3 }"#;
    assert_eq!(removed(document, &["a"]), r#"{ "b": 2 , "c": 3 }"#);
    assert_eq!(removed(document, &["b"]), r#"{ "a": 1 , "c": 3 }"#);
    assert_eq!(removed(document, &["c"]), r#"{ "a": 1 , "b": 2 }"#);
    assert_eq!(removed(document, &["a", "b"]), r#"{ "c": 3 }"#);
    assert_eq!(removed(document, &["a", "c"]), r#"{ "b": 2 }"#);
    assert_eq!(removed(document, &["b", "c"]), r#"{ "a": 1 }"#);
    assert_eq!(removed(document, &["a", "b", "c"]), "{}");
    assert_eq!(removed(document, &["[]"]), "{}");
    assert_eq!(removed(document, &["d", "a.x"]), "as it was");
}

#[test]
fn elements_go_the_same_way() {
    assert_eq!(removed("[ 1, 2 ]", &["[]"]), "[]");
    assert_eq!(
        removed(r#"{"l": [{"x": 1, "y": 2}, 3, {"x": {}}, []]}"#, &["l[].x"]),
        r#"{"l": [{"y": 2}, 3, {}, []]}"#
    );
    let odd = Paths::new(["[]"]).unwrap();
    let edited =
        odd.edit(b"[1,22, 3,44]", |found| if found.raw.len() == 1 { Edit::Remove } else { Edit::Keep }).unwrap();
    assert_eq!(edited.as_deref(), Some(b"[22,44]".as_slice()));
}

#[test]
fn every_occurrence_of_a_key_is_meant_however_it_is_written() {
    assert_eq!(removed(r#"{"ip":1,"\u0069p":2,"x":3,"i\u0070":4,"\ud800":5}"#, &["ip"]), r#"{"x":3,"\ud800":5}"#);
    assert_eq!(removed(r#"{"a":{"b":1},"a":{"b":2,"c":3}}"#, &["a.b"]), r#"{"a":{},"a":{"c":3}}"#);
    assert_eq!(removed(r#"{"a.b":1,"ü":2,"":3}"#, &[r#""a.b""#, "ü", r#""""#]), "{}");
}

#[test]
fn each_covers_arrays_and_objects_beside_named_keys() {
    let document = r#"{"u":{"1":{"ip":1,"n":2},"me":{"ip":3,"n":4,"x":5}}}"#;
    assert_eq!(removed(document, &["u[].ip", "u.me.x"]), r#"{"u":{"1":{"n":2},"me":{"n":4}}}"#);
    assert_eq!(removed(document, &["[]"]), "{}");
}

#[test]
fn what_lies_inside_of_something_removed_is_not_judged() {
    assert_eq!(removed(r#"{"a":{"b":1},"c":2}"#, &["a", "a.b"]), r#"{"c":2}"#);
}

#[test]
fn setting_replaces_or_creates() {
    assert_eq!(set_to_1(r#"{"a": "x", "b": 2}"#, &["a"]), r#"{"a": 1, "b": 2}"#);
    assert_eq!(set_to_1("{ }", &["a"]), r#"{"a":1 }"#);
    assert_eq!(set_to_1(r#"{"b": 2 }"#, &["a.x", "a.y.z", "b"]), r#"{"b": 1,"a":{"x":1,"y":{"z":1}} }"#);
    assert_eq!(set_to_1(r#"{"l":[{},{"v":{}},3]}"#, &["l[].v"]), r#"{"l":[{"v":1},{"v":1},3]}"#);
    assert_eq!(set_to_1(r#"{"a":3}"#, &["a.b", "c[]"]), "as it was");
    assert_eq!(set_to_1("[]", &["a"]), "as it was");
}

#[test]
fn picking_keeps_what_paths_lead_to_and_nothing_else() {
    let picked = |document: &str, paths: &[&str]| {
        let edited = Paths::new(paths).unwrap().pick(document.as_bytes()).unwrap();
        edited.map_or_else(|| "as it was".into(), |edited| String::from_utf8(edited).unwrap())
    };
    let document =
        r#"{"id": 7, "user": {"name": "A", "ip": "1"}, "items": [{"sku": 1, "n": 2}, 3, {"n": [4]}], "x": {}}"#;
    assert_eq!(picked(document, &["id", "user.name"]), r#"{"id": 7, "user": {"name": "A"}}"#);
    assert_eq!(picked(document, &["items[].sku"]), r#"{"items": [{"sku": 1}, {}]}"#);
    assert_eq!(picked(document, &["user", "user.ip", "x.y"]), r#"{"user": {"name": "A", "ip": "1"}, "x": {}}"#);
    assert_eq!(picked(document, &["id.x", "none"]), "{}");
    assert_eq!(picked(document, &["[]"]), "as it was");
    assert_eq!(picked(r#"[{"a":1,"b":2},[],"c"]"#, &["[].a"]), r#"[{"a":1}]"#);
    assert_eq!((picked("[1]", &["a"]), picked("1", &["a"])), ("as it was".into(), "as it was".into()));
    assert!(Paths::new(["a"]).unwrap().pick(br#"{"a":1,"b":[}"#).is_err());
}

#[test]
fn found_values_are_as_written() {
    let document = br#"{"n":1e400, "s":"\ud83d\ude00", "o":{"n": [ 1 ]}}"#;
    let found = Paths::new(["o", "n", "o.n", "s"]).unwrap().find(document).unwrap();
    let raw: Vec<_> = found.iter().map(|found| (found.path, std::str::from_utf8(found.raw).unwrap())).collect();
    assert_eq!(raw, [(1, "1e400"), (3, r#""\ud83d\ude00""#), (0, r#"{"n": [ 1 ]}"#), (2, "[ 1 ]")]);
    assert_eq!(found[1].text().as_deref(), Some("😀"));
    assert_eq!(found[0].text(), None);
    assert_eq!(get(br#"{"a":1,"a":2}"#, "a").unwrap(), Some(b"2".as_slice()));
}

#[test]
fn what_is_not_touched_keeps_its_bytes() {
    let document = r#"{"n":-0.1E+400,"s":"\uDEAD\/","x":1}"#;
    assert_eq!(removed(document, &["x"]), r#"{"n":-0.1E+400,"s":"\uDEAD\/"}"#);
}

#[test]
fn depth_costs_no_stack() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    check(deep.as_bytes()).unwrap();
    let mixed = r#"{"a":[[[{"b":["#.repeat(20_000) + "1" + &"]}]]]}".repeat(20_000);
    check(mixed.as_bytes()).unwrap();
    assert_eq!(removed(&format!(r#"{{"a":{mixed},"b":{deep}}}"#), &["a"]), format!(r#"{{"b":{deep}}}"#));
    assert!(check(&deep.as_bytes()[..199_999]).is_err());
    assert!(check(mixed.replacen("]}", "}]", 1).as_bytes()).is_err());
}

#[test]
fn a_fault_says_where_and_what_was_expected() {
    assert_eq!(fault(""), "not JSON at byte 0: expected a value, but it ends there");
    assert_eq!(fault(" nil"), "not JSON at byte 1: expected a value");
    assert_eq!(fault("{\"a\" 1}"), "not JSON at byte 5: expected `:`");
    assert_eq!(fault("{\"a\":1,}"), "not JSON at byte 7: expected a key in quotes");
    assert_eq!(fault("[1,]"), "not JSON at byte 3: expected a value");
    assert_eq!(fault("[1}"), "not JSON at byte 2: expected `,` or `]`");
    assert_eq!(fault("[1"), "not JSON at byte 2: expected `,` or `]`, but it ends there");
    assert_eq!(fault("01"), "not JSON at byte 1: expected the end");
    assert_eq!(fault("1."), "not JSON at byte 2: expected a digit, but it ends there");
    assert_eq!(fault("\"a"), "not JSON at byte 2: expected a closing quote, but it ends there");
    assert_eq!(fault("\"\\x\""), "not JSON at byte 2: expected an escape that JSON knows");
    assert_eq!(fault("\"\\u12g4\""), "not JSON at byte 5: expected four hex digits");
    assert_eq!(fault("\"a\nb\""), "not JSON at byte 2: expected no bare control character in a string");
    assert_eq!(fault("\"a\0\""), "not JSON at byte 2: expected no bare control character in a string");
    assert_eq!(fault("1\0"), "not JSON at byte 1: expected the end");
    assert_eq!(fault("\0"), "not JSON at byte 0: expected a value");
    assert_eq!(fault(b"[\"ab\xff\"]"), "not JSON at byte 4: expected UTF-8");
    assert_eq!(fault(b"\xef\xbb\xbf{}"), "not JSON at byte 0: expected a value");
    assert_eq!(fault("{a:1}"), "not JSON at byte 1: expected a key in quotes");
}

#[test]
fn faults_are_found_beside_and_inside_of_what_is_removed() {
    let paths = Paths::new(["a", "b.c"]).unwrap();
    for broken in [
        r#"{"a":[1,}"#,
        r#"{"a":1,"b":{"c":1}"#,
        r#"{"a":1} x"#,
        r#"{"b":{"c":1,}}"#,
        r#"{"a":1,,"b":2}"#,
        r#"{,"a":1}"#,
    ] {
        assert!(paths.remove(broken.as_bytes()).is_err(), "{broken}");
    }
}

#[test]
fn paths_that_multiply_beyond_reason_are_refused() {
    // Each path has one key among wildcards: every subset of the paths is a state of its own.
    let paths = (0..16).map(|n| "[]".repeat(n) + if n == 0 { "k" } else { ".k" } + &"[]".repeat(15 - n));
    assert!(Paths::new(paths).is_err());
}
