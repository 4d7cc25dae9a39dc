//! Values that move from one path to another, in each element of arrays where the paths say so.

use crate::paths;
use gristmill_sdk::{
    Error, Result,
    json::{Edit, Json, Paths},
};

/// One renaming.
pub(crate) struct Rename {
    /// What both paths have in common up to their last `[*]`.
    each: Option<Paths>,
    from: Paths,
    to: Paths,
    /// As it is written.
    target: String,
}

impl Rename {
    /// # Errors
    /// What is not a path, or where the two do not go through the same elements.
    pub(crate) fn new(from: &str, to: &str) -> Result<Self> {
        let refused = |why| Error::reject(format!("config.rename: from `{from}` to `{to}`: {why}"));
        // What is no path is said before what two paths lack.
        paths("rename", [from, to])?;
        let ((each, from_name), (same, to_name)) = (split(from), split(to));
        if each.replace("[*]", "[]") != same.replace("[*]", "[]") {
            return Err(refused("both must go through the same `[*]`"));
        }
        if from_name.is_empty() || to_name.is_empty() {
            return Err(refused("elements of an array have no names"));
        }
        let each = if each.is_empty() { None } else { Some(paths("rename", [each])?) };
        Ok(Self { each, from: paths("rename", [from_name])?, to: paths("rename", [to_name])?, target: to.into() })
    }

    /// `document` with the value moved; none if there is no such value.
    pub(crate) fn apply(&self, document: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(each) = &self.each else {
            return self.moved(document);
        };
        let mut fault = None;
        let edited = each.edit(document, |found| match self.moved(found.raw).and_then(replace) {
            Ok(edit) => edit,
            Err(error) => {
                fault.get_or_insert(error);
                Edit::Keep
            }
        })?;
        fault.map_or(Ok(edited), Err)
    }

    fn moved(&self, document: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = None;
        let without = self.from.edit(document, |found| {
            value = Some(found.raw);
            Edit::Remove
        })?;
        let (Some(without), Some(value)) = (without, value) else {
            return Ok(None);
        };
        let moved = self.to.set(&without, &Json::parse(value)?)?;
        let no_place =
            || Error::reject(format!("payload: `{}` cannot be set: what it leads into is no object", self.target));
        moved.map(Some).ok_or_else(no_place)
    }
}

fn replace(moved: Option<Vec<u8>>) -> Result<Edit> {
    moved.map_or(Ok(Edit::Keep), |moved| Ok(Edit::Replace(Json::parse(moved)?)))
}

/// A path up to its last `[*]`, and what follows that; brackets in quotes are part of a key.
fn split(path: &str) -> (&str, &str) {
    let (mut quoted, mut escaped, mut end) = (false, false, 0);
    for (at, c) in path.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ']' if !quoted => end = at + 1,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    let (each, name) = path.split_at_checked(end).unwrap_or(("", path));
    (each, name.strip_prefix('.').unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(from: &str, to: &str, document: &str) -> String {
        let edited = Rename::new(from, to).unwrap().apply(document.as_bytes()).unwrap();
        edited.map_or_else(|| "as it was".into(), |edited| String::from_utf8(edited).unwrap())
    }

    #[test]
    fn a_value_moves_with_all_that_it_holds() {
        assert_eq!(renamed("a", "b", r#"{"a":{"x":[1]}, "c":2}"#), r#"{"c":2,"b":{"x":[1]}}"#);
        assert_eq!(renamed("u.mail", "contact.email", r#"{"u":{"mail":"m"}}"#), r#"{"u":{},"contact":{"email":"m"}}"#);
        assert_eq!(renamed("a", "b", r#"{"a":1,"b":2}"#), r#"{"b":1}"#);
        assert_eq!(renamed("a", "a", r#"{"a":1,"b":2}"#), r#"{"b":2,"a":1}"#);
        assert_eq!(renamed("a", "b", r#"{"c":1}"#), "as it was");
    }

    #[test]
    fn each_element_is_renamed_in() {
        let document = r#"{"l":[{"a":1},{"b":2},3,{"x":{"a":4}}]}"#;
        assert_eq!(renamed("l[*].a", "l[].b", document), r#"{"l":[{"b":1},{"b":2},3,{"x":{"a":4}}]}"#);
        assert_eq!(renamed(r#""a]"[*].x"#, r#""a]"[].y"#, r#"{"a]":[{"x":1}]}"#), r#"{"a]":[{"y":1}]}"#);
    }

    #[test]
    fn a_value_is_not_lost_where_it_cannot_go() {
        let error = Rename::new("a", "b.c").unwrap().apply(br#"{"a":1,"b":2}"#).unwrap_err();
        assert_eq!(error.reason(), "payload: `b.c` cannot be set: what it leads into is no object");
        let error = Rename::new("l[].a", "l[].b.c").unwrap().apply(br#"{"l":[{"a":1,"b":2}]}"#).unwrap_err();
        assert!(error.reason().contains("cannot be set"), "{error}");
    }

    #[test]
    fn paths_that_do_not_go_together_are_refused() {
        let why = |from, to| Rename::new(from, to).err().unwrap().reason().to_owned();
        assert!(why("l[*].a", "a").ends_with("both must go through the same `[*]`"));
        assert!(why("l[*]", "l[*].a").ends_with("elements of an array have no names"));
        assert!(why("a..b", "c").starts_with("config.rename: `a..b` is not a path"));
    }
}
