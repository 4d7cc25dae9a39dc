//! What the output of a program begins with where `mode = "cgi"`: headers, an empty line, and then the payload.

use super::Garbled;
use crate::message::Change;
use bytes::Bytes;

/// Bytes of all headers together.
pub(super) const BYTES: usize = 64 * 1024;
/// The name for the topic, which no header can have.
const TOPIC: &str = ":topic";

/// What `output` says: lines `name: value`, where an empty value takes the header away and `:topic` is the topic;
/// an empty line; the payload.
///
/// # Errors
/// Output that has no such beginning, or one longer than 64 KiB.
pub fn parse_head(output: &Bytes) -> Result<Change, Garbled> {
    let mut change = Change::default();
    let mut at = 0;
    loop {
        let line = line_at(output, at)?;
        at += line.len() + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            change.payload = Some(output.slice(at..));
            return Ok(change);
        }
        add(&mut change, line)?;
    }
}

/// The line that begins `at` bytes from the start, without its end.
fn line_at(output: &[u8], at: usize) -> Result<&[u8], Garbled> {
    let rest = output.get(at..output.len().min(BYTES)).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == b'\n');
    let line = end.and_then(|end| rest.get(..end));
    line.ok_or_else(|| match output.len() {
        ..BYTES => Garbled("there is no empty line".to_owned()),
        _ => Garbled(format!("there is no empty line in the first {BYTES} bytes")),
    })
}

fn add(change: &mut Change, line: &[u8]) -> Result<(), Garbled> {
    let line = str::from_utf8(line).map_err(|_| Garbled("a header is not UTF-8".to_owned()))?;
    let (_, value) = line.get(1..).and_then(|rest| rest.split_once(':')).ok_or_else(|| Garbled(no_header(line)))?;
    let name = line.get(..line.len() - value.len() - 1).unwrap_or_default().trim();
    let value = value.trim();
    match name {
        "" => return Err(Garbled(no_header(line))),
        TOPIC if value.is_empty() => return Err(Garbled("the topic is empty".to_owned())),
        TOPIC => change.topic = Some(value.to_owned()),
        _ if name.starts_with(':') => return Err(Garbled(format!("`{name}` means nothing; there is only `{TOPIC}`"))),
        _ => change.headers.push((name.to_owned(), Some(value.to_owned()).filter(|value| !value.is_empty()))),
    }
    Ok(())
}

fn no_header(line: &str) -> String {
    format!("{} is no `name: value`", super::quoted(line.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(output: &'static [u8]) -> Result<Change, Garbled> {
        parse_head(&Bytes::from_static(output))
    }

    fn why(output: &'static [u8]) -> String {
        parsed(output).unwrap_err().to_string()
    }

    #[test]
    fn headers_and_topic_come_before_the_payload() {
        let change = parsed(b"Audience: people: all\r\nip:\n:topic: hits\n\n{}\n\nx").unwrap();
        assert_eq!(change.topic.as_deref(), Some("hits"));
        let headers = [("Audience".to_owned(), Some("people: all".to_owned())), ("ip".to_owned(), None)];
        assert_eq!(change.headers, headers);
        assert_eq!(change.payload.unwrap(), &b"{}\n\nx"[..]);
        assert_eq!(parsed(b"\nx").unwrap().payload.unwrap(), &b"x"[..]);
        assert_eq!(parsed(b"a: b\n\n").unwrap().payload.unwrap(), &b""[..]);
    }

    #[test]
    fn what_is_no_head_is_told_as_such() {
        assert_eq!(why(b"{\"id\":1}"), "there is no empty line");
        assert_eq!(why(b"a: b\n"), "there is no empty line");
        assert_eq!(why(b"hello\n\n"), "`hello` is no `name: value`");
        assert_eq!(why(b" : x\n\n"), "` : x` is no `name: value`");
        assert_eq!(why(b":drop: x\n\n"), "`:drop` means nothing; there is only `:topic`");
        assert_eq!(why(b":topic:\n\n"), "the topic is empty");
        assert_eq!(why(b"a: \xff\n\n"), "a header is not UTF-8");
        let long = Bytes::from(vec![b'a'; BYTES + 9]);
        assert_eq!(parse_head(&long).unwrap_err().to_string(), "there is no empty line in the first 65536 bytes");
    }
}
