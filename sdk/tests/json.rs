//! JSON editing against serde_json, on random documents from a fixed seed.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "in a test a panic is how a failure shows")]

use gristmill_sdk::json::{self, Edit, Json, Paths};
use serde::de::IgnoredAny;
use serde_json::Value;

/// A small generator (xorshift64*), so that a failure comes back on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn pick<'a>(&mut self, among: &[&'a str]) -> &'a str {
        among[self.roll(among.len())]
    }
}

const SPACE: [&str; 6] = ["", "", "", " ", "\n\t", " \r\n  "];
const KEYS: [&str; 8] = ["a", "b", "c", "\\u0061", "long key with more than eight bytes", "ü", "\\\"", ""];
const SCALARS: [&str; 14] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "12",
    "-3.25e-2",
    "1E3",
    "\"\"",
    "\"x\"",
    "\"\\u00e9\\ud83d\\ude00\\n\"",
    "\"eight bytes and more\"",
    "\"日本語 \\\\ \\\" {}[],:\"",
    "18446744073709551615",
];

fn document(dice: &mut Dice, depth: usize, out: &mut String) {
    out.push_str(dice.pick(&SPACE));
    match dice.roll(if depth == 0 { 1 } else { 4 }) {
        0 => out.push_str(dice.pick(&SCALARS)),
        1 => entries(dice, ['[', ']'], out, |dice, out| document(dice, depth - 1, out)),
        _ => entries(dice, ['{', '}'], out, |dice, out| {
            let (before, key, behind) = (dice.pick(&SPACE), dice.pick(&KEYS), dice.pick(&SPACE));
            out.push_str(&format!("{before}\"{key}\"{behind}:"));
            document(dice, depth - 1, out);
        }),
    }
    out.push_str(dice.pick(&SPACE));
}

fn entries(dice: &mut Dice, brackets: [char; 2], out: &mut String, mut entry: impl FnMut(&mut Dice, &mut String)) {
    out.push(brackets[0]);
    out.push_str(dice.pick(&SPACE));
    for position in 0..dice.roll(5) {
        out.push_str(if position == 0 { "" } else { "," });
        entry(dice, out);
    }
    out.push(brackets[1]);
}

/// The steps of a random path, `None` for `[]`.
fn route(dice: &mut Dice) -> Vec<Option<&'static str>> {
    let keys = ["a", "b", "c", "ü", "\""];
    (0..=dice.roll(3)).map(|_| (dice.roll(3) > 0).then(|| dice.pick(&keys))).collect()
}

fn written(route: &[Option<&str>]) -> String {
    let steps = route.iter().enumerate().map(|(position, step)| match step {
        None => "[]".to_owned(),
        Some(key) => format!("{}{}", if position == 0 { "" } else { "." }, Value::from(*key)),
    });
    steps.collect()
}

/// What the edit does, on a tree.
fn each(value: &mut Value, route: &[Option<&str>], judge: &mut impl FnMut(&mut Value) -> bool) {
    let Some((step, rest)) = route.split_first() else {
        return;
    };
    let mut visit = |name: Option<&str>, value: &mut Value| {
        let meant = step.is_none() || (name.is_some() && *step == name);
        match meant {
            true if rest.is_empty() => judge(value),
            true => {
                each(value, rest, judge);
                true
            }
            false => true,
        }
    };
    match value {
        Value::Array(items) => items.retain_mut(|item| visit(None, item)),
        Value::Object(members) => members.retain(|name, value| visit(Some(name), value)),
        _ => {}
    }
}

fn set(value: &mut Value, route: &[&str], to: &Value) {
    let (Value::Object(members), Some((key, rest))) = (value, route.split_first()) else {
        return;
    };
    if rest.is_empty() {
        members.insert((*key).to_owned(), to.clone());
    } else {
        set(members.entry(*key).or_insert_with(|| serde_json::json!({})), rest, to);
    }
}

fn cases(mut check: impl FnMut(&mut Dice, &str)) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..20_000 {
        let mut text = String::new();
        document(&mut dice, 5, &mut text);
        check(&mut dice, &text);
    }
}

