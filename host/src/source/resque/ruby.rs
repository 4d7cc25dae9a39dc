//! JSON as Ruby writes it: keys of Redis hold whole jobs, and only the same bytes find them.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Write};

/// `text` in quotes.
pub(super) fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `json`, which is valid, as Ruby's generator writes what its parser has read: no white space, as few escapes as possible.
pub(super) fn compact(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => quoted(rest),
            '-' | '0'..='9' => {
                rest.find(|c: char| !matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9')).unwrap_or(rest.len())
            }
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        match first {
            '"' if token.contains('\\') => {
                let text = serde_json::from_str::<String>(token);
                compact.push_str(&text.map_or_else(|_| token.to_owned(), |text| string(&text)));
            }
            '-' | '0'..='9' if token.contains(['.', 'e', 'E']) => compact.push_str(&refloat(token)),
            ' ' | '\t' | '\n' | '\r' => {}
            _ => compact.push_str(token),
        }
        rest = behind;
    }
    compact
}

/// How long the string at the start of `json` is, with its quotes.
fn quoted(json: &str) -> usize {
    let mut escaped = false;
    for (at, c) in json.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    json.len()
}

/// The value of the member `name` of `object`, which is an object in the form that `compact` gives it; the last of several.
pub(super) fn member<'j>(object: &'j str, name: &str) -> Option<&'j str> {
    let name = string(name);
    let mut found = None;
    let mut rest = object.strip_prefix('{')?;
    while let Some(colon) = rest.starts_with('"').then(|| quoted(rest)) {
        let (key, value) = (rest.get(..colon)?, rest.get(colon + 1..)?);
        let (value, behind) = value.split_at(value_length(value));
        if key == name {
            found = Some(value);
        }
        rest = behind.strip_prefix(',').unwrap_or_default();
    }
    found
}

