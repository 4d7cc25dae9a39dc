//! A URL with places that each message fills.

use gristmill_sdk::{Error, Message, Result};
use std::fmt::Write;

/// A URL, taken apart at its places.
#[derive(Debug, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Topic,
    Id,
    Source,
    Header(String),
}

const KNOWN: &str = "known are `{topic}`, `{id}`, `{source}` and `{header:NAME}`; a brace is written `{{` or `}}`";

impl Template {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// A place nobody knows, or a brace without its other half.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, brace)) = rest.find(['{', '}']).and_then(|at| rest.split_at_checked(at)) {
            plain.push_str(before);
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                plain.extend(brace.chars().next());
                rest = after;
            } else {
                let place = brace.strip_prefix('{').and_then(|brace| brace.split_once('}'));
                let (name, after) =
                    place.ok_or_else(|| Error::reject(format!("`{brace}` is half a place; {KNOWN}")))?;
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(Part::named(name)?);
                rest = after;
            }
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// The URL for `message`.
    ///
    /// # Errors
    /// A rejection that names the header it lacks.
    pub(crate) fn fill(&self, message: &Message) -> Result<String> {
        let mut url = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => url.push_str(text),
                Part::Topic => encode(&message.topic(), &mut url),
                Part::Id => encode(&message.id(), &mut url),
                Part::Source => encode(&message.source(), &mut url),
                Part::Header(name) => encode(&header(message, name)?, &mut url),
            }
        }
        Ok(url)
    }
}

impl Part {
    fn named(name: &str) -> Result<Self> {
        match (name, name.strip_prefix("header:")) {
            ("topic", _) => Ok(Self::Topic),
            ("id", _) => Ok(Self::Id),
            ("source", _) => Ok(Self::Source),
            (_, Some(header)) if !header.is_empty() => Ok(Self::Header(header.into())),
            _ => Err(Error::reject(format!("nothing is known as `{{{name}}}`; {KNOWN}"))),
        }
    }
}

fn header(message: &Message, name: &str) -> Result<String> {
    message
        .header(name)
        .ok_or_else(|| Error::reject(format!("the URL needs the header `{name}`, which the message lacks")))
}

/// Percent-encodes all but what RFC 3986 calls unreserved, so that no value can leave its place in the URL.
fn encode(value: &str, url: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => url.push(byte.into()),
            // Writing to a string cannot fail.
            _ => write!(url, "%{byte:02X}").unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message::test("").with_id("l/7").with_source("hits").with_topic("a b").with_header("User", "ü&x=1/..")
    }

    fn filled(url: &str) -> Result<String> {
        Template::parse(url)?.fill(&message())
    }

    #[test]
    fn places_are_filled_percent_encoded() {
        let url = "https://x.org/{source}/{topic}/{id}?user={header:user}#{{}}";
        assert_eq!(filled(url).unwrap(), "https://x.org/hits/a%20b/l%2F7?user=%C3%BC%26x%3D1%2F..#{}");
    }

    #[test]
    fn an_unknown_place_says_what_is_known() {
        assert_eq!(filled("http://x/{user}"), Err(Error::reject(format!("nothing is known as `{{user}}`; {KNOWN}"))));
        assert!(filled("http://x/{header:}").is_err());
        assert_eq!(filled("http://x/{id"), Err(Error::reject(format!("`{{id` is half a place; {KNOWN}"))));
        assert!(filled("http://x/id}").is_err());
    }

    #[test]
    fn a_missing_header_is_named() {
        let error = filled("http://x/{header:tenant}").unwrap_err();
        assert_eq!(error, Error::reject("the URL needs the header `tenant`, which the message lacks"));
    }
}
