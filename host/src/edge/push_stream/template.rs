//! How a message is put into words: a text with places such as `~id~`.

use std::io::Write;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::edge) struct Template {
    pieces: Vec<Piece>,
    /// Whether a line break of the text would be one of the result.
    breaks: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Fixed(String),
    Id,
    Text,
    Json,
    Size,
    Channel,
    Time,
    Tag,
    EventId,
    EventType,
}

/// What fills the places.
#[derive(Clone, Copy, Debug)]
pub(in crate::edge) struct Said<'a> {
    /// The number in its channel, or a negative one for what is no message.
    pub(super) id: i64,
    pub(super) text: &'a [u8],
    pub(super) channel: &'a str,
    /// Since 1970.
    pub(super) second: u64,
    /// Its place among the messages of that second.
    pub(super) tag: u32,
    pub(super) event_id: &'a str,
    pub(super) event_type: &'a str,
}

impl Template {
    /// Of a text; what stands between tildes and is no place stays as it is.
    pub(in crate::edge) fn parse(text: &str) -> Self {
        let (mut pieces, mut fixed, mut rest) = (Vec::new(), String::new(), text);
        while let Some((before, behind)) = rest.split_once('~') {
            fixed.push_str(before);
            match behind.split_once('~').and_then(|(name, behind)| Some((piece(name)?, behind))) {
                Some((piece, behind)) => {
                    pieces.push(Piece::Fixed(std::mem::take(&mut fixed)));
                    pieces.push(piece);
                    rest = behind;
                }
                None => {
                    fixed.push('~');
                    rest = behind;
                }
            }
        }
        pieces.push(Piece::Fixed(fixed + rest));
        pieces.retain(|piece| *piece != Piece::Fixed(String::new()));
        Self { breaks: pieces.contains(&Piece::Text), pieces }
    }

    /// Writes what is `said`.
    pub(super) fn write(&self, out: &mut Vec<u8>, said: &Said<'_>) {
        for piece in &self.pieces {
            match piece {
                Piece::Fixed(text) => out.extend(text.as_bytes()),
                Piece::Text => out.extend(said.text),
                Piece::Channel => out.extend(said.channel.as_bytes()),
                Piece::EventId => out.extend(said.event_id.as_bytes()),
                Piece::EventType => out.extend(said.event_type.as_bytes()),
                Piece::Json => {
                    let text = String::from_utf8_lossy(said.text);
                    serde_json::to_writer(&mut *out, &text).expect("memory takes everything, and a text is JSON");
                }
                Piece::Id => put(out, format_args!("{}", said.id)),
                Piece::Size => put(out, format_args!("{}", said.text.len())),
                Piece::Tag => put(out, format_args!("{}", said.tag)),
                Piece::Time => put(out, format_args!("{}", super::date(said.second))),
            }
        }
    }

    /// Writes what is `said` as the data of an event: in as many lines as the text has, where its line breaks would be those of the result.
    pub(super) fn write_lines(&self, out: &mut Vec<u8>, said: &Said<'_>) {
        let text = if self.breaks { said.text } else { b"" };
        let whole = [said.text];
        let lines: Vec<&[u8]> = if self.breaks { lines(text) } else { whole.to_vec() };
        for line in lines {
            out.extend(b"data: ");
            self.write(out, &Said { text: line, ..*said });
            out.push(b'\n');
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory takes everything");
}

fn piece(name: &str) -> Option<Piece> {
    Some(match name {
        "id" => Piece::Id,
        "text" => Piece::Text,
        "json" => Piece::Json,
        "size" => Piece::Size,
        "channel" => Piece::Channel,
        "time" => Piece::Time,
        "tag" => Piece::Tag,
        "event-id" => Piece::EventId,
        "event-type" => Piece::EventType,
        _ => return None,
    })
}

/// Each of LF, CR and CRLF ends a line.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut rest) = (Vec::new(), text);
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, behind) = rest.split_at(end.unwrap_or(rest.len()));
        lines.push(line);
        rest = match behind {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => return lines,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said<'_> {
        let (event_id, event_type) = ("e1", "hit");
        Said { id: 7, text: text.as_bytes(), channel: "ch1", second: 1_795_298_922, tag: 2, event_id, event_type }
    }

    fn written(template: &str, text: &str) -> String {
        let mut out = Vec::new();
        Template::parse(template).write(&mut out, &said(text));
        String::from_utf8(out).expect("is text")
    }

    #[test]
    fn each_place_is_filled_and_all_else_stays() {
        let template = r#"{"id":~id~,"c":"~channel~","t":"~text~","s":~size~,"w":"~tag~","~event-id~":"~event-type~"}"#;
        assert_eq!(written(template, "ü"), r#"{"id":7,"c":"ch1","t":"ü","s":2,"w":"2","e1":"hit"}"#);
        assert_eq!(written("~time~", ""), "Sat, 21 Nov 2026 22:08:42 GMT");
        assert_eq!(written("~json~", "a\n\"b\""), r#""a\n\"b\"""#);
        for text in ["", "~", "a~b", "~~", "~none~", "~id", "id~"] {
            assert_eq!(written(text, "x"), text);
        }
        assert_eq!(written("~a~id~", ""), "~a7");
    }

    #[test]
    fn an_event_has_a_line_for_each_line_of_a_text_that_is_not_quoted() {
        let lines = |template: &str, text: &str| {
            let mut out = Vec::new();
            Template::parse(template).write_lines(&mut out, &said(text));
            String::from_utf8(out).expect("is text")
        };
        assert_eq!(lines("<~text~>", "a\r\nb\rc\n"), "data: <a>\ndata: <b>\ndata: <c>\ndata: <>\n");
        assert_eq!(lines("~id~ ~json~", "a\nb"), "data: 7 \"a\\nb\"\n");
    }
}