/// How long the value at the start of `json` is.
fn value_length(json: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while let Some(rest) = json.get(at..).filter(|rest| !rest.is_empty()) {
        match rest.as_bytes().first() {
            Some(b'"') => {
                at += quoted(rest);
                continue;
            }
            Some(b'{' | b'[') => depth += 1,
            Some(b'}' | b']' | b',') if depth == 0 => return at,
            Some(b'}' | b']') => depth -= 1,
            _ => {}
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    json.len()
}

fn refloat(token: &str) -> String {
    token.parse().ok().filter(|number: &f64| number.is_finite()).map_or_else(|| token.to_owned(), float)
}

/// `Float#to_s`: at least one decimal, and an exponent from 16 digits on or below a ten-thousandth.
fn float(number: f64) -> String {
    if number != 0.0 && !(1e-4..1e16).contains(&number.abs()) {
        let scientific = format!("{number:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        return format!("{digits}{point}e{sign}{exponent:0>2}");
    }
    let plain = number.to_string();
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

/// `Array#join` of the array `json` with `-`, as resque-retry names the arguments of a job; none where it is no array.
pub(super) fn join(json: &str) -> Option<String> {
    match serde_json::from_str(json).ok()? {
        array @ Thing::Array(_) => Some(array.shown()),
        _ => None,
    }
}

/// A parsed value, as far as it matters how Ruby shows it.
enum Thing {
    Nil,
    /// Shows as it is.
    Plain(String),
    Text(String),
    Array(Vec<Thing>),
    Hash(Vec<(String, Thing)>),
}

impl Thing {
    /// `to_s`, but arrays inside of one that is joined are joined too.
    fn shown(&self) -> String {
        match self {
            Self::Nil => String::new(),
            Self::Plain(text) | Self::Text(text) => text.clone(),
            Self::Array(things) => things.iter().map(Self::shown).collect::<Vec<_>>().join("-"),
            Self::Hash(_) => self.inspected(),
        }
    }

    /// `inspect`, for hashes as Ruby had it before 3.4.
    fn inspected(&self) -> String {
        match self {
            Self::Nil => "nil".to_owned(),
            Self::Plain(text) => text.clone(),
            Self::Text(text) => inspected(text),
            Self::Array(things) => format!("[{}]", things.iter().map(Self::inspected).collect::<Vec<_>>().join(", ")),
            Self::Hash(members) => {
                let member = |(key, value): &(String, Self)| format!("{}=>{}", inspected(key), value.inspected());
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// `String#inspect`.
fn inspected(text: &str) -> String {
    let mut shown = String::from("\"");
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' | '\\' => shown.extend(['\\', c]),
            '#' if matches!(characters.peek(), Some('{' | '$' | '@')) => shown.push_str("\\#"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\u{b}' => shown.push_str("\\v"),
            '\u{c}' => shown.push_str("\\f"),
            '\u{8}' => shown.push_str("\\b"),
            '\u{7}' => shown.push_str("\\a"),
            '\u{1b}' => shown.push_str("\\e"),
            // Writing to a string cannot fail.
            c if c.is_control() => drop(write!(shown, "\\u{:04X}", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown.push('"');
    shown
}

impl<'de> Deserialize<'de> for Thing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Thing;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Thing, E> {
        Ok(Thing::Nil)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Thing, E> {
        Ok(Thing::Plain(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Thing, E> {
        Ok(Thing::Plain(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Thing, E> {
        Ok(Thing::Plain(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Thing, E> {
        Ok(Thing::Plain(float(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Thing, E> {
        Ok(Thing::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Thing, A::Error> {
        let mut things = Vec::new();
        while let Some(thing) = seq.next_element()? {
            things.push(thing);
        }
        Ok(Thing::Array(things))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Thing, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Thing::Hash(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_as_ruby_writes_it() {
        for (json, ruby) in [
            (r#"{"class":"Ok","args":[0.01,{"k":"v/é<>"}]}"#, r#"{"class":"Ok","args":[0.01,{"k":"v/é<>"}]}"#),
            ("{ \"a\" :\t[ 1 ,\r\n2 ] }", r#"{"a":[1,2]}"#),
            (r#"{"t": 1795299962.94}"#, r#"{"t":1795299962.94}"#),
            (r#""\u00e9\/\u003c \u000a\u0001\"\\""#, r#""é/< \n\u0001\"\\""#),
            (r#""\ud800""#, r#""\ud800""#),
            (
                "[1e2,1E16,-0.0,1.50,0.0001,0.00001,1e400,12345678901234567890123]",
                "[100.0,1.0e+16,-0.0,1.5,0.0001,1.0e-05,1e400,12345678901234567890123]",
            ),
            ("[true,false,null]", "[true,false,null]"),
        ] {
            assert_eq!(compact(json), ruby);
        }
    }

    #[test]
    fn members_are_found_whatever_stands_around_them() {
        let json = r#"{"x":{"args":[0]},"class":"A\"","args":["]}",{"a":[1]}],"queue":"q"}"#;
        assert_eq!(member(json, "args"), Some(r#"["]}",{"a":[1]}]"#));
        assert_eq!(member(json, "class"), Some(r#""A\"""#));
        assert_eq!(member(json, "queue"), Some(r#""q""#));
        assert_eq!((member(json, "a"), member("{}", "a")), (None, None));
        assert_eq!(member(r#"{"a":1,"a":2}"#, "a"), Some("2"));
    }

    #[test]
    fn arguments_are_joined_as_ruby_joins_them() {
        for (json, joined) in [
            (r#"[1,"a b"]"#, "1-a b"),
            ("[]", ""),
            (r#"[null,true,1.0,1e20,[2,[3]],"x"]"#, "-true-1.0-1.0e+20-2-3-x"),
            (r##"[{"k":"v\n\"#{","n":null,"l":[1,"a"]}]"##, r##"{"k"=>"v\n\"\#{", "n"=>nil, "l"=>[1, "a"]}"##),
        ] {
            assert_eq!(join(json).as_deref(), Some(joined), "{json}");
        }
        assert_eq!(join("{}"), None);
    }
}