fn edited(document: &str, edited: Option<Vec<u8>>) -> Value {
    let bytes = edited.unwrap_or_else(|| document.into());
    serde_json::from_slice(&bytes)
        .unwrap_or_else(|error| panic!("{error}: {document} became {}", String::from_utf8_lossy(&bytes)))
}

#[test]
fn removing_does_what_it_does_on_a_tree() {
    cases(|dice, text| {
        let routes: Vec<_> = (0..=dice.roll(3)).map(|_| route(dice)).collect();
        let mut tree: Value = serde_json::from_str(text).unwrap();
        // Outer paths first: what they remove hides what is inside.
        let mut ordered = routes.clone();
        ordered.sort_by_key(Vec::len);
        ordered.iter().for_each(|route| each(&mut tree, route, &mut |_| false));
        let paths = Paths::new(routes.iter().map(|route| written(route))).unwrap();
        assert_eq!(edited(text, paths.remove(text.as_bytes()).unwrap()), tree, "{routes:?} from {text}");
    });
}

#[test]
fn replacing_does_what_it_does_on_a_tree() {
    cases(|dice, text| {
        let route = route(dice);
        let mut tree: Value = serde_json::from_str(text).unwrap();
        each(&mut tree, &route, &mut |value| {
            *value = "***".into();
            true
        });
        let paths = Paths::new([written(&route)]).unwrap();
        assert_eq!(
            edited(text, paths.replace(text.as_bytes(), &Json::string("***")).unwrap()),
            tree,
            "{route:?} in {text}"
        );
    });
}

#[test]
fn setting_does_what_it_does_on_a_tree() {
    cases(|dice, text| {
        let route: Vec<_> = route(dice).into_iter().map(|step| step.unwrap_or("new")).collect();
        let mut tree: Value = serde_json::from_str(text).unwrap();
        set(&mut tree, &route, &7.into());
        let path = written(&route.iter().map(|key| Some(*key)).collect::<Vec<_>>());
        let paths = Paths::new([path]).unwrap();
        assert_eq!(
            edited(text, paths.set(text.as_bytes(), &Json::parse("7").unwrap()).unwrap()),
            tree,
            "{route:?} in {text}"
        );
    });
}

#[test]
fn finding_gives_values_as_they_are_written() {
    cases(|dice, text| {
        let route = route(dice);
        let paths = Paths::new([written(&route)]).unwrap();
        for found in paths.find(text.as_bytes()).unwrap() {
            serde_json::from_slice::<Value>(found.raw).unwrap();
            assert_eq!(found.raw, found.raw.trim_ascii(), "{route:?} in {text}");
        }
        assert_eq!(paths.edit(text.as_bytes(), |_| Edit::Keep).unwrap(), None);
    });
}

#[test]
fn exactly_what_serde_json_calls_json_is_json() {
    let mut wrong = 0;
    cases(|dice, text| {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=dice.roll(3) {
            spoil(dice, &mut bytes);
        }
        let truth = serde_json::from_slice::<IgnoredAny>(&bytes).is_ok() && std::str::from_utf8(&bytes).is_ok();
        wrong += usize::from(!truth);
        let paths = Paths::new(["a.b", "[].c", "b[]"]).unwrap();
        let shown = String::from_utf8_lossy(&bytes);
        assert_eq!(json::check(&bytes).is_ok(), truth, "{shown}");
        assert_eq!(paths.remove(&bytes).is_ok(), truth, "{shown}");
        if let Ok(Some(edited)) = paths.remove(&bytes) {
            json::check(&edited).unwrap();
        }
    });
    assert!(wrong > 5_000, "only {wrong} documents were spoilt");
}

fn spoil(dice: &mut Dice, bytes: &mut Vec<u8>) {
    const ODD: &[u8] = b"{}[],:\"\\0e-.u\x00\x1f\x7f\x80\xc3\xff tfn";
    let at = dice.roll(bytes.len().max(1));
    let odd = ODD[dice.roll(ODD.len())];
    match dice.roll(4) {
        0 if at < bytes.len() => bytes[at] = odd,
        1 if at < bytes.len() => drop(bytes.remove(at)),
        2 => bytes.truncate(at),
        _ => bytes.insert(at, odd),
    }
}
