//! Values of databases, from and to those of Rust.

/// A value as databases have it.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    Null,
    /// SQLite has none, but the whole numbers 0 and 1.
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    /// What it is, for messages.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Boolean(truth) => truth.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Text(_) => "text".to_owned(),
            Self::Bytes(_) => "bytes".to_owned(),
        }
    }
}

macro_rules! into_value {
    ($($from:ty => |$value:ident| $into:expr,)*) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $into
            }
        })*
    };
}

into_value! {
    bool => |value| Self::Boolean(value),
    i8 => |value| Self::Integer(value.into()),
    i16 => |value| Self::Integer(value.into()),
    i32 => |value| Self::Integer(value.into()),
    i64 => |value| Self::Integer(value),
    u8 => |value| Self::Integer(value.into()),
    u16 => |value| Self::Integer(value.into()),
    u32 => |value| Self::Integer(value.into()),
    f32 => |value| Self::Float(value.into()),
    f64 => |value| Self::Float(value),
    &str => |value| Self::Text(value.to_owned()),
    &String => |value| Self::Text(value.clone()),
    String => |value| Self::Text(value),
    &[u8] => |value| Self::Bytes(value.to_vec()),
    Vec<u8> => |value| Self::Bytes(value),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The values beside a statement.
pub trait Params {
    /// In order.
    fn into_values(self) -> Vec<Value>;
}

impl Params for () {
    fn into_values(self) -> Vec<Value> {
        Vec::new()
    }
}

impl Params for Vec<Value> {
    fn into_values(self) -> Vec<Value> {
        self
    }
}

impl<T: Into<Value>, const N: usize> Params for [T; N] {
    fn into_values(self) -> Vec<Value> {
        self.into_iter().map(Into::into).collect()
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt),*))*) => {
        $(impl<$($name: Into<Value>),*> Params for ($($name,)*) {
            fn into_values(self) -> Vec<Value> {
                vec![$(self.$index.into()),*]
            }
        })*
    };
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}

/// What a value of a database can be read as.
pub trait FromValue: Sized {
    /// What it is, for messages.
    const WANTED: &'static str;

    /// Nothing where the value is something else, or does not fit.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! integers {
    ($($type:ty, $bits:literal;)*) => {
        $(impl FromValue for $type {
            const WANTED: &'static str = concat!("whole number of ", $bits, " bits");

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Integer(number) => (*number).try_into().ok(),
                    _ => None,
                }
            }
        })*
    };
}

integers! { i8, 8; i16, 16; i32, 32; i64, 64; u8, 8; u16, 16; u32, 32; u64, 64; }

impl FromValue for bool {
    const WANTED: &'static str = "truth";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Boolean(truth) => Some(*truth),
            Value::Integer(number @ 0..=1) => Some(*number == 1),
            _ => None,
        }
    }
}

impl FromValue for f64 {
    const WANTED: &'static str = "number";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Float(number) => Some(*number),
            Value::Integer(number) => Some(*number as f64),
            _ => None,
        }
    }
}

impl FromValue for String {
    const WANTED: &'static str = "text";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    const WANTED: &'static str = "string of bytes";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            Value::Text(text) => Some(text.clone().into_bytes()),
            _ => None,
        }
    }
}

impl FromValue for Value {
    const WANTED: &'static str = "value";

    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const WANTED: &'static str = T::WANTED;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

#[cfg(target_family = "wasm")]
mod wire {
    use super::Value;
    use crate::bindings::sql;

    impl From<Value> for sql::Value {
        fn from(value: Value) -> Self {
            match value {
                Value::Null => Self::Null,
                Value::Boolean(truth) => Self::Boolean(truth),
                Value::Integer(number) => Self::Integer(number),
                Value::Float(number) => Self::Float(number),
                Value::Text(text) => Self::Text(text),
                Value::Bytes(bytes) => Self::Bytes(bytes),
            }
        }
    }

    impl From<sql::Value> for Value {
        fn from(value: sql::Value) -> Self {
            match value {
                sql::Value::Null => Self::Null,
                sql::Value::Boolean(truth) => Self::Boolean(truth),
                sql::Value::Integer(number) => Self::Integer(number),
                sql::Value::Float(number) => Self::Float(number),
                sql::Value::Text(text) => Self::Text(text),
                sql::Value::Bytes(bytes) => Self::Bytes(bytes),
            }
        }
    }
}
