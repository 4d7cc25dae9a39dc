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
    let headers = headers(text);
    let below_secrets = |at: usize| {
        let before = headers.partition_point(|(header, _)| *header < at);
        before.checked_sub(1).and_then(|last| headers.get(last)).is_some_and(|(_, secrets)| *secrets)
    };
    let is_secret = |at: usize| names_a_password(text.get(..at).unwrap_or("")) || below_secrets(at);
    let places = text.match_indices('=').map(|(at, _)| at).filter(|at| is_secret(*at));
    places.flat_map(|at| values_at(text, at + 1)).collect()
}

/// Where the lines begin that are headers of tables, and whether each is one of `secrets`.
fn headers(text: &str) -> Vec<(usize, bool)> {
    let mut at = 0;
    let mut headers = Vec::new();
    for line in text.split_inclusive('\n') {
        if let Some(header) = line.trim_start().strip_prefix('[') {
            let name = header.split(']').next().unwrap_or("").rsplit('.').next().unwrap_or("");
            headers.push((at, name.trim_matches([' ', '"', '\'']) == "secrets"));
        }
        at += line.len();
    }
    headers
}

/// Where the value is that begins at `start`, or the values are if it is an inline table.
fn values_at(text: &str, start: usize) -> Vec<Range<usize>> {
    let after = text.get(start..).unwrap_or("");
    let value = after.trim_start_matches([' ', '\t']);
    if !value.starts_with('{') {
        return value_at(text, start).into_iter().collect();
    }
    let open = start + (after.len() - value.len()) + 1;
    let mut values = Vec::new();
    let mut at = open;
    let mut depth = 1;
    // Strings are stepped over, so that what looks like syntax in them is none.
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty() && depth > 0) {
        let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| rest.starts_with(quote));
        if let Some(quote) = quote {
            let inner = rest.get(quote.len()..).unwrap_or("");
            let end = end_of_string(inner, quote);
            let is_value = text.get(open..at).unwrap_or("").trim_end().ends_with('=');
            if is_value && !inner.get(..end).is_some_and(is_variable) {
                values.push(at + quote.len()..at + quote.len() + end);
            }
            at += (quote.len() + end + quote.len()).min(rest.len());
            continue;
        }
        depth += i32::from(rest.starts_with('{')) - i32::from(rest.starts_with('}'));
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    values
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

/// Whether the key at the end of `text`, or the table it is of, names one, if perhaps mistyped; not one in the query of a URL.
fn names_a_password(text: &str) -> bool {
    let line = text.rsplit('\n').next().unwrap_or("").trim_end_matches([' ', '\t', '"', '\'']);
    let before = line.trim_end_matches(|letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter));
    let key = line.get(before.len()..).unwrap_or("");
    let named = key.contains("pass")
        || key.contains("secret")
        || (key.len() > 8 && did_you_mean(key, ["sentinel_password"]).is_some());
    named && !before.ends_with(['?', '&'])
}

/// Whether it only names a variable, and has no default for it.
pub(super) fn is_variable(text: &str) -> bool {
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
    fn secrets_of_plugins_become_stars_however_their_table_is_written() {
        for (text, shown) in [
            (
                "secrets = { a = \"b}c\", d = \"${D}\", e = 'f' } # x",
                "secrets = { a = \"***\", d = \"${D}\", e = '*' } # x",
            ),
            ("secrets = {\n  a = \"bcd\",\n}\nx = \"y\"", "secrets = {\n  a = \"***\",\n}\nx = \"y\""),
            ("secrets.a = \"bcd\"\nx = \"y\"", "secrets.a = \"***\"\nx = \"y\""),
            ("[plugin.p.secrets]\na = \"bcd\"\n[x]\na = \"y\"", "[plugin.p.secrets]\na = \"***\"\n[x]\na = \"y\""),
            ("[plugin.p.\"secrets\"]\na = '${A}'\nb = 'cd'", "[plugin.p.\"secrets\"]\na = '${A}'\nb = '**'"),
            ("secrets = { a = \"bcd", "secrets = { a = \"***"),
            ("config = { secret = \"${A:-bcd}\" }", "config = { secret = \"*********\" }"),
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
