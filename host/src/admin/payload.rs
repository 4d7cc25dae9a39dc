//! Payloads as JSON holds them, and as those may see them who only read.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

/// What stands in the place of what is hidden.
pub(crate) const HIDDEN: &str = "•••";

/// The member of a JSON object that holds the payload.
pub(crate) fn for_json(payload: &[u8]) -> (&'static str, String) {
    match std::str::from_utf8(payload) {
        Ok(text) => ("payload", text.to_owned()),
        Err(_) => ("payload_base64", STANDARD.encode(payload)),
    }
}

/// What base64, as in RFC 4648, section 4, makes of these bytes; none where `text` is something else.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// What is hidden of messages: members of JSON and headers with these names, in lower case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redaction<'a>(pub(crate) &'a [String]);

impl Redaction<'_> {
    /// The payload without what is hidden. Where that cannot be told apart, as it is no JSON, nothing of it.
    pub(crate) fn payload(self, payload: &[u8]) -> Vec<u8> {
        if self.0.is_empty() {
            return payload.to_owned();
        }
        let shown = serde_json::from_slice(payload).ok().map(|mut value| {
            self.value(&mut value);
            value.to_string()
        });
        shown.unwrap_or_else(|| HIDDEN.to_owned()).into_bytes()
    }

    /// The value of a header, or what stands in its place.
    pub(crate) fn header<'b>(self, name: &str, value: &'b str) -> &'b str {
        if self.hides(name) { HIDDEN } else { value }
    }

    fn hides(self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.0.contains(&name)
    }

    fn value(self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => {
                for (name, value) in members {
                    if self.hides(name) { *value = HIDDEN.into() } else { self.value(value) }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_goes_into_json_and_back() {
        let (key, text) = for_json(b"\xff\xfe\0");
        assert_eq!((key, text.as_str()), ("payload_base64", "//4A"));
        assert_eq!(from_base64(&text).as_deref(), Some(&b"\xff\xfe\0"[..]));
        assert_eq!(from_base64("Zg"), None);
    }

    #[test]
    fn members_are_hidden_at_any_depth_and_what_is_no_json_as_a_whole() {
        let names = ["password".to_owned(), "ip".to_owned()];
        let hides = |payload: &str| String::from_utf8(Redaction(&names).payload(payload.as_bytes())).expect("text");
        assert_eq!(
            hides(r#"[{"Password":{"a":1},"b":{"ip":null,"c":2}}]"#),
            r#"[{"Password":"•••","b":{"c":2,"ip":"•••"}}]"#
        );
        assert_eq!(hides("password=1"), HIDDEN);
        assert_eq!(Redaction(&[]).payload(b"\xff"), b"\xff");
        assert_eq!((Redaction(&names).header("IP", "::1"), Redaction(&names).header("a", "b")), (HIDDEN, "b"));
    }
}
