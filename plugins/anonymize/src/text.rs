//! Personal data in running text: found by its form, in one pass without regular expressions.

use crate::network::Keep;
use serde::Deserialize;
use std::{net::IpAddr, ops::Range};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pattern {
    Email,
    Ip,
    Phone,
    Card,
}

impl Pattern {
    pub(crate) const ALL: [Self; 4] = [Self::Email, Self::Ip, Self::Phone, Self::Card];
}

/// One match: where it is, and what stands there instead.
struct Match {
    place: Range<usize>,
    with: String,
}

/// `text` without what the patterns find; none if they find nothing.
pub(crate) fn scrub(text: &str, patterns: &[Pattern], keep: Keep) -> Option<String> {
    let mut out = String::new();
    let (mut taken, mut at) = (0, 0);
    while let Some(found) = next(text, at, taken, patterns, keep) {
        out.push_str(text.get(taken..found.place.start).unwrap_or_default());
        out.push_str(&found.with);
        (taken, at) = (found.place.end, found.place.end);
    }
    (taken > 0).then(|| out + text.get(taken..).unwrap_or_default())
}

/// The first match whose mark stands at `from` or behind it; what lies before `taken` belongs to another one.
fn next(text: &str, from: usize, taken: usize, patterns: &[Pattern], keep: Keep) -> Option<Match> {
    let bytes = text.as_bytes();
    (from..bytes.len()).find_map(|at| {
        let found = match bytes.get(at)? {
            b'@' => email(text, at, taken).filter(|_| patterns.contains(&Pattern::Email)),
            b'+' => phone(text, at).filter(|_| patterns.contains(&Pattern::Phone)),
            b'0'..=b'9' if is_start(bytes, at) => ip(text, at, keep)
                .filter(|_| patterns.contains(&Pattern::Ip))
                .or_else(|| card(text, at).filter(|_| patterns.contains(&Pattern::Card))),
            b'a'..=b'f' | b'A'..=b'F' | b':' if is_start(bytes, at) => {
                ip(text, at, keep).filter(|_| patterns.contains(&Pattern::Ip))
            }
            _ => None,
        };
        found.filter(|found| found.place.start >= taken)
    })
}

/// No word goes on here.
fn is_start(bytes: &[u8], at: usize) -> bool {
    !bytes.get(at.wrapping_sub(1)).is_some_and(|byte| is_word(*byte))
}

/// No word goes on behind `end`.
fn is_end(bytes: &[u8], end: usize) -> bool {
    !bytes.get(end).is_some_and(|byte| is_word(*byte))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Letters of the scripts that put spaces between words: in others what comes before an address is a sentence.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() && c < '\u{590}'
}

/// An e-mail address around the `@` at `at`.
fn email(text: &str, at: usize, taken: usize) -> Option<Match> {
    let before = text.get(taken..at)?;
    let local = |c: char| is_letter(c) || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'');
    let name = before.chars().rev().take_while(|c| local(*c)).map(char::len_utf8).sum::<usize>();
    let behind = text.get(at + 1..)?;
    let end = behind.find(|c| !is_letter(c) && !matches!(c, '.' | '-')).unwrap_or(behind.len());
    let domain = behind.get(..end)?.trim_end_matches(['.', '-']);
    let (host, country) = domain.rsplit_once('.')?;
    let is_domain = !host.is_empty() && country.chars().count() >= 2 && !country.chars().all(|c| c.is_ascii_digit());
    (name > 0 && is_domain).then(|| Match { place: at - name..at + 1 + domain.len(), with: "[email]".into() })
}

/// An internet address that begins at `at`; its network stands there instead.
fn ip(text: &str, at: usize, keep: Keep) -> Option<Match> {
    let bytes = text.as_bytes();
    // The rest of something with more dots.
    if bytes.get(at.wrapping_sub(1)) == Some(&b'.') {
        return None;
    }
    let rest = bytes.get(at..)?;
    // No address is longer.
    let run = rest.iter().take(46).take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')).count();
    let mut run = text.get(at..at + run)?.trim_end_matches('.');
    if !run.contains(':') && run.bytes().filter(|byte| *byte == b'.').count() != 3 {
        return None;
    }
    // A port, or the colon of a sentence.
    if run.parse::<IpAddr>().is_err() {
        run = run.rsplit_once(':')?.0;
    }
    let address: IpAddr = run.parse().ok()?;
    let place = at..at + run.len();
    is_end(bytes, place.end).then(|| Match { with: keep.network(address).to_string(), place })
}

/// A telephone number in the form of all countries, behind its `+`.
fn phone(text: &str, at: usize) -> Option<Match> {
    let (end, digits) = number(text.as_bytes(), at + 1, b" -.()/");
    let place = at..end;
    ((8..=15).contains(&digits.len()) && is_end(text.as_bytes(), end)).then(|| Match { place, with: "[phone]".into() })
}

