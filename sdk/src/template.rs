//! Texts of a config with places that each message fills.

use crate::{
    Error, Message, Result,
    json::{Found, Paths},
};
use serde::{Deserialize, Deserializer, de};
use std::{
    fmt::Write,
    time::{Duration, UNIX_EPOCH},
};

const KNOWN: &str = "known are `{topic}`, `{id}`, `{source}`, `{header:NAME}`, `{json:PATH}`, `{date}` and `{hour}`; a brace is \
                     written `{{` or `}}`";

/// A text with places, taken apart once, when the plugin starts; as a field of its config it is a string.
///
/// | place | stands for |
/// |---|---|
/// | `{topic}`, `{id}`, `{source}` | what the message has there |
/// | `{header:NAME}` | the first value of this header |
/// | `{json:PATH}` | what is at this path in the payload, see [`json`](crate::json): the text of a string, or a number, `true` or `false` |
/// | `{date}`, `{hour}` | the day and the hour of UTC at which the message was first taken, such as `2026-11-21` and `22` |
/// | `{{`, `}}` | braces |
///
/// ```
/// use gristmill_sdk::{Message, Template};
///
/// let url = Template::parse("https://example.com/{topic}/{json:user.id}")?;
/// let message = Message::test(r#"{"user": {"id": "a b"}}"#).with_topic("orders");
/// assert_eq!(url.fill_url(&message)?, "https://example.com/orders/a%20b");
/// assert_eq!(url.fill(&message)?, "https://example.com/orders/a b");
/// let path = Template::parse("{topic}/{date}.log")?;
/// assert_eq!(path.fill_path(&Message::test("").with_topic("../x"))?, "%2E.%2Fx/1970-01-01.log");
/// # Ok::<(), gristmill_sdk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Topic,
    Id,
    Source,
    Header(String),
    Json(String, Paths),
    Date,
    Hour,
}

impl Template {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// A place nobody knows, or a brace without its other half.
    pub fn parse(text: &str) -> Result<Self> {
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
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Self(parts))
    }

    /// The text, if there is no place in it.
    pub fn plain(&self) -> Option<&str> {
        match &self.0[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text for `message`, with values as they are.
    ///
    /// # Errors
    /// A rejection that names the place for which the message has nothing.
    pub fn fill(&self, message: &Message) -> Result<String> {
        self.filled(message, |value, text| text.push_str(value))
    }

    /// The text for `message`, with all in its values percent-encoded but what RFC 3986 calls unreserved: no value leaves its place
    /// in a URL.
    ///
    /// # Errors
    /// As [`Template::fill`].
    pub fn fill_url(&self, message: &Message) -> Result<String> {
        self.filled(message, encode)
    }

    /// The text for `message`, with the values as in a URL and without a dot at their beginnings: no value leaves its place in a
    /// path.
    ///
    /// # Errors
    /// As [`Template::fill`].
    pub fn fill_path(&self, message: &Message) -> Result<String> {
        self.filled(message, |value, path| match value.strip_prefix('.') {
            Some(rest) => {
                path.push_str("%2E");
                encode(rest, path);
            }
            None => encode(value, path),
        })
    }

    fn filled(&self, message: &Message, add: impl Fn(&str, &mut String)) -> Result<String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                place => add(&place.value(message)?, &mut text),
            }
        }
        Ok(text)
    }
}

impl Part {
    fn named(name: &str) -> Result<Self> {
        let unknown = || Error::reject(format!("nothing is known as `{{{name}}}`; {KNOWN}"));
        match (name, name.split_once(':')) {
            ("topic", _) => Ok(Self::Topic),
            ("id", _) => Ok(Self::Id),
            ("source", _) => Ok(Self::Source),
            ("date", _) => Ok(Self::Date),
            ("hour", _) => Ok(Self::Hour),
            (_, Some(("header", header))) if !header.is_empty() => Ok(Self::Header(header.into())),
            (_, Some(("json", path))) => Ok(Self::Json(path.into(), Paths::new([path])?)),
            _ => Err(unknown()),
        }
    }

    fn value(&self, message: &Message) -> Result<String> {
        Ok(match self {
            Self::Text(text) => text.clone(),
            Self::Topic => message.topic(),
            Self::Id => message.id(),
            Self::Source => message.source(),
            Self::Header(name) => message
                .header(name)
                .ok_or_else(|| Error::reject(format!("`{{header:{name}}}`: the message has no such header")))?,
            Self::Json(path, paths) => scalar(path, paths.find(message.payload())?.last())?,
            Self::Date => date(taken(message)),
            Self::Hour => format!("{:02}", taken(message) / 3_600 % 24),
        })
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| de::Error::custom(error.reason()))
    }
}

