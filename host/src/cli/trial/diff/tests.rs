use super::*;
use bytes::Bytes;

fn json(before: &str, after: &str) -> Vec<String> {
    let Payload::Json(changes) = payload(before.as_bytes(), after.as_bytes()) else {
        panic!("{before} and {after} are two documents")
    };
    let side = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
    let said = |change: &Change<Value>| format!("{} {} {}", change.name, side(&change.before), side(&change.after));
    let mut changes: Vec<String> = changes.iter().map(said).collect();
    changes.sort();
    changes
}

fn message(headers: &[(&str, &str)]) -> Message {
    Message {
        id: "m".into(),
        source: "s".into(),
        topic: "s".into(),
        attempt: 1,
        received_ms: 0,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        payload: Bytes::new(),
    }
}

#[test]
fn json_differs_by_path() {
    let before = r#"{"ip":"192.0.2.1","user":{"email":"a@b","name":"Mia"},"n":[1,2,3],"t":{"a":1}}"#;
    let after = r#"{"user":{"email":"***","name":"Mia"},"n":[1,9,3],"seen":true,"t":[]}"#;
    assert_eq!(
        json(before, after),
        [r#"ip "192.0.2.1" -"#, "n[1] 2 9", "seen - true", r#"t {"a":1} []"#, r#"user.email "a@b" "***""#]
    );
}

#[test]
fn one_element_less_is_one_change() {
    assert_eq!(json("[1,2,3,4]", "[1,3,4]"), ["[1] 2 -"]);
    assert_eq!(json("[1,1]", "[1,1,1]"), ["[2] - 1"]);
    assert_eq!(json(r#"[{"a":1},{"b":2}]"#, r#"[{"a":1,"c":3},{"b":2}]"#), ["[0].c - 3"]);
}

#[test]
fn keys_that_look_like_paths_are_quoted() {
    assert_eq!(json(r#"{"a.b":{"":1}}"#, r#"{"a.b":{}}"#), [r#""a.b"."" 1 -"#]);
}

#[test]
fn the_same_values_written_in_another_way_are_no_change() {
    assert_eq!(payload(br#"{"a": 1, "b": 2}"#, br#"{"b":2,"a":1}"#), Payload::SameValues);
    assert_eq!(payload(b"x", b"x"), Payload::Same);
}

#[test]
fn a_text_differs_by_its_lines() {
    let kept = Edit::Kept;
    let removed = |line: &str| Edit::Removed(line.to_owned());
    let added = |line: &str| Edit::Added(line.to_owned());
    let differs = |before: &str, after: &str, edits: &[Edit]| {
        assert_eq!(payload(before.as_bytes(), after.as_bytes()), Payload::Lines(edits.to_vec()), "{before} {after}");
    };
    differs("one", "two", &[removed("one"), added("two")]);
    differs("a\nb\nc\nd", "a\nx\nc\nd", &[kept(1), removed("b"), added("x"), kept(2)]);
    differs(
        "a\nb\nc\nd\ne",
        "b\nx\nd\ny",
        &[removed("a"), kept(1), removed("c"), added("x"), kept(1), removed("e"), added("y")],
    );
    differs("a", "a\n", &[kept(1), added("")]);
    differs("1", "2", &[removed("1"), added("2")]);
}

#[test]
fn long_texts_are_replaced_as_a_whole() {
    let text = |word: &str| (0..=LINES).map(|n| format!("{word}{n}\n")).collect::<String>();
    let Payload::Lines(edits) = payload(text("a").as_bytes(), text("b").as_bytes()) else { panic!("two texts") };
    assert_eq!(edits.len(), 2 * (LINES + 1) + 1);
    assert_eq!(edits.last(), Some(&Edit::Kept(1)));
}

#[test]
fn bytes_differ_from_a_place_on() {
    assert_eq!(payload(b"abc\xff", b"abd"), Payload::Bytes(2));
    assert_eq!(payload(b"\xff", b"\xff\xff"), Payload::Bytes(1));
}

#[test]
fn headers_differ_without_regard_to_case() {
    let before = message(&[("A", "1"), ("gone", "x"), ("same", "y"), ("many", "1"), ("many", "2")]);
    let after = message(&[("a", "2"), ("Same", "y"), ("new", "z"), ("many", "1")]);
    let changes = headers(&before, &after);
    let sides = |change: &Change<String>| {
        let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        format!("{} {} {}", change.name, side(&change.before), side(&change.after))
    };
    let changes: Vec<String> = changes.iter().map(sides).collect();
    assert_eq!(changes, ["A 1 2", "gone x -", "many 1, 2 1", "new - z"]);
}
