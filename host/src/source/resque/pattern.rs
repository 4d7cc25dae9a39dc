//! Which queues are meant by a list of names and patterns, by the rules of a Ruby worker.

use std::collections::HashSet;

/// What a worker was told to take from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    /// These, in this order.
    Static(Vec<String>),
    /// What these patterns match, in this order, but nothing that one of `skip` matches.
    Dynamic { patterns: Vec<String>, skip: Vec<String> },
}

impl Wanted {
    /// A list is dynamic if one of `*?{}[]` is anywhere in it, or if an entry begins with `!`.
    pub(super) fn new(queues: &[String]) -> Self {
        let entries: Vec<&str> = queues.iter().map(|entry| entry.trim()).collect();
        let dynamic = |entry: &&str| entry.starts_with('!') || entry.contains(['*', '?', '{', '}', '[', ']']);
        if !entries.iter().any(dynamic) {
            return Self::Static(without_doublets(entries.into_iter().map(str::to_owned)));
        }
        let (skip, patterns): (Vec<&str>, Vec<&str>) = entries.into_iter().partition(|entry| entry.starts_with('!'));
        let skip = skip.iter().filter_map(|entry| entry.strip_prefix('!')).map(str::to_owned).collect();
        Self::Dynamic { patterns: patterns.into_iter().map(str::to_owned).collect(), skip }
    }

    /// The queues that are meant, of those that are `known`, in order of priority.
    pub(super) fn expand(&self, mut known: Vec<String>) -> Vec<String> {
        match self {
            Self::Static(queues) => queues.clone(),
            Self::Dynamic { patterns, skip } => {
                known.retain(|queue| !skip.iter().any(|pattern| matches(pattern, queue)));
                known.sort_unstable();
                let pairs = patterns.iter().flat_map(|pattern| known.iter().map(move |queue| (pattern, queue)));
                without_doublets(
                    pairs.filter(|(pattern, queue)| matches(pattern, queue)).map(|(_, queue)| queue.clone()),
                )
            }
        }
    }
}

fn without_doublets(queues: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    queues.filter(|queue| seen.insert(queue.clone())).collect()
}

/// Whether `name` fits `pattern` as `File.fnmatch?` sees it: a dot at the start wants a dot, braces mean themselves.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    if name.first() == Some(&'.') && !matches!(pattern[..], ['.', ..] | ['\\', '.', ..]) {
        return false;
    }
    fits(&pattern, &name)
}

/// A star that has been passed takes one more character whenever what follows it does not fit.
fn fits(pattern: &[char], name: &[char]) -> bool {
    let (mut rest, mut left) = (pattern, name);
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        if let ['*', behind @ ..] = rest {
            rest = behind;
            star = Some((behind, left));
        } else if let (Some(behind), [_, others @ ..]) = (one(rest, left), left) {
            (rest, left) = (behind, others);
        } else if rest.is_empty() && left.is_empty() {
            return true;
        } else {
            let Some((behind, [_, others @ ..])) = star else { return false };
            star = Some((behind, others));
            (rest, left) = (behind, others);
        }
    }
}

/// What of the pattern is left behind its part for the first character of `name`, if that fits.
fn one<'p>(pattern: &'p [char], name: &[char]) -> Option<&'p [char]> {
    let character = *name.first()?;
    match pattern {
        ['?', rest @ ..] => Some(rest),
        ['[', rest @ ..] => bracket(rest, character),
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == character).then_some(rest),
        [] => None,
    }
}

/// What is left behind a set such as `a-z]` or `!abc]`, if `character` is in it.
fn bracket(set: &[char], character: char) -> Option<&[char]> {
    let (not, mut set) = match set {
        ['!' | '^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    loop {
        if let [']', rest @ ..] = set {
            return (found != not).then_some(rest);
        }
        let (first, behind) = literal(set)?;
        (found, set) = match behind {
            ['-', last @ ..] if last.first() != Some(&']') => {
                let (last, rest) = literal(last)?;
                (found || (first..=last).contains(&character), rest)
            }
            _ => (found || first == character, behind),
        };
    }
}

fn literal(set: &[char]) -> Option<(char, &[char])> {
    match set {
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => Some((*literal, rest)),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(queues: &str) -> String {
        let known = ["beta", "low", "alpha-2", "a", "alpha-1", "b"].map(str::to_owned).to_vec();
        let queues: Vec<String> = queues.split(',').map(str::to_owned).collect();
        Wanted::new(&queues).expand(known).join(" ")
    }

    #[test]
    fn lists_expand_as_those_of_a_ruby_worker() {
        for (queues, meant) in [
            ("*", "a alpha-1 alpha-2 b beta low"),
            ("b,*", "b a alpha-1 alpha-2 beta low"),
            ("alpha*,low", "alpha-1 alpha-2 low"),
            ("*,!alpha*", "a b beta low"),
            ("!alpha*, *", "a b beta low"),
            ("[ab]", "a b"),
            ("?", "a b"),
            ("{a,b}", ""),
            ("absent*,nowhere", ""),
            ("!a", ""),
            ("low,absent,a", "low absent a"),
            ("low, a ,low", "low a"),
        ] {
            assert_eq!(expanded(queues), meant, "{queues}");
        }
    }

    #[test]
    fn patterns_match_as_those_of_ruby() {
        for (pattern, name, fit) in [
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("**", "", true),
            ("*", ".hidden", false),
            ("?hidden", ".hidden", false),
            ("[.]hidden", ".hidden", false),
            (".*", ".hidden", true),
            ("a*", "a.b/c", true),
            ("[!a-c]x", "dx", true),
            ("[^a-c]x", "bx", false),
            ("[a-]", "-", true),
            ("[]", "]", false),
            ("[a", "a", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[\\]]", "]", true),
            ("?", "ü", true),
            ("{a,b}", "{a,b}", true),
            ("A", "a", false),
        ] {
            assert_eq!(matches(pattern, name), fit, "{pattern} and {name}");
        }
    }
}