/// When the message was first taken, in seconds since 1970.
fn taken(message: &Message) -> u64 {
    message.received().duration_since(UNIX_EPOCH).as_ref().map_or(0, Duration::as_secs)
}

/// Years are counted from March, so that the leap day is the last of its year.
fn date(epoch: u64) -> String {
    let days = epoch / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + u64::from(month <= 2))
}

/// What stands for a value of JSON that is no array or object.
fn scalar(path: &str, found: Option<&Found<'_>>) -> Result<String> {
    let lacks = |what: &str| Error::reject(format!("`{{json:{path}}}`: {what} in the payload"));
    let found = found.ok_or_else(|| lacks("there is nothing at this path"))?;
    if let Some(text) = found.text() {
        return Ok(text.into_owned());
    }
    match found.raw {
        b"null" => Err(lacks("there is `null` at this path")),
        [b'{' | b'[', ..] => Err(lacks("there is an array or object at this path")),
        raw => Ok(String::from_utf8_lossy(raw).into_owned()),
    }
}

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
        let payload = r#"{"user": {"id": 7, "name": "J\u00fcrg", "on": true, "none": null, "tags": ["a"]}}"#;
        Message::test(payload).with_id("l/7").with_source("hits").with_topic("a b").with_header("User", "ü&x=1/..")
    }

    fn filled(url: &str) -> Result<String> {
        Template::parse(url)?.fill_url(&message())
    }

    #[test]
    fn places_are_filled_percent_encoded_or_as_they_are() {
        let url = "https://x.org/{source}/{topic}/{id}?user={header:user}#{{}}";
        assert_eq!(filled(url).unwrap(), "https://x.org/hits/a%20b/l%2F7?user=%C3%BC%26x%3D1%2F..#{}");
        assert_eq!(Template::parse("{topic}: {header:USER}").unwrap().fill(&message()).unwrap(), "a b: ü&x=1/..");
    }

    #[test]
    fn values_of_the_payload_fill_places() {
        let text = Template::parse("{json:user.id}-{json:user.name}-{json:user.on}").unwrap();
        assert_eq!(text.fill(&message()).unwrap(), "7-Jürg-true");
    }

    #[test]
    fn the_day_and_the_hour_are_those_at_which_the_message_was_taken() {
        let at = |epoch| {
            let message = Message::test("").with_received(UNIX_EPOCH + Duration::from_secs(epoch));
            Template::parse("{date}T{hour}").unwrap().fill(&message).unwrap()
        };
        assert_eq!([0, 1_795_298_442, 951_782_400].map(at), ["1970-01-01T00", "2026-11-21T22", "2000-02-29T00"]);
        assert_eq!([4_107_542_399, 1_735_689_599].map(at), ["2100-02-28T23", "2024-12-31T23"]);
    }

    #[test]
    fn no_value_leaves_its_place_in_a_path() {
        let filled =
            |topic| Template::parse("a/{topic}").unwrap().fill_path(&Message::test("").with_topic(topic)).unwrap();
        assert_eq!(["..", ".", "a.b", "../x", "/x"].map(filled), ["a/%2E.", "a/%2E", "a/a.b", "a/%2E.%2Fx", "a/%2Fx"]);
    }

    #[test]
    fn an_unknown_place_says_what_is_known() {
        assert_eq!(filled("http://x/{user}"), Err(Error::reject(format!("nothing is known as `{{user}}`; {KNOWN}"))));
        assert!(filled("http://x/{header:}").is_err() && filled("http://x/{json:a..b}").is_err());
        assert_eq!(filled("http://x/{id"), Err(Error::reject(format!("`{{id` is half a place; {KNOWN}"))));
        assert!(filled("http://x/id}").is_err());
    }

    #[test]
    fn what_the_message_lacks_is_named() {
        let why = |text: &str| filled(text).unwrap_err().reason().to_owned();
        assert_eq!(why("{header:tenant}"), "`{header:tenant}`: the message has no such header");
        assert_eq!(why("{json:user.age}"), "`{json:user.age}`: there is nothing at this path in the payload");
        assert_eq!(why("{json:user.none}"), "`{json:user.none}`: there is `null` at this path in the payload");
        assert_eq!(why("{json:user}"), "`{json:user}`: there is an array or object at this path in the payload");
        assert!(Template::parse("{json:a}").unwrap().fill(&Message::test("{")).is_err());
    }

    #[test]
    fn a_text_without_places_is_plain() {
        let plain = |text: &str| Template::parse(text).unwrap().plain().map(str::to_owned);
        assert_eq!((plain("a{{b"), plain(""), plain("{id}")), (Some("a{b".into()), Some(String::new()), None));
    }
}
