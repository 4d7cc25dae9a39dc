//! What the command line of a benchmark asks for.

/// What stands behind `name` on the command line.
///
/// # Panics
/// When nothing does.
pub fn value<'a>(words: &'a [String], name: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| word == name)?;
    Some(words.get(at + 1).unwrap_or_else(|| panic!("`{name}` wants a value")))
}

/// The same as a number.
///
/// # Panics
/// When it is none.
pub fn number(words: &[String], name: &str, default: usize) -> usize {
    let Some(value) = value(words, name) else { return default };
    value.parse().unwrap_or_else(|_| panic!("`{name}` wants a number, not `{value}`"))
}
