//! A filter that stamps each message with the version in its data segment, which tests change by patching the file.

use gristmill_sdk::{
    Filter, Message, NoConfig, Result, Verdict, filter,
    json::{Json, Paths},
};
use std::hint::black_box;

/// Stands in the file exactly once; tests replace it by as many other bytes.
static VERSION: [u8; 12] = *b"version-0001";

/// The filter: sets the header `version`, and the field `version` where the payload is a JSON object.
pub struct Stamp {
    version: String,
    field: Paths,
    value: Json,
}

#[filter]
impl Filter for Stamp {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self> {
        // Unseen by the optimiser, which would otherwise be free to put the bytes into code.
        let version = String::from_utf8_lossy(black_box(&VERSION)).into_owned();
        Ok(Self { field: Paths::new(["version"])?, value: Json::string(&version), version })
    }

    fn filter(&mut self, mut message: Message) -> Result<Verdict> {
        message.set_header("version", &self.version);
        if message.payload().trim_ascii_start().starts_with(b"{") {
            message.set(&self.field, &self.value)?;
        }
        Ok(message.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::Change;

    #[test]
    fn a_message_gets_the_version() {
        let mut plugin = Stamp::new(NoConfig {}).unwrap();
        let change = Change::payload(r#"{"a":1,"version":"version-0001"}"#).with_header("version", "version-0001");
        assert_eq!(plugin.filter(Message::test(r#"{"a":1}"#)), Ok(change.into()));
        let bare = Change::default().with_header("version", "version-0001");
        assert_eq!(plugin.filter(Message::test("text")), Ok(bare.into()));
    }
}