/// The number of a payment card, whose last digit checks the others.
fn card(text: &str, at: usize) -> Option<Match> {
    let (end, digits) = number(text.as_bytes(), at, b" -");
    // What begins otherwise is more often a time or a number of something else.
    let is_issued = matches!(digits.first(), Some(2..=6)) && (13..=19).contains(&digits.len());
    let is_card = is_issued && is_end(text.as_bytes(), end) && checks(&digits);
    is_card.then(|| Match { place: at..end, with: "[card]".into() })
}

/// The digits from `at` on, with single marks or a mark and a space between them, and where the last one ends.
fn number(bytes: &[u8], at: usize, between: &[u8]) -> (usize, Vec<u8>) {
    let (mut digits, mut end, mut gap) = (Vec::new(), at, 0);
    for (place, byte) in bytes.iter().enumerate().skip(at).take(40) {
        if byte.is_ascii_digit() {
            digits.push(byte - b'0');
            (end, gap) = (place + 1, 0);
        } else if between.contains(byte) && gap < 2 {
            gap += 1;
        } else {
            break;
        }
    }
    (end, digits)
}

/// Luhn's sum.
fn checks(digits: &[u8]) -> bool {
    let sum: u32 = digits.iter().rev().enumerate().map(|(place, digit)| weighed(place, *digit)).sum();
    sum.is_multiple_of(10)
}

fn weighed(place: usize, digit: u8) -> u32 {
    let digit = u32::from(digit);
    match (place % 2, digit) {
        (0, _) => digit,
        (_, 5..) => digit * 2 - 9,
        _ => digit * 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubbed(text: &str) -> String {
        scrub(text, &Pattern::ALL, Keep::default()).unwrap_or_else(|| "as it was".into())
    }

    #[test]
    fn mail_addresses_go_and_the_sentence_stays() {
        assert_eq!(scrubbed("Ask anna.b+x@mail.example.com, please."), "Ask [email], please.");
        assert_eq!(scrubbed("<a@b.co><c@d.org>"), "<[email]><[email]>");
        assert_eq!(scrubbed("jörg@exämple.de!"), "[email]!");
        assert_eq!(scrubbed("メールはa@b.co"), "メールは[email]");
        assert_eq!(scrubbed("a@b.co@c.de"), "[email]@c.de");
        for text in ["@home", "a@b", "a@b.1", "x @ y.com", "mail@", "@@@@.com", "a@.com", "a@b..", ""] {
            assert_eq!(scrubbed(text), "as it was", "{text}");
        }
    }

    #[test]
    fn internet_addresses_are_cut_wherever_they_stand() {
        assert_eq!(scrubbed("from 203.0.113.77."), "from 203.0.113.0.");
        assert_eq!(scrubbed("203.0.113.77:8080 and [2001:db8:5::7]:443"), "203.0.113.0:8080 and [2001:db8:5::]:443");
        assert_eq!(scrubbed("peer 2001:db8:1:2:3:4:5:6: gone"), "peer 2001:db8:1::: gone");
        assert_eq!(scrubbed("ip=fe80::1%eth0"), "ip=fe80::%eth0");
        for text in ["12:30:45", "v1.2.3.4", "1.2.3", "1.2.3.4.5", "256.1.1.1", "std::fmt", "203.0.113.77x", "a.b.c.d"]
        {
            assert_eq!(scrubbed(text), "as it was", "{text}");
        }
    }

    #[test]
    fn telephone_numbers_and_cards_go_and_other_numbers_stay() {
        assert_eq!(scrubbed("call +49 (30) 123 45-67 now"), "call [phone] now");
        assert_eq!(scrubbed("pay 4111 1111 1111 1111, thanks"), "pay [card], thanks");
        assert_eq!(scrubbed("5500-0000-0000-0004"), "[card]");
        for text in ["4111 1111 1111 1112", "+123", "1 + 2", "0000000000000000", "x4111111111111111", "1700000000123"] {
            assert_eq!(scrubbed(text), "as it was", "{text}");
        }
    }

    #[test]
    fn only_what_is_asked_for_is_looked_for() {
        let only = |pattern| scrub("a@b.co, +4930123456, 1.2.3.4", &[pattern], Keep::default()).unwrap();
        assert_eq!(only(Pattern::Email), "[email], +4930123456, 1.2.3.4");
        assert_eq!(only(Pattern::Ip), "a@b.co, +4930123456, 1.2.3.0");
        assert_eq!(only(Pattern::Phone), "a@b.co, [phone], 1.2.3.4");
    }

    #[test]
    fn what_was_scrubbed_has_nothing_more_to_scrub() {
        let once = scrubbed("a@b.co, +49 30 1234567, 203.0.113.77, 2001:db8::1, 4111111111111111");
        assert_eq!(scrub(&once, &Pattern::ALL, Keep::default()).as_deref(), Some(once.as_str()));
    }

    #[test]
    fn long_texts_of_marks_take_no_longer_than_they_are_long() {
        let start = std::time::Instant::now();
        for text in ["a@", "@", "+1", "1.", "f:", "4 ", "a@b."] {
            scrubbed(&text.repeat(200_000));
        }
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
