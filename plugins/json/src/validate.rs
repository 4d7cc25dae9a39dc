//! Checks a message against a schema while it is read: no document is built, but for what is compared with `enum` and `const`.

use crate::schema::{Bounds, Schema};
use gristmill_sdk::{Error, Result};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use std::fmt;

/// # Errors
/// A rejection that says where `payload` does not fit and why, without anything of what it holds there.
pub(crate) fn check(schema: &Schema, payload: &[u8]) -> Result<()> {
    // What is passed over is not read as text.
    let payload = std::str::from_utf8(payload).map_err(|error| Error::reject(format!("payload: {error}")))?;
    let mut reader = serde_json::Deserializer::from_str(payload);
    let read = Check { schema, place: &Place::Root }.deserialize(&mut reader).and_then(|()| reader.end());
    read.map_err(|error| Error::reject(if error.is_data() { error.to_string() } else { format!("payload: {error}") }))
}

/// Where in the payload we are.
enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("payload"),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

/// One value against one schema.
#[derive(Clone, Copy)]
struct Check<'a> {
    schema: &'a Schema,
    place: &'a Place<'a>,
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        if self.schema.says_nothing() {
            return IgnoredAny::deserialize(reader).map(drop);
        }
        if self.schema.among.is_none() && self.schema.constant.is_none() {
            return reader.deserialize_any(self);
        }
        let value = Value::deserialize(reader)?;
        self.compare(&value)?;
        value.deserialize_any(self).map_err(de::Error::custom)
    }
}

