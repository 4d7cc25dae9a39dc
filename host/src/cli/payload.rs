//! Payloads and other foreign text as people and JSON can read them.

use std::fmt::Write;

pub(super) use crate::admin::payload::{for_json, from_base64};

/// How much of a payload that is no text is shown.
const SHOWN: usize = 4_096;

/// The payload where it is text that does nothing to a terminal.
pub(super) fn text(payload: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(payload).ok()?;
    let harmless = |(at, letter): (usize, char)| match letter {
        '\n' | '\t' => true,
        '\r' => text.get(at..).is_some_and(|rest| rest.starts_with("\r\n")),
        letter => !letter.is_control(),
    };
    text.char_indices().all(harmless).then_some(text)
}

/// The payload for a terminal: text as it is, everything else in hexadecimal.
pub(super) fn for_people(payload: &[u8]) -> String {
    match text(payload) {
        Some(text) if text.ends_with('\n') => text.to_owned(),
        Some(text) => format!("{text}\n"),
        None => dump(payload),
    }
}

fn dump(payload: &[u8]) -> String {
    let shown = payload.get(..SHOWN).unwrap_or(payload);
    let mut dump = String::new();
    for (row, bytes) in shown.chunks(16).enumerate() {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let letters = bytes.iter().map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' });
        let letters: String = letters.collect();
        // Writing to a string cannot fail.
        let _ok = writeln!(dump, "{:08x}  {:<47}  |{letters}|", row * 16, hex.join(" ")).is_ok();
    }
    let more = payload.len() - shown.len();
    let more = if more > 0 { format!("{more} bytes more; ") } else { String::new() };
    let _ok = writeln!(dump, "({more}not text: `--payload` gives the bytes as they are)").is_ok();
    dump
}

/// `text` with control characters escaped: they stay out of the terminal, and a line stays one.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            letter if letter.is_control() => plain.extend(letter.escape_default()),
            letter => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_text_is_shown_as_it_is() {
        assert_eq!(for_people("ü\tb\r\nc".as_bytes()), "ü\tb\r\nc\n");
        assert_eq!(for_people(b"a\n"), "a\n");
        for harmful in [&b"\x1b[2J"[..], b"over\rwritten", b"\xff", "\u{9b}2J".as_bytes(), b"\0"] {
            assert!(for_people(harmful).starts_with("00000000  "), "{harmful:?}");
        }
    }

    #[test]
    fn a_dump_shows_where_what_and_how_much_more() {
        let bytes: Vec<u8> = (0..5_000u32).map(|n| n as u8).collect();
        let dump = for_people(&bytes);
        let lines: Vec<&str> = dump.lines().collect();
        assert_eq!(lines.len(), 257);
        assert_eq!(lines[4], "00000040  40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f  |@ABCDEFGHIJKLMNO|");
        assert!(lines[256].contains("904 bytes more") && lines[256].contains("--payload"), "{}", lines[256]);
        let short = for_people(b"\xffab");
        assert!(short.starts_with(&format!("00000000  ff 61 62{}  |.ab|\n", " ".repeat(39))), "{short}");
    }
}
