//! A filter that encrypts messages, or fields of them.

use gristmill_sdk::{
    Filter, Message, Result, Verdict, filter,
    json::{Edit, Json},
};
use seal::{Bind, Bound, Fields, Format, Key, Keyring};
use serde::Deserialize;
use std::collections::BTreeMap;

gristmill_sdk::needs!();

/// The plugin's `config`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By their names.
    keys: BTreeMap<String, String>,
    /// The name of the one that encrypts.
    key: Option<String>,
    /// Paths; the whole payload if there are none.
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    format: Format,
    #[serde(default)]
    bind: Vec<String>,
}

/// The filter.
pub struct Encrypt {
    key: Key,
    fields: Option<Fields>,
    format: Format,
    bind: Bind,
}

#[filter]
impl Filter for Encrypt {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        let bind = Bind::read(&config.bind)?;
        let key = Keyring::read(&config.keys)?.take(config.key.as_deref())?;
        let fields = Fields::read(config.fields)?;
        Ok(Self { key, fields, format: config.format, bind })
    }

    fn filter(&mut self, mut message: Message) -> Result<Verdict> {
        let (id, bound) = (message.id(), self.bind.of(&message)?);
        match &self.fields {
            None => {
                let sealed = self.key.seal(&id, 0, message.payload(), &bound)?;
                message.set_payload(sealed.to_payload(self.format)?);
            }
            Some(fields) => self.encrypt(fields, &id, &bound, &mut message)?,
        }
        Ok(message.into())
    }
}

impl Encrypt {
    fn encrypt(&self, fields: &Fields, id: &str, bound: &Bound, message: &mut Message) -> Result<()> {
        let mut number = 0;
        let mut fault = None;
        message.edit(fields.paths(), |found| {
            number += 1;
            let name = fields.name(found.path);
            let sealed = self.key.seal(id, number, found.raw, &bound.to_field(name));
            let written: Result<Json> = sealed.and_then(|sealed| sealed.to_field(self.format));
            written.map_or_else(
                |error| {
                    fault.get_or_insert(error);
                    Edit::Keep
                },
                Edit::Replace,
            )
        })?;
        fault.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::{config, json::Paths};

    const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

    fn plugin(keys: &str) -> Result<Encrypt> {
        Encrypt::new(config::parse(&format!(r#"{{"keys": {{"k1": "{KEY}"}}{keys}}}"#))?)
    }

    fn encrypted(keys: &str, message: Message) -> Vec<u8> {
        match plugin(keys).unwrap().filter(message).unwrap() {
            Verdict::Replace(change) => change.payload.unwrap(),
            verdict => panic!("{verdict:?}"),
        }
    }

    fn opened(sealed: Option<seal::Sealed>, bound: &Bound) -> Vec<u8> {
        let keys = BTreeMap::from([("k1".to_owned(), KEY.to_owned())]);
        Keyring::read(&keys).unwrap().open(&sealed.unwrap(), bound).unwrap()
    }

    #[test]
    fn a_whole_payload_is_sealed_whatever_it_is() {
        for format in ["json", "compact"] {
            let payload = encrypted(&format!(r#", "format": "{format}""#), Message::test([0, 0xff, b'x']));
            assert_eq!(opened(seal::Sealed::of_payload(&payload), &Bound::default()), [0, 0xff, b'x'], "{format}");
        }
    }

    #[test]
    fn an_attempt_more_makes_the_same_bytes_and_another_message_others() {
        let message = |id: &str, attempt| Message::test("{}").with_id(id).with_attempt(attempt);
        assert_eq!(encrypted("", message("a", 1)), encrypted("", message("a", 2)));
        assert_ne!(encrypted("", message("a", 1)), encrypted("", message("b", 1)));
    }

    #[test]
    fn fields_are_sealed_each_for_itself_and_the_rest_keeps_its_bytes() {
        let payload = r#"{"n":1.50, "users":[{"mail":"a@b.co"},{"mail":"a@b.co"}]}"#;
        let made = encrypted(r#", "fields": ["users[*].mail", "none"], "format": "compact""#, Message::test(payload));
        let made = String::from_utf8(made).unwrap();
        assert!(made.starts_with(r#"{"n":1.50, "users":[{"mail":"x0dNAQ"#) && !made.contains("a@b.co"), "{made}");
        let mails = Paths::new(["users[].mail"]).unwrap();
        let found = mails.find(made.as_bytes()).unwrap();
        assert_ne!(found[0].raw, found[1].raw);
        for mail in found {
            let bound = Bound::default().to_field("users[*].mail");
            assert_eq!(opened(seal::Sealed::of_field(mail.raw), &bound), br#""a@b.co""#);
        }
    }

    #[test]
    fn a_message_without_the_fields_passes() {
        let verdict = plugin(r#", "fields": ["a"]"#).unwrap().filter(Message::test("{}")).unwrap();
        assert_eq!(verdict, Verdict::Pass);
    }

    #[test]
    fn a_message_without_what_it_is_bound_to_is_rejected() {
        let error = plugin(r#", "bind": ["header:tenant"]"#).unwrap().filter(Message::test("{}")).unwrap_err();
        assert!(error.reason().contains("lacks the header `tenant`"), "{error}");
    }

    #[test]
    fn a_config_that_will_not_do_is_refused_by_name() {
        let why = |keys: &str| plugin(keys).err().unwrap().reason().to_owned();
        assert!(why(r#", "key": "k2""#).starts_with("config.key: there is no `k2`"));
        assert!(why(r#", "fields": ["a..b"]"#).starts_with("config.fields: `a..b` is not a path"));
        assert!(why(r#", "bind": ["id"]"#).starts_with("config.bind[0]: expected `topic`"));
        assert!(why(r#", "format": "hex""#).starts_with("config.format: unknown variant `hex`"));
    }
}
