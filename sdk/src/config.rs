//! A plugin's config from JSON to its type; every fault names the field and what was expected there.

use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::MapAccessDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};
use std::fmt;

/// The config of a plugin that has none: any field is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct NoConfig {}

/// Why a config does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Such as `config.fields[1]`; absent until the fault is placed.
    path: Option<String>,
    what: String,
}

/// Reads a plugin's config, as the host does before it calls `new`; for tests of how a config reads.
///
/// A field the type does not know is refused, with or without `deny_unknown_fields`, unless the type collects fields with
/// `#[serde(flatten)]`.
///
/// # Errors
/// Where and why it does not fit, such as ``config.fields[1]: invalid type: integer `3`, expected a string``.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Invalid> {
    let value: Value = serde_json::from_str(json).map_err(|error| Invalid::from_text(error.to_string()))?;
    T::deserialize(Place { value: &value, path: &Path::Root })
}

/// Where in the config we are.
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

/// One value of the config and where it stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    value: &'a Value,
    path: &'a Path<'a>,
}

impl<'a> Place<'a> {
    fn members(self, members: &'a Map<String, Value>) -> Members<'a> {
        Members { path: self.path, left: members.iter(), value: None }
    }

    /// Refuses the first field that is not among `known`.
    fn known_only(self, known: &[&str]) -> Result<(), Invalid> {
        let members = self.value.as_object().into_iter().flat_map(Map::keys);
        let stranger = members.into_iter().find(|name| !known.contains(&name.as_str()));
        stranger.map_or(Ok(()), |name| Err(Invalid::from_text(unknown(name, known)).at(&Path::Field(self.path, name))))
    }
}

impl<'de> Deserializer<'de> for Place<'_> {
    type Error = Invalid;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        let read = match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(value) => value.deserialize_any(visitor).map_err(de::Error::custom),
            Value::String(value) => visitor.visit_str(value),
            Value::Array(items) => visitor.visit_seq(Items { path: self.path, left: items.iter().enumerate() }),
            Value::Object(members) => visitor.visit_map(self.members(members)),
        };
        read.map_err(|error: Invalid| error.at(self.path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Invalid> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Invalid>
    where
        V: Visitor<'de>,
    {
        self.known_only(known)?;
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Invalid>
    where
        V: Visitor<'de>,
    {
        let read = match self.value {
            Value::String(variant) => visitor.visit_enum(variant.as_str().into_deserializer()),
            Value::Object(members) => visitor.visit_enum(MapAccessDeserializer::new(self.members(members))),
            _ => return self.deserialize_any(visitor),
        };
        read.map_err(|error: Invalid| error.at(self.path))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Items<'a> {
    path: &'a Path<'a>,
    left: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Invalid;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Invalid> {
        let Some((index, value)) = self.left.next() else {
            return Ok(None);
        };
        let path = Path::Item(self.path, index);
        seed.deserialize(Place { value, path: &path }).map(Some).map_err(|error| error.at(&path))
    }
}

struct Members<'a> {
    path: &'a Path<'a>,
    left: serde_json::map::Iter<'a>,
    /// The one whose key was read last.
    value: Option<(&'a str, &'a Value)>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Invalid;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Invalid> {
        let Some((name, value)) = self.left.next() else {
            return Ok(None);
        };
        self.value = Some((name, value));
        seed.deserialize(name.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Invalid> {
        let (name, value) =
            self.value.take().ok_or_else(|| Invalid::from_text("a value was read before its key".into()))?;
        let path = Path::Field(self.path, name);
        seed.deserialize(Place { value, path: &path }).map_err(|error| error.at(&path))
    }
}

impl Invalid {
    fn from_text(what: String) -> Self {
        Self { path: None, what }
    }

    /// Placed here, unless something deeper has placed it already.
    fn at(mut self, path: &Path<'_>) -> Self {
        self.path.get_or_insert_with(|| path.to_string());
        self
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("config"),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.as_deref().unwrap_or("config"), self.what)
    }
}

impl std::error::Error for Invalid {}

impl de::Error for Invalid {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::from_text(text.to_string())
    }
}

fn unknown(name: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|known| (distance(name, known), known)).min();
    let listed = known.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
    match nearest {
        None => "unknown field, there are none".into(),
        Some((far, near)) if far * 3 <= near.len() => {
            format!("unknown field, did you mean `{near}`? Known are {listed}")
        }
        Some(_) => format!("unknown field, known are {listed}"),
    }
}

/// How many letters must be put in, left out or replaced to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (above, letter) in a.chars().enumerate() {
        let (mut diagonal, mut left) = (above, above + 1);
        let mut next = vec![left];
        for (other, &up) in b.chars().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(letter != other)).min(left + 1).min(up + 1);
            diagonal = up;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Config {
        fields: Vec<String>,
        #[serde(default)]
        mode: Mode,
        limit: Option<u8>,
        #[serde(default)]
        inner: BTreeMap<String, Inner>,
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        #[default]
        Drop,
        Mask(String),
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Inner {
        on: bool,
    }

    fn fault(json: &str) -> String {
        parse::<Config>(json).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_config_is_read() {
        let json = r#"{"fields": ["a"], "mode": {"mask": "*"}, "limit": 3, "inner": {"x": {"on": true}}}"#;
        let inner = BTreeMap::from([("x".to_owned(), Inner { on: true })]);
        let config = Config { fields: vec!["a".into()], mode: Mode::Mask("*".into()), limit: Some(3), inner };
        assert_eq!(parse::<Config>(json).unwrap(), config);
    }

    #[test]
    fn a_fault_names_its_field_and_what_was_expected() {
        assert_eq!(fault(r#"{"fields": ["a", 3]}"#), "config.fields[1]: invalid type: integer `3`, expected a string");
        assert_eq!(fault(r#"{"fields": [], "limit": 300}"#), "config.limit: invalid value: integer `300`, expected u8");
        assert_eq!(
            fault(r#"{"fields": [], "mode": "drp"}"#),
            "config.mode: unknown variant `drp`, expected `drop` or `mask`"
        );
        assert_eq!(
            fault(r#"{"fields": [], "mode": {"mask": 1}}"#),
            "config.mode.mask: invalid type: integer `1`, expected a string"
        );
        assert_eq!(fault("{}"), "config: missing field `fields`");
        assert_eq!(fault("[1"), "config: EOF while parsing a list at line 1 column 2");
    }

    #[test]
    fn a_misspelt_field_is_refused_and_the_right_one_named() {
        assert_eq!(
            fault(r#"{"feilds": []}"#),
            "config.feilds: unknown field, did you mean `fields`? Known are `fields`, `mode`, `limit`, `inner`"
        );
        assert_eq!(
            fault(r#"{"fields": [], "inner": {"x": {"on": true, "zzz": 1}}}"#),
            "config.inner.x.zzz: unknown field, known are `on`"
        );
    }

    #[test]
    fn a_plugin_without_config_refuses_one() {
        assert_eq!(parse::<NoConfig>("{}"), Ok(NoConfig {}));
        assert_eq!(
            parse::<NoConfig>(r#"{"a": 1}"#).unwrap_err().to_string(),
            "config.a: unknown field, there are none"
        );
    }
}
