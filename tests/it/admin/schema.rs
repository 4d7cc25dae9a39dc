//! Holds answers to the OpenAPI file that the node itself hands out.

use super::caller::{Answer, Caller};
use serde_json::{Map, Value};
use std::{cell::RefCell, collections::BTreeSet};

/// The file, and what has been seen of it.
pub(crate) struct Contract {
    document: Value,
    seen: RefCell<BTreeSet<(String, String)>>,
}

impl Contract {
    pub(crate) fn of(caller: &Caller) -> Self {
        Self { document: caller.get("/openapi.json").json(), seen: RefCell::default() }
    }

    /// Holds `answer` to what is said of this method of this path.
    #[track_caller]
    pub(crate) fn check(&self, method: &str, path: &str, answer: &Answer) {
        let method = method.to_lowercase();
        self.seen.borrow_mut().insert((path.to_owned(), method.clone()));
        let said = &self.document["paths"][path][&method]["responses"][answer.status.to_string()];
        assert!(said.is_object(), "{method} {path}: nothing is said of {}", answer.status);
        let content = said["content"].as_object().unwrap();
        let (kind, content) = content.iter().next().unwrap();
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{kind}: {}", answer.head);
        if kind.contains("json") {
            let wrong = self.wrong(&content["schema"], &answer.json(), "body");
            assert_eq!(wrong, None, "{method} {path}: {}", answer.body);
        }
    }

    /// Every operation of the file has been held to it.
    #[track_caller]
    pub(crate) fn is_exhausted(&self) {
        let paths = self.document["paths"].as_object().unwrap();
        let methods = |(path, methods): (&String, &Value)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
        };
        let all: BTreeSet<_> = paths.iter().flat_map(methods).collect();
        assert_eq!(all.difference(&self.seen.borrow()).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
    }

    /// Where `value` is not as `schema` wants it, and how.
    fn wrong(&self, schema: &Value, value: &Value, at: &str) -> Option<String> {
        let rules = schema.as_object().unwrap();
        rules.iter().find_map(|(rule, wanted)| self.wrong_by(rule, wanted, rules, value, at))
    }

    fn wrong_by(
        &self,
        rule: &str,
        wanted: &Value,
        rules: &Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Option<String> {
        let wrong = |fits: bool| (!fits).then(|| format!("{at}: {value} is not {rule} {wanted}"));
        match rule {
            "$ref" => self.wrong(self.document.pointer(wanted.as_str()?.trim_start_matches('#'))?, value, at),
            "type" => wrong(types(wanted).any(|name| is(value, name))),
            "enum" => wrong(wanted.as_array()?.contains(value)),
            "minimum" => wrong(value.is_null() || value.as_f64() >= wanted.as_f64()),
            "minItems" => wrong(value.as_array()?.len() as u64 >= wanted.as_u64()?),
            "maxItems" => wrong(value.as_array()?.len() as u64 <= wanted.as_u64()?),
            "anyOf" => wrong(wanted.as_array()?.iter().any(|schema| self.wrong(schema, value, at).is_none())),
            "required" => wrong(wanted.as_array()?.iter().all(|name| value.get(name.as_str().unwrap()).is_some())),
            "items" => value.as_array()?.iter().find_map(|item| self.wrong(wanted, item, &format!("{at}[]"))),
            "properties" => wanted.as_object()?.iter().find_map(|(name, schema)| {
                value.get(name).and_then(|value| self.wrong(schema, value, &format!("{at}.{name}")))
            }),
            "additionalProperties" => {
                let none = Map::new();
                let known = rules.get("properties").and_then(Value::as_object).unwrap_or(&none);
                let mut others = value.as_object()?.iter().filter(|(name, _)| !known.contains_key(*name));
                match wanted {
                    Value::Bool(false) => wrong(others.next().is_none()),
                    schema => others.find_map(|(name, value)| self.wrong(schema, value, &format!("{at}.{name}"))),
                }
            }
            "description" => None,
            other => Some(format!("this test does not know the rule {other}")),
        }
    }
}

fn types(wanted: &Value) -> impl Iterator<Item = &str> {
    let several = wanted.as_array().into_iter().flatten().filter_map(Value::as_str);
    wanted.as_str().into_iter().chain(several)
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[test]
fn the_check_itself_finds_what_is_wrong() {
    let rules = serde_json::json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": { "a": { "type": ["integer", "null"], "minimum": 0 }, "b": { "type": "array", "items": { "enum": ["x"] } } }
    });
    let contract = Contract { document: Value::Null, seen: RefCell::default() };
    let wrong = |text: &str| contract.wrong(&rules, &serde_json::from_str(text).unwrap(), "body").is_some();
    for right in [r#"{"a":1}"#, r#"{"a":null,"b":["x"]}"#] {
        assert!(!wrong(right), "{right}");
    }
    for bad in
        ["[]", "{}", r#"{"a":-1}"#, r#"{"a":1.5}"#, r#"{"a":1,"c":1}"#, r#"{"a":1,"b":["y"]}"#, r#"{"a":1,"b":1}"#]
    {
        assert!(wrong(bad), "{bad}");
    }
}
