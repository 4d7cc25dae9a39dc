//! `${NAME}` and `${NAME:-default}` in strings, replaced from the environment; `$${` is a literal `${`.
//! `${secret:NAME}` is looked up in the same way, and has no default.

/// What stands before the name of a secret.
pub(super) const SECRET: &str = "secret:";

/// Looks up a variable.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The variables of this process; one that is not Unicode counts as missing.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Why a `${…}` cannot be replaced; borrows from the text, never from the environment.
#[derive(Debug, PartialEq)]
pub(super) struct Unexpandable<'a> {
    /// The text from the `${` on, to be found again in the file.
    pub(super) from: &'a str,
    pub(super) reason: Reason<'a>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Reason<'a> {
    /// No such variable, and no default.
    Missing(&'a str),
    /// No `}`.
    Unclosed,
    /// Something other than a name, or a `${` in the default.
    NotAName,
}

/// The text with its variables replaced, or every reason why not.
///
/// As in a shell, the default also stands in for a variable that is empty.
pub(super) fn expand<'a>(text: &'a str, environment: &Environment<'_>) -> Result<String, Vec<Unexpandable<'a>>> {
    let mut expanded = String::with_capacity(text.len());
    let mut wrong = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = from.get(2..).unwrap_or("");
            continue;
        }
        expanded.push_str(before);
        match replacement(from, environment) {
            Ok((value, after)) => {
                expanded.push_str(&value);
                rest = after;
            }
            Err(reason) => {
                wrong.push(Unexpandable { from, reason });
                rest = from.get(2..).unwrap_or("");
            }
        }
    }
    expanded.push_str(rest);
    if wrong.is_empty() { Ok(expanded) } else { Err(wrong) }
}

/// What stands for the `${…}` at the beginning of `from`, and the text after it.
fn replacement<'a>(from: &'a str, environment: &Environment<'_>) -> Result<(String, &'a str), Reason<'a>> {
    let inner = from.get(2..).unwrap_or("");
    let (inner, after) = inner.split_once('}').ok_or(Reason::Unclosed)?;
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let secret = name.strip_prefix(SECRET);
    if secret.is_some() && default.is_some() {
        return Err(Reason::NotAName);
    }
    if !is_name(secret.unwrap_or(name)) || default.is_some_and(|default| default.contains("${")) {
        return Err(Reason::NotAName);
    }
    let value = match (environment(name), default) {
        (Some(value), None) => value,
        (Some(value), Some(_)) if !value.is_empty() => value,
        (_, Some(default)) => default.to_owned(),
        (None, None) => return Err(Reason::Missing(name)),
    };
    Ok((value, after))
}

/// Whether a variable or a secret may be called that.
pub(super) fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("example.com".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("\"${HOST}\n$${".to_owned()),
            _ => None,
        }
    }

    fn expanded(text: &str) -> String {
        expand(text, &environment).expect("expands")
    }

    fn reason(text: &str) -> Reason<'_> {
        expand(text, &environment).expect_err("wrong").remove(0).reason
    }

    #[test]
    fn variables_are_replaced_wherever_they_stand() {
        assert_eq!(expanded("a${HOST}b${HOST}"), "aexample.combexample.com");
        assert_eq!(expanded("no variables, $5, $HOST, {}"), "no variables, $5, $HOST, {}");
        assert_eq!(expanded("${EMPTY}"), "");
    }

    #[test]
    fn a_value_is_taken_as_it_is_and_not_expanded_again() {
        assert_eq!(expanded("${TRICKY}"), "\"${HOST}\n$${");
    }

    #[test]
    fn a_default_stands_in_for_a_missing_or_empty_variable() {
        assert_eq!(expanded("${NONE:-a:-b}"), "a:-b");
        assert_eq!(expanded("${EMPTY:-x}"), "x");
        assert_eq!(expanded("${HOST:-x}"), "example.com");
        assert_eq!(expanded("${NONE:-}"), "");
    }

    #[test]
    fn a_doubled_dollar_keeps_the_braces() {
        assert_eq!(expanded("$${HOST}"), "${HOST}");
        assert_eq!(expanded("$$${HOST}"), "$${HOST}");
        assert_eq!(expanded("$$ ${HOST}"), "$$ example.com");
    }

    #[test]
    fn what_cannot_be_replaced_is_said() {
        assert_eq!(reason("${NONE}"), Reason::Missing("NONE"));
        assert_eq!(reason("${HOST"), Reason::Unclosed);
        assert_eq!(reason("${}"), Reason::NotAName);
        assert_eq!(reason("${1A}"), Reason::NotAName);
        assert_eq!(reason("${A B}"), Reason::NotAName);
        assert_eq!(reason("${NONE:-${HOST}}"), Reason::NotAName);
    }

    #[test]
    fn every_missing_variable_is_named_not_only_the_first() {
        let wrong = expand("${A} and ${B}", &environment).expect_err("wrong");
        assert_eq!(wrong.len(), 2);
    }
}
