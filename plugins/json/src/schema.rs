//! A JSON Schema, read into what a message is checked against; what is not supported is refused by name.

use regex_lite::Regex;
use serde_json::{Map, Value};

/// One schema, as far as it says something.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// Whether it is `false`, which nothing fits.
    pub(crate) never: bool,
    pub(crate) types: Option<Types>,
    /// Of `enum`.
    pub(crate) among: Option<Vec<Value>>,
    /// Of `const`.
    pub(crate) constant: Option<Value>,
    pub(crate) number: Bounds,
    /// In characters.
    pub(crate) length: Bounds,
    pub(crate) pattern: Option<Regex>,
    pub(crate) items: Option<Box<Schema>>,
    /// Of an array.
    pub(crate) count: Bounds,
    pub(crate) properties: Vec<(String, Schema)>,
    pub(crate) required: Vec<String>,
    /// What every member has to fit that `properties` does not name.
    pub(crate) additional: Option<Box<Schema>>,
    /// Of an object.
    pub(crate) members: Bounds,
}

/// What a number, a length or a count has to keep within.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) least: Option<f64>,
    pub(crate) most: Option<f64>,
    pub(crate) above: Option<f64>,
    pub(crate) below: Option<f64>,
    pub(crate) multiple: Option<f64>,
}

/// A set of types.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Types(u8);

/// The types by the names they have in a schema.
const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

/// What says nothing about whether a message fits.
const NOTES: [&str; 11] = [
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "definitions",
];

const SUPPORTED: &str = "`type`, `enum`, `const`, `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`, \
    `minLength`, `maxLength`, `pattern`, `items`, `minItems`, `maxItems`, `properties`, `required`, `additionalProperties`, \
    `minProperties` and `maxProperties`";

impl Types {
    fn named(name: &Value) -> Option<Self> {
        let at = TYPES.iter().position(|known| Some(*known) == name.as_str())?;
        Some(Self(1 << at))
    }

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Array(names) if !names.is_empty() => {
                names.iter().try_fold(Self(0), |all, name| Some(Self(all.0 | Self::named(name)?.0)))
            }
            name => Self::named(name),
        }
    }

    /// Whether a value that is all of these is one of the set.
    pub(crate) fn has(self, of_value: &[&str]) -> bool {
        self.names().any(|name| of_value.contains(&name))
    }

    /// Its members.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        TYPES.into_iter().enumerate().filter(move |(at, _)| self.0 >> at & 1 == 1).map(|(_, name)| name)
    }
}

impl Schema {
    /// The schema in `config`: a table, or text in JSON.
    ///
    /// # Errors
    /// Every keyword that is not supported, and each value that is none of its keyword, with its place.
    pub(crate) fn read(config: &Value) -> Result<Self, String> {
        let mut faults = Vec::new();
        let schema = match config {
            Value::String(text) => match serde_json::from_str(text) {
                Ok(parsed) => Self::at("config.schema", &parsed, &mut faults),
                Err(error) => return Err(format!("config.schema: not JSON: {error}")),
            },
            value => Self::at("config.schema", value, &mut faults),
        };
        if faults.is_empty() { Ok(schema) } else { Err(faults.join("; ")) }
    }

    fn at(place: &str, value: &Value, faults: &mut Vec<String>) -> Self {
        match value {
            Value::Bool(fits) => Self { never: !fits, ..Self::default() },
            Value::Object(keywords) => Self::of(place, keywords, faults),
            _ => {
                faults.push(format!("{place}: expected a schema, which is a table or a boolean"));
                Self::default()
            }
        }
    }

    fn of(place: &str, keywords: &Map<String, Value>, faults: &mut Vec<String>) -> Self {
        let mut schema = Self::default();
        let mut strangers = Vec::new();
        for (keyword, value) in keywords.iter().filter(|(keyword, _)| !NOTES.contains(&keyword.as_str())) {
            let inside = format!("{place}.{keyword}");
            match schema.take(keyword, value, &inside, faults) {
                Taken::Yes => {}
                Taken::Expected(what) => faults.push(format!("{inside}: expected {what}")),
                Taken::Unknown => strangers.push(format!("`{keyword}`")),
            }
        }
        if !strangers.is_empty() {
            faults.push(format!("{place}: {} not supported; known are {SUPPORTED}", strangers.join(", ")));
        }
        schema
    }

    fn take(&mut self, keyword: &str, value: &Value, place: &str, faults: &mut Vec<String>) -> Taken {
        if let Some((bound, of)) = self.bound(keyword) {
            return of.read(value).map_or(Taken::Expected(of.expected()), |number| {
                *bound = Some(number);
                Taken::Yes
            });
        }
        match keyword {
            "type" => put(&mut self.types, Types::read(value), "names of types"),
            "enum" => put(&mut self.among, value.as_array().cloned(), "an array"),
            "const" => put(&mut self.constant, Some(value.clone()), "a value"),
            "pattern" => {
                put(&mut self.pattern, value.as_str().and_then(|text| Regex::new(text).ok()), "a regular expression")
            }
            "items" => {
                self.items = Some(Box::new(Self::at(place, value, faults)));
                Taken::Yes
            }
            "additionalProperties" => {
                self.additional = Some(Box::new(Self::at(place, value, faults)));
                Taken::Yes
            }
            "properties" => self.take_properties(value, place, faults),
            "required" => self.take_required(value),
            _ => Taken::Unknown,
        }
    }

