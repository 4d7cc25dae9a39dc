//! Paths and queries of URLs taken apart.

use std::collections::BTreeMap;

/// The text behind percent signs; where they stand for no text, as it is written.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let hex = more.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// What stands behind the `?`, by name; of what stands there twice the last.
pub(super) fn pairs(query: Option<&str>) -> BTreeMap<String, String> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
    };
    query.unwrap_or_default().split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

/// What `path` has where `template` has braces; none where they are different.
pub(super) fn captured(template: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut found) = (template.split('/'), path.split('/'));
    let mut captured = Vec::new();
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return Some(captured),
            (Some(wanted), Some(found)) if wanted.starts_with('{') && !found.is_empty() => {
                captured.push(decoded(found))
            }
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_stand_for_bytes_or_for_themselves() {
        let texts = ["a%20b", "%C3%BC", "100%", "%zz", "%ff", "a+b"].map(decoded);
        assert_eq!(texts, ["a b", "ü", "100%", "%zz", "%ff", "a+b"]);
    }

    #[test]
    fn a_query_is_taken_apart() {
        let found = pairs(Some("a=1&b=x%26y+z&&c&a=2"));
        let expected = [("a", "2"), ("b", "x&y z"), ("c", "")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert!(pairs(None).is_empty());
    }

    #[test]
    fn a_path_fits_its_template_or_not() {
        assert_eq!(captured("/a/{x}/b", "/a/1%2F2/b"), Some(vec!["1/2".to_owned()]));
        assert_eq!(captured("/a", "/a"), Some(vec![]));
        for path in ["/a", "/a//b", "/a/1/b/", "/a/1/c", ""] {
            assert_eq!(captured("/a/{x}/b", path), None, "{path}");
        }
    }
}
