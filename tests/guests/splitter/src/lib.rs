//! A filter that makes one message of each element of a JSON array, and drops an empty array.

use gristmill_sdk::{Error, Filter, Message, NoConfig, Result, Verdict, filter, json::Paths};

/// The filter.
pub struct Splitter {
    elements: Paths,
}

#[filter]
impl Filter for Splitter {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self> {
        Ok(Self { elements: Paths::new(["[]"])? })
    }

    fn filter(&mut self, message: Message) -> Result<Verdict> {
        let elements = self.elements.find(message.payload())?;
        if !message.payload().trim_ascii_start().starts_with(b"[") {
            return Err(Error::reject("the payload is not an array"));
        }
        if elements.is_empty() {
            return Ok(Verdict::drop("an empty array"));
        }
        Ok(Verdict::split(elements.iter().map(|element| element.raw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::Change;

    fn split(payload: &str) -> Result<Verdict> {
        Splitter::new(NoConfig {})?.filter(Message::test(payload))
    }

    #[test]
    fn each_element_becomes_a_message() {
        let children = vec![Change::payload("1"), Change::payload(r#"{"a": [2]}"#)];
        assert_eq!(split(r#"[1, {"a": [2]}]"#), Ok(Verdict::Split(children)));
    }

    #[test]
    fn an_empty_array_is_dropped_and_anything_else_rejected() {
        assert_eq!(split("[ ]"), Ok(Verdict::drop("an empty array")));
        assert!(split("{}").is_err());
        assert!(split("[1").is_err());
    }
}
