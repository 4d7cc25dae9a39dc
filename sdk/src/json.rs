//! Editing JSON by path, by splicing bytes: no document is built, what is not edited keeps its bytes.
//!
//! A path is keys with dots between them, and `[]`, or `[*]`, for every element of an array or every member of an object:
//! `user.email`, `items[].ip`, `users[].address.street`, `[].ip`. A key that holds one of `.`, `[`, `]`, `"` is written like a JSON
//! string: `"a.b".c`. Keys are compared as text, so `"\u0069p"` in a document is `ip`; where a key occurs more than once, every one
//! of them is meant.
//!
//! Each function checks the whole document in the same pass, nested however deep, and says where it is not JSON or not UTF-8.
//! Numbers are not read (`1e400` stays `1e400`), nor are escapes in strings that are left alone.
//!
//! ```
//! use gristmill_sdk::json::{Edit, Json, Paths};
//!
//! let private = Paths::new(["ip", "items[].email"])?;
//! let document = br#"{"ip": "10.0.0.7", "n": 1e400, "items": [{"email": "a@b.c"}, {}]}"#;
//!
//! let removed = private.edit(document, |_| Edit::Remove)?;
//! assert_eq!(removed.as_deref(), Some(br#"{"n": 1e400, "items": [{}, {}]}"#.as_slice()));
//!
//! let mask = Json::string("***");
//! let masked = private.edit(document, |_| Edit::Replace(mask.clone()))?;
//! assert_eq!(masked.as_deref(), Some(br#"{"ip": "***", "n": 1e400, "items": [{"email": "***"}, {}]}"#.as_slice()));
//! # Ok::<(), gristmill_sdk::Error>(())
//! ```

mod edit;
mod path;
mod scan;
mod tree;

pub use path::PathError;

use std::{borrow::Cow, fmt, sync::Arc};

/// Paths made ready: make them once, when the plugin starts, and use them for every message.
#[derive(Clone, Debug)]
pub struct Paths {
    root: tree::Node,
}

/// A value that a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'d> {
    /// Which path led here, counted from 0 in the order given to [`Paths::new`]; the first of those that do.
    pub path: usize,
    /// The value as it is written in the document.
    pub raw: &'d [u8],
}

impl<'d> Found<'d> {
    /// The text, if the value is a string.
    pub fn text(&self) -> Option<Cow<'d, str>> {
        let between = self.raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if between.contains(&b'\\') {
            return serde_json::from_slice(self.raw).ok().map(Cow::Owned);
        }
        std::str::from_utf8(between).ok().map(Cow::Borrowed)
    }
}

/// What becomes of a value that a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It stays; paths that lead on into it are followed.
    Keep,
    /// It goes, with its key if it has one, and the comma.
    Remove,
    /// This stands in its place.
    Replace(Json),
}

/// A value in JSON; cloning it copies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(Arc<[u8]>);

impl Json {
    /// A string.
    pub fn string(text: &str) -> Self {
        Self(serde_json::Value::from(text).to_string().into_bytes().into())
    }

    /// Anything that serde can serialize.
    ///
    /// # Errors
    /// A rejection if `value` has no form in JSON, such as a map whose keys are not strings.
    pub fn of(value: &impl serde::Serialize) -> crate::Result<Self> {
        Ok(Self(serde_json::to_vec(value)?.into()))
    }

    /// A value that is written already.
    ///
    /// # Errors
    /// Where it is not JSON.
    pub fn parse(json: impl AsRef<[u8]>) -> Result<Self, Invalid> {
        check(json.as_ref())?;
        Ok(Self(json.as_ref().into()))
    }