    fn bound(&mut self, keyword: &str) -> Option<(&mut Option<f64>, Measure)> {
        Some(match keyword {
            "minimum" => (&mut self.number.least, Measure::Number),
            "maximum" => (&mut self.number.most, Measure::Number),
            "exclusiveMinimum" => (&mut self.number.above, Measure::Number),
            "exclusiveMaximum" => (&mut self.number.below, Measure::Number),
            "multipleOf" => (&mut self.number.multiple, Measure::Step),
            "minLength" => (&mut self.length.least, Measure::Count),
            "maxLength" => (&mut self.length.most, Measure::Count),
            "minItems" => (&mut self.count.least, Measure::Count),
            "maxItems" => (&mut self.count.most, Measure::Count),
            "minProperties" => (&mut self.members.least, Measure::Count),
            "maxProperties" => (&mut self.members.most, Measure::Count),
            _ => return None,
        })
    }

    fn take_properties(&mut self, value: &Value, place: &str, faults: &mut Vec<String>) -> Taken {
        let Value::Object(members) = value else {
            return Taken::Expected("a table of schemas");
        };
        let read =
            |(name, schema): (&String, &Value)| (name.clone(), Self::at(&format!("{place}.{name}"), schema, faults));
        self.properties = members.iter().map(read).collect();
        Taken::Yes
    }

    fn take_required(&mut self, value: &Value) -> Taken {
        let names = value.as_array().and_then(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let Some(names) = names else {
            return Taken::Expected("names of members");
        };
        self.required = names.into_iter().map(str::to_owned).collect();
        Taken::Yes
    }

    /// Whether everything fits.
    pub(crate) fn says_nothing(&self) -> bool {
        let no_bounds =
            [self.number, self.length, self.count, self.members].iter().all(|bounds| *bounds == Bounds::default());
        let no_values =
            self.types.is_none() && self.among.is_none() && self.constant.is_none() && self.pattern.is_none();
        let no_parts = self.items.is_none() && self.properties.is_empty() && self.additional.is_none();
        !self.never && no_bounds && no_values && no_parts && self.required.is_empty()
    }
}

/// What became of a keyword.
enum Taken {
    Yes,
    Expected(&'static str),
    Unknown,
}

fn put<T>(into: &mut Option<T>, value: Option<T>, expected: &'static str) -> Taken {
    if value.is_none() {
        return Taken::Expected(expected);
    }
    *into = value;
    Taken::Yes
}

/// What kind of number a bound is.
#[derive(Clone, Copy)]
enum Measure {
    Number,
    /// More than nothing.
    Step,
    /// Whole and not less than nothing.
    Count,
}

impl Measure {
    fn read(self, value: &Value) -> Option<f64> {
        let number = value.as_f64()?;
        let fits = match self {
            Self::Number => true,
            Self::Step => number > 0.0,
            Self::Count => number >= 0.0 && number.fract() == 0.0,
        };
        fits.then_some(number)
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Step => "a number above 0",
            Self::Count => "a whole number, 0 or more",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn why(schema: Value) -> String {
        Schema::read(&schema).unwrap_err()
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name_and_place() {
        let schema = json!({"type": "object", "oneOf": [], "properties": {"a": {"$ref": "#/x", "format": "email"}}});
        let why = why(schema);
        assert!(why.contains("config.schema: `oneOf` not supported; known are `type`"), "{why}");
        assert!(why.contains("config.schema.properties.a: `$ref`, `format` not supported"), "{why}");
    }

    #[test]
    fn values_that_are_none_are_refused_where_they_stand() {
        assert_eq!(why(json!(3)), "config.schema: expected a schema, which is a table or a boolean");
        assert_eq!(why(json!({"type": "text"})), "config.schema.type: expected names of types");
        assert_eq!(why(json!({"type": []})), "config.schema.type: expected names of types");
        assert_eq!(why(json!({"minLength": -1})), "config.schema.minLength: expected a whole number, 0 or more");
        assert_eq!(why(json!({"exclusiveMinimum": true})), "config.schema.exclusiveMinimum: expected a number");
        assert_eq!(why(json!({"multipleOf": 0})), "config.schema.multipleOf: expected a number above 0");
        assert_eq!(
            why(json!({"items": {"pattern": "("}})),
            "config.schema.items.pattern: expected a regular expression"
        );
        assert_eq!(why(json!({"required": [1]})), "config.schema.required: expected names of members");
        assert!(why(json!("{")).starts_with("config.schema: not JSON: EOF"));
    }

    #[test]
    fn notes_say_nothing() {
        let schema = json!({"$schema": "x", "title": "t", "description": "d", "default": 1, "examples": []});
        assert!(Schema::read(&schema).unwrap().says_nothing());
        assert!(Schema::read(&json!(true)).unwrap().says_nothing());
        assert!(!Schema::read(&json!(false)).unwrap().says_nothing());
        assert!(!Schema::read(&json!("{\"required\":[\"a\"]}")).unwrap().says_nothing());
    }
}