impl Check<'_> {
    fn wrong<T, E: de::Error>(self, why: impl fmt::Display) -> Result<T, E> {
        Err(E::custom(format_args!("{}: {why}", self.place)))
    }

    /// Wants one of the types, of which a value has two if it is a whole number.
    fn is<E: de::Error>(self, of_value: &[&str]) -> Result<(), E> {
        if self.schema.never {
            return self.wrong("nothing is allowed here");
        }
        match self.schema.types {
            Some(types) if !types.has(of_value) => {
                let expected = types.names().collect::<Vec<_>>().join(" or ");
                self.wrong(format_args!("expected {expected}, not {}", of_value.first().unwrap_or(&"this")))
            }
            _ => Ok(()),
        }
    }

    fn number<E: de::Error>(self, number: f64) -> Result<(), E> {
        let whole: &[&str] = if number.fract() == 0.0 { &["integer", "number"] } else { &["number"] };
        self.is(whole)?;
        self.within(self.schema.number, number, "")
    }

    /// Wants `number` within `bounds`; `of` says what is counted.
    fn within<E: de::Error>(self, bounds: Bounds, number: f64, of: &str) -> Result<(), E> {
        let Bounds { least, most, above, below, multiple } = bounds;
        let broken = [
            (least.filter(|bound| number < *bound), "less than"),
            (most.filter(|bound| number > *bound), "more than"),
            (above.filter(|bound| number <= *bound), "not more than"),
            (below.filter(|bound| number >= *bound), "not less than"),
            (multiple.filter(|step| !is_multiple(number, *step)), "not a multiple of"),
        ];
        match broken.into_iter().find_map(|(bound, how)| Some((bound?, how))) {
            Some((bound, how)) => self.wrong(format_args!("{how} {bound}{of}")),
            None => Ok(()),
        }
    }

    fn compare<E: de::Error>(self, value: &Value) -> Result<(), E> {
        if self.schema.among.as_ref().is_some_and(|among| !among.iter().any(|one| same(one, value))) {
            return self.wrong("none of the values of `enum`");
        }
        if self.schema.constant.as_ref().is_some_and(|constant| !same(constant, value)) {
            return self.wrong("not the value of `const`");
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.is(&["null"])
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.is(&["boolean"])
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.number(number as f64)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        self.number(number as f64)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        self.number(number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.is(&["string"])?;
        if self.schema.length != Bounds::default() {
            self.within(self.schema.length, text.chars().count() as f64, " characters")?;
        }
        match &self.schema.pattern {
            Some(pattern) if !pattern.is_match(text) => self.wrong(format_args!("does not match `{pattern}`")),
            _ => Ok(()),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.is(&["array"])?;
        let mut count = 0;
        loop {
            let place = Place::Item(self.place, count);
            let more = match &self.schema.items {
                Some(schema) => items.next_element_seed(Check { schema, place: &place })?.is_some(),
                None => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                return self.within(self.schema.count, count as f64, " items");
            }
            count += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.is(&["object"])?;
        let mut missing: Vec<&str> = self.schema.required.iter().map(String::as_str).collect();
        let mut count = 0;
        while let Some(name) = members.next_key_seed(Name)? {
            count += 1;
            missing.retain(|required| *required != &*name);
            let place = Place::Member(self.place, &name);
            match self.member(&name) {
                Some(schema) => members.next_value_seed(Check { schema, place: &place })?,
                None => members.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        match missing.first() {
            Some(name) => self.wrong(format_args!("`{name}` is missing")),
            None => self.within(self.schema.members, f64::from(count), " members"),
        }
    }
}

impl<'a> Check<'a> {
    /// What the member of this name has to fit.
    fn member(self, name: &str) -> Option<&'a Schema> {
        let named = self.schema.properties.iter().find(|(known, _)| known == name);
        named.map(|(_, schema)| schema).or(self.schema.additional.as_deref())
    }
}

/// The name of a member, borrowed from the payload where it is written plainly.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = std::borrow::Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = std::borrow::Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(name.into())
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(name.to_owned().into())
    }
}

/// Within what such numbers can tell apart: 0.3 is a multiple of 0.1.
fn is_multiple(number: f64, step: f64) -> bool {
    let times = number / step;
    (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
}

/// As JSON Schema compares: 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Why `payload` does not fit, or nothing.
    fn fault(schema: Value, payload: &str) -> String {
        let schema = Schema::read(&schema).unwrap();
        check(&schema, payload.as_bytes()).map_or_else(|error| error.reason().to_owned(), |()| String::new())
    }

    #[track_caller]
    fn fits(schema: &Value, payloads: &[&str]) {
        for payload in payloads {
            assert_eq!(fault(schema.clone(), payload), "", "{payload}");
        }
    }

    #[track_caller]
    fn breaks(schema: &Value, payloads: &[(&str, &str)]) {
        for (payload, why) in payloads {
            let fault = fault(schema.clone(), payload);
            let (said, _) = fault.split_once(" at line ").unwrap_or((&fault, ""));
            assert_eq!(said, *why, "{payload}");
        }
    }

    #[test]
    fn types_are_told_apart_and_whole_numbers_are_integers() {
        let of = |name: &str| json!({"type": name});
        fits(&of("integer"), &["1", "-7", "1.0", "1e3", "18446744073709551615"]);
        breaks(
            &of("integer"),
            &[("1.5", "payload: expected integer, not number"), ("\"1\"", "payload: expected integer, not string")],
        );
        fits(&of("number"), &["1", "1.5"]);
        fits(&json!({"type": ["string", "null"]}), &["null", "\"\""]);
        breaks(&json!({"type": ["string", "null"]}), &[("[]", "payload: expected null or string, not array")]);
        breaks(
            &of("boolean"),
            &[("{}", "payload: expected boolean, not object"), ("null", "payload: expected boolean, not null")],
        );
        fits(&json!({}), &["[{\"a\":[null]}]"]);
        breaks(&json!(false), &[("1", "payload: nothing is allowed here")]);
    }

    #[test]
    fn numbers_keep_within_their_bounds() {
        let schema = json!({"minimum": 1, "exclusiveMaximum": 3, "multipleOf": 0.1});
        fits(&schema, &["1", "2.9", " 2.3\n", "\"no number\""]);
        breaks(
            &schema,
            &[
                ("0.9", "payload: less than 1"),
                ("3", "payload: not less than 3"),
                ("1.05", "payload: not a multiple of 0.1"),
            ],
        );
        breaks(&json!({"maximum": 2}), &[("2.1", "payload: more than 2")]);
        breaks(&json!({"exclusiveMinimum": 2}), &[("2", "payload: not more than 2")]);
    }

    #[test]
    fn strings_are_measured_in_characters_and_matched() {
        let schema = json!({"minLength": 2, "maxLength": 3, "pattern": "^[a-zü]+$"});
        fits(&schema, &["\"ab\"", "\"üüü\"", "\"\\u00fcb\"", "7"]);
        breaks(
            &schema,
            &[
                ("\"a\"", "payload: less than 2 characters"),
                ("\"abcd\"", "payload: more than 3 characters"),
                ("\"AB\"", "payload: does not match `^[a-zü]+$`"),
            ],
        );
    }

    #[test]
    fn members_and_items_are_checked_where_they_stand() {
        let schema = json!({
            "type": "object",
            "required": ["id", "lines"],
            "properties": {
                "id": {"type": "integer", "minimum": 1},
                "lines": {"type": "array", "minItems": 1, "maxItems": 2, "items": {
                    "required": ["sku"], "properties": {"sku": {"type": "string"}}, "additionalProperties": {"type": "number"}
                }},
            },
            "additionalProperties": false,
        });
        fits(&schema, &[r#"{"id":7,"lines":[{"sku":"a","n":1},{"sku":"b"}]}"#, r#"{"lines":[5],"id":7,"\u0069d":8}"#]);
        breaks(
            &schema,
            &[
                (r#"{"id":0,"lines":[{"sku":"a"}]}"#, "payload.id: less than 1"),
                (r#"{"id":1}"#, "payload: `lines` is missing"),
                (r#"{"id":1,"lines":[]}"#, "payload.lines: less than 1 items"),
                (r#"{"id":1,"lines":[1,2,3]}"#, "payload.lines: more than 2 items"),
                (r#"{"id":1,"lines":[1,{}]}"#, "payload.lines[1]: `sku` is missing"),
                (r#"{"id":1,"lines":[{"sku":"a","n":"x"}]}"#, "payload.lines[0].n: expected number, not string"),
                (r#"{"id":1,"lines":[1],"x":1}"#, "payload.x: nothing is allowed here"),
            ],
        );
        breaks(
            &json!({"minProperties": 1, "maxProperties": 1}),
            &[("{}", "payload: less than 1 members"), (r#"{"a":1,"b":1}"#, "payload: more than 1 members")],
        );
    }

    #[test]
    fn values_are_compared_as_what_they_are() {
        let schema = json!({"enum": ["a", 1, {"k": [1.0, null]}]});
        fits(&schema, &["\"a\"", "1.0", r#"{"k":[1,null]}"#]);
        breaks(
            &schema,
            &[
                ("\"b\"", "payload: none of the values of `enum`"),
                (r#"{"k":[1]}"#, "payload: none of the values of `enum`"),
            ],
        );
        breaks(&json!({"const": true}), &[("false", "payload: not the value of `const`")]);
        let both = json!({"enum": [{"n": 1}, {"n": -1}], "properties": {"n": {"minimum": 0}}});
        fits(&both, &[r#"{"n":1}"#]);
        breaks(&both, &[(r#"{"n":-1}"#, "payload.n: less than 0")]);
    }

    #[test]
    fn what_is_not_json_says_so_and_nothing_is_too_deep_for_the_stack() {
        assert_eq!(fault(json!({"type": "object"}), "{\"a\":}"), "payload: expected value at line 1 column 6");
        assert_eq!(fault(json!({"type": "object"}), "{} x"), "payload: trailing characters at line 1 column 4");
        let broken = check(&Schema::read(&json!({"type": "array"})).unwrap(), b"[\"\xff\"]").unwrap_err();
        assert!(broken.reason().starts_with("payload: invalid utf-8"), "{broken}");
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(fault(json!({}), &deep), "");
        let nested = json!({"items": {"items": {"const": 1}}});
        assert!(fault(nested, &deep).contains("recursion limit"));
    }

    #[test]
    fn a_reason_holds_nothing_of_the_values() {
        let schema = json!({"properties": {"a": {"const": 1}, "b": {"maxLength": 1}, "c": {"pattern": "^x"}, "d": {"enum": []}}});
        for payload in [r#"{"a":"secret"}"#, r#"{"b":"secret"}"#, r#"{"c":"secret"}"#, r#"{"d":"secret"}"#] {
            let fault = fault(schema.clone(), payload);
            assert!(!fault.is_empty() && !fault.contains("secret"), "{fault}");
        }
    }
}
