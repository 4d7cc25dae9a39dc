//! Hides passwords in the text of a file, so that faults can show its lines.

use super::fault::did_you_mean;
use std::ops::Range;

/// The text with every byte of a password replaced by `*`, and everything else in its place.
///
/// A password is what stands in a URL as one, or under a key with such a name. One that is only named, as `${NAME}`, stays.
pub(super) fn without_passwords(text: &str) -> String {
    let mut shown = text.as_bytes().to_vec();
    for secret in in_urls(text).into_iter().chain(under_keys(text)) {
        let bytes = shown.get_mut(secret).into_iter().flatten();
        bytes.filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
    }
    String::from_utf8_lossy(&shown).into_owned()
}

fn in_urls(text: &str) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    for (at, mark) in text.match_indices("://") {
        let (before, after) = (text.get(..at).unwrap_or(""), text.get(at + mark.len()..).unwrap_or(""));
        let url = after.get(..url_end(before, after)).unwrap_or(after);
        let parts = [login_password(url)].into_iter().flatten().chain(query_passwords(url));
        let start = at + mark.len();
        secrets.extend(parts.map(|part| start + part.start..start + part.end));
    }
    secrets
}

/// How long a URL is that goes on with `after`; what stands `before` begins with its scheme's quote, if it has one.
fn url_end(before: &str, after: &str) -> usize {
    let scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    let line = after.find('\n').unwrap_or(after.len());
    let end = match quote_at_end(before.trim_end_matches(scheme)) {
        Some(quote) => end_of_string(after, quote),
        None => after.find(['"', '\'', ' ', '\t']).unwrap_or(after.len()),
    };
    end.min(line)
}

/// Where `user:password@` has its password.
fn login_password(url: &str) -> Option<Range<usize>> {
    let (login, _) = url.rsplit_once('@')?;
    let (user, password) = login.split_once(':')?;
    (!is_variable(password)).then_some(user.len() + 1..login.len())
}

/// Where `?pass=password&` has its password, as addresses of sockets do.
fn query_passwords(url: &str) -> impl Iterator<Item = Range<usize>> {
    url.match_indices("pass").filter_map(|(at, _)| {
        let after = url.get(at..)?;
        let (key, value) = after.split_once('=')?;
        let value = value.split('&').next().unwrap_or("");
        let start = at + key.len() + 1;
        (key.bytes().all(|byte| byte.is_ascii_lowercase()) && !is_variable(value)).then_some(start..start + value.len())
    })
}

fn under_keys(text: &str) -> Vec<Range<usize>> {
    let is_secret = |(at, _): &(usize, &str)| names_a_password(text.get(..*at).unwrap_or(""));
    text.match_indices('=').filter(is_secret).filter_map(|(at, _)| value_at(text, at + 1)).collect()
}

/// Where the value is that begins at `start` or behind the spaces there, without its quotes.
fn value_at(text: &str, start: usize) -> Option<Range<usize>> {
    let after = text.get(start..)?;
    let value = after.trim_start_matches([' ', '\t']);
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| value.starts_with(quote));
    let start = start + (after.len() - value.len()) + quote.map_or(0, str::len);
    let value = text.get(start..)?;
    let end = match quote {
        Some(quote) => end_of_string(value, quote),
        None => value.find('\n').unwrap_or(value.len()),
    };
    let value = value.get(..end)?;
    (!is_variable(value)).then_some(start..start + end)
}

/// Where the string ends that goes on with `text`; at the end of the line if it is not closed.
fn end_of_string(text: &str, quote: &str) -> usize {
    let escapes = quote.starts_with('"');
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        let rest = text.get(at..).unwrap_or("");
        if escaped {
            escaped = false;
        } else if escapes && letter == '\\' {
            escaped = true;
        } else if rest.starts_with(quote) || (quote.len() == 1 && letter == '\n') {
            return at;
        }
    }
    text.len()
}

fn quote_at_end(text: &str) -> Option<&'static str> {
    ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| text.ends_with(quote))
}

/// Whether the key at the end of `text` names one, if perhaps mistyped; not one in the query of a URL.
fn names_a_password(text: &str) -> bool {
    let line = text.rsplit('\n').next().unwrap_or("").trim_end_matches([' ', '\t', '"', '\'']);
    let before = line.trim_end_matches(|letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter));
    let key = line.get(before.len()..).unwrap_or("");
    let named = key.contains("pass") || (key.len() > 8 && did_you_mean(key, ["sentinel_password"]).is_some());
    named && !before.ends_with(['?', '&'])
}

/// Whether it only names a variable, and has no default for it.
fn is_variable(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|text| text.strip_suffix('}'));
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_become_stars() {
        for (text, shown) in [
            ("redis = \"redis://me:secret@host\"", "redis = \"redis://me:******@host\""),
            ("redis = 'redis://:a\"b c@host' # x@y", "redis = 'redis://:*****@host' # x@y"),
            (r#""redis://me:a\"b'c@host", "x@y""#, r#""redis://me:******@host", "x@y""#),
            ("\"\"\"redis://me:a\"b@host\"\"\"", "\"\"\"redis://me:***@host\"\"\""),
            ("# was redis://me:secret@host once", "# was redis://me:******@host once"),
            ("\"redis+sentinel://me:secret@a:1,b:2/m\"", "\"redis+sentinel://me:******@a:1,b:2/m\""),
            ("\"unix:///r.sock?pass=secret&db=1\"", "\"unix:///r.sock?pass=******&db=1\""),
            ("\"unix:///r.sock?user=a@b&pass=secret\"", "\"unix:///r.sock?user=a@b&pass=******\""),
            ("\"redis://me:${SECRET}@host\"", "\"redis://me:${SECRET}@host\""),
            ("\"redis://me:${SECRET:-pw}@host\"", "\"redis://me:*************@host\""),
            ("\"redis://host:1,b:2\" \"me@x\"", "\"redis://host:1,b:2\" \"me@x\""),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }

    #[test]
    fn passwords_under_keys_become_stars() {
        for (text, shown) in [
            ("sentinel_password = \"a\\\"b\" # x", "sentinel_password = \"****\" # x"),
            ("sentinel_password='secret'\nlease = 1", "sentinel_password='******'\nlease = 1"),
            ("\"sentinel_password\" = \"\"\"a\nb\"\"\"", "\"sentinel_password\" = \"\"\"*\n*\"\"\""),
            ("sentinel_password = secret\nlease = 1", "sentinel_password = ******\nlease = 1"),
            ("sentinel_password = \"secret\nlease = 1", "sentinel_password = \"******\nlease = 1"),
            ("sentinal_pasword = \"secret\"", "sentinal_pasword = \"******\""),
            ("config = { password = \"secret\", url = \"x\" }", "config = { password = \"******\", url = \"x\" }"),
            ("sentinel_password = \"${SECRET}\"", "sentinel_password = \"${SECRET}\""),
            ("sentinel_user = \"me\"", "sentinel_user = \"me\""),
            ("sentinel_password =", "sentinel_password ="),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }

    #[test]
    fn every_byte_stays_in_its_place() {
        let text = "redis = \"redis://ü:hünter2@host\"\nsentinel_password = \"ü\n\"\r\nx = 1";
        let shown = without_passwords(text);
        assert_eq!(shown.len(), text.len());
        assert_eq!(shown.find("x = 1"), text.find("x = 1"));
    }
}
