//! Paths as people write them, taken apart.

use std::fmt;

/// Longer paths are refused: the walk through a document goes as deep as the longest path.
const LONGEST: usize = 64;

/// One step down into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The member of this name.
    Key(String),
    /// Every element of an array, every member of an object.
    Each,
}

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    path: String,
    why: &'static str,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a path: {}", self.path, self.why)
    }
}

impl std::error::Error for PathError {}

impl PathError {
    pub(super) fn new(path: &str, why: &'static str) -> Self {
        Self { path: path.into(), why }
    }
}

/// The steps of `path`, at least one.
pub(super) fn parse(path: &str) -> Result<Vec<Step>, PathError> {
    steps(path).map_err(|why| PathError::new(path, why))
}

fn steps(path: &str) -> Result<Vec<Step>, &'static str> {
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        let (step, after) = match rest.strip_prefix("[]").or_else(|| rest.strip_prefix("[*]")) {
            Some(after) => (Step::Each, after),
            None if steps.is_empty() => key(rest)?,
            None => key(rest.strip_prefix('.').ok_or("after a key come `.` and a key, `[]`, or the end")?)?,
        };
        steps.push(step);
        rest = after;
        match rest {
            _ if steps.len() > LONGEST => return Err("it has more than 64 steps"),
            "" => return Ok(steps),
            _ => {}
        }
    }
}

/// The key at the beginning of `text`, and what follows it.
fn key(text: &str) -> Result<(Step, &str), &'static str> {
    if text.starts_with('"') {
        return quoted(text).ok_or("a quoted key is written like a JSON string");
    }
    let end = text.find(['.', '[', ']', '"']).unwrap_or(text.len());
    match text.split_at(end) {
        ("", _) => Err("a key is missing"),
        (key, after) => Ok((Step::Key(key.into()), after)),
    }
}

fn quoted(text: &str) -> Option<(Step, &str)> {
    let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let key = strings.next()?.ok()?;
    Some((Step::Key(key), text.get(strings.byte_offset()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(path: &str) -> Vec<Step> {
        parse(path).unwrap()
    }

    fn key(name: &str) -> Step {
        Step::Key(name.into())
    }

    #[test]
    fn a_path_is_keys_with_dots_and_brackets_for_each() {
        assert_eq!(keys("user.email"), [key("user"), key("email")]);
        assert_eq!(keys("items[].ip"), [key("items"), Step::Each, key("ip")]);
        assert_eq!(keys("[][].x y*"), [Step::Each, Step::Each, key("x y*")]);
        assert_eq!(keys("items[*].ip"), keys("items[].ip"));
        assert_eq!(keys(r#""a.b"."\u0063[]"[]"#), [key("a.b"), key("c[]"), Step::Each]);
    }

    #[test]
    fn what_is_not_a_path_is_refused_with_a_reason() {
        let why = |path: &str| parse(path).unwrap_err().why;
        assert_eq!(why(""), "a key is missing");
        assert_eq!(why("a..b"), "a key is missing");
        assert_eq!(why("a."), "a key is missing");
        assert_eq!(why("a[3]"), "after a key come `.` and a key, `[]`, or the end");
        assert_eq!(why("[]a"), "after a key come `.` and a key, `[]`, or the end");
        assert_eq!(why("\"a"), "a quoted key is written like a JSON string");
        assert_eq!(why(&"a.".repeat(65)), "it has more than 64 steps");
        assert_eq!(parse("a..b").unwrap_err().to_string(), "`a..b` is not a path: a key is missing");
    }
}