    /// As it is written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Paths {
    /// Makes paths ready.
    ///
    /// # Errors
    /// The first text that is not a path, and why.
    pub fn new<I>(paths: I) -> Result<Self, PathError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let paths: Vec<_> = paths.into_iter().collect();
        Ok(Self { root: tree::Node::root(paths.iter().map(AsRef::as_ref))? })
    }

    /// Edits every value that a path leads to as `judge` says, in the order in which they stand; `None` if all is as it was.
    /// A value inside of one that is removed or replaced is not judged.
    ///
    /// # Errors
    /// Where `document` is not JSON.
    pub fn edit<'d>(
        &self,
        document: &'d [u8],
        judge: impl FnMut(Found<'d>) -> Edit,
    ) -> Result<Option<Vec<u8>>, Invalid> {
        edit::Walk::new(document, judge, None).run(&self.root)
    }

    /// Removes every value that a path leads to; `None` if there is none.
    ///
    /// # Errors
    /// Where `document` is not JSON.
    pub fn remove(&self, document: &[u8]) -> Result<Option<Vec<u8>>, Invalid> {
        self.edit(document, |_| Edit::Remove)
    }

    /// Replaces every value that a path leads to; `None` if there is none.
    ///
    /// # Errors
    /// Where `document` is not JSON.
    pub fn replace(&self, document: &[u8], value: &Json) -> Result<Option<Vec<u8>>, Invalid> {
        self.edit(document, |_| Edit::Replace(value.clone()))
    }

    /// Replaces every value that a path leads to, and creates those that are absent, with the objects on the way to them; `None` if
    /// there was nothing to do. Nothing is created inside of what is not an object, nor for `[]`, which means only what is there.
    ///
    /// # Errors
    /// Where `document` is not JSON.
    pub fn set<'d>(&self, document: &'d [u8], value: &'d Json) -> Result<Option<Vec<u8>>, Invalid> {
        edit::Walk::new(document, |_| Edit::Replace(value.clone()), Some(value)).run(&self.root)
    }

    /// Keeps what a path leads to, with the objects and arrays on the way to it, and removes everything else; `None` if there is
    /// nothing else. A document that is no object or array is left alone, and so is an array where no path begins with `[]`.
    ///
    /// # Errors
    /// Where `document` is not JSON.
    pub fn pick(&self, document: &[u8]) -> Result<Option<Vec<u8>>, Invalid> {
        edit::Walk::new(document, |_| Edit::Keep, None).only().run(&self.root)
    }

    /// Every value that a path leads to, in the order in which they stand; a value before those inside of it.
    ///
    /// # Errors
    /// Where `document` is not JSON.
    pub fn find<'d>(&self, document: &'d [u8]) -> Result<Vec<Found<'d>>, Invalid> {
        let mut all = Vec::new();
        let collect = |found| {
            all.push(found);
            Edit::Keep
        };
        self.edit(document, collect)?;
        Ok(all)
    }
}

/// The value at `path` as it is written; the last one if there are several.
///
/// # Errors
/// A rejection if `path` is not a path, or where `document` is not JSON.
pub fn get<'d>(document: &'d [u8], path: &str) -> crate::Result<Option<&'d [u8]>> {
    Ok(Paths::new([path])?.find(document)?.last().map(|found| found.raw))
}

/// `document` without the values at `path`.
///
/// # Errors
/// A rejection if `path` is not a path, or where `document` is not JSON.
pub fn remove(document: Vec<u8>, path: &str) -> crate::Result<Vec<u8>> {
    let edited = Paths::new([path])?.remove(&document)?;
    Ok(edited.unwrap_or(document))
}

/// `document` with `value` at `path`, see [`Paths::set`].
///
/// # Errors
/// A rejection if `path` is not a path, or where `document` is not JSON.
pub fn set(document: Vec<u8>, path: &str, value: &Json) -> crate::Result<Vec<u8>> {
    let edited = Paths::new([path])?.set(&document, value)?;
    Ok(edited.unwrap_or(document))
}

/// Checks that `document` is one JSON value in UTF-8.
///
/// # Errors
/// Where it is not.
pub fn check(document: &[u8]) -> Result<(), Invalid> {
    let mut scan = scan::Scanner::new(document);
    scan.skip()?;
    scan.end()
}

/// Where a document is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    at: usize,
    ended: bool,
    expected: &'static str,
}

impl Invalid {
    /// The offset in bytes at which it stops to be JSON.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, ended, expected } = self;
        write!(f, "not JSON at byte {at}: expected {expected}")?;
        if *ended { f.write_str(", but it ends there") } else { Ok(()) }
    }
}

impl std::error::Error for Invalid {}

#[cfg(test)]
mod tests;
