//! A filter that decrypts what the filter `encrypt` has encrypted.

use gristmill_sdk::{
    Error, Filter, Message, Result, Verdict, filter,
    json::{Edit, Json},
};
use seal::{Bind, Bound, Fields, Keyring, Sealed};
use serde::Deserialize;
use std::collections::BTreeMap;

gristmill_sdk::needs!();

/// The plugin's `config`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By their names.
    keys: BTreeMap<String, String>,
    /// Paths; the whole payload if there are none.
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    bind: Vec<String>,
}

/// The filter.
pub struct Decrypt {
    keys: Keyring,
    fields: Option<Fields>,
    bind: Bind,
}

#[filter]
impl Filter for Decrypt {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        let bind = Bind::read(&config.bind)?;
        let fields = Fields::read(config.fields)?;
        Ok(Self { keys: Keyring::read(&config.keys)?, fields, bind })
    }

    fn filter(&mut self, mut message: Message) -> Result<Verdict> {
        let bound = self.bind.of(&message)?;
        match &self.fields {
            None => {
                let plaintext = self.open(Sealed::of_payload(message.payload()), &bound);
                message.set_payload(plaintext.map_err(|error| within("payload", &error))?);
            }
            Some(fields) => self.decrypt(fields, &bound, &mut message)?,
        }
        Ok(message.into())
    }
}

impl Decrypt {
    fn open(&self, sealed: Option<Sealed>, bound: &Bound) -> Result<Vec<u8>> {
        let sealed = sealed.ok_or_else(|| Error::reject("it is not what `encrypt` writes"))?;
        self.keys.open(&sealed, bound)
    }

    fn decrypt(&self, fields: &Fields, bound: &Bound, message: &mut Message) -> Result<()> {
        let mut fault = None;
        message.edit(fields.paths(), |found| {
            let name = fields.name(found.path);
            match self.open_field(found.raw, &bound.to_field(name)) {
                Ok(value) => Edit::Replace(value),
                Err(error) => {
                    fault.get_or_insert(within(&format!("payload: `{name}`"), &error));
                    Edit::Keep
                }
            }
        })?;
        fault.map_or(Ok(()), Err)
    }

    fn open_field(&self, raw: &[u8], bound: &Bound) -> Result<Json> {
        let plaintext = self.open(Sealed::of_field(raw), bound)?;
        Json::parse(plaintext).map_err(|_| Error::reject("what was encrypted is not JSON"))
    }
}

fn within(place: &str, error: &Error) -> Error {
    Error::reject(format!("{place}: {}", error.reason()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::config;
    use seal::{Format, Key};

    const OLD: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    const NEW: &str = "4141414141414141414141414141414141414141414141414141414141414141";

    fn keys() -> BTreeMap<String, String> {
        BTreeMap::from([("new".to_owned(), NEW.to_owned()), ("old".to_owned(), OLD.to_owned())])
    }

    fn key(name: &str) -> Key {
        Keyring::read(&keys()).unwrap().take(Some(name)).unwrap()
    }

    fn plugin(keys: &str) -> Result<Decrypt> {
        Decrypt::new(config::parse(&format!(r#"{{"keys": {{"new": "{NEW}", "old": "{OLD}"}}{keys}}}"#))?)
    }

    fn decrypted(keys: &str, message: Message) -> Result<Vec<u8>> {
        match plugin(keys).unwrap().filter(message)? {
            Verdict::Replace(change) => Ok(change.payload.unwrap()),
            verdict => panic!("{verdict:?}"),
        }
    }

    #[test]
    fn payloads_of_both_forms_and_of_all_keys_are_opened() {
        for (name, format) in [("new", Format::Json), ("old", Format::Json), ("old", Format::Compact)] {
            let sealed = key(name).seal("i", 0, b"\x00text", &Bound::default()).unwrap();
            let message = Message::test(sealed.to_payload(format).unwrap());
            assert_eq!(decrypted("", message).unwrap(), b"\x00text");
        }
    }

    #[test]
    fn fields_are_opened_where_they_stand() {
        let field = |path: &str, plain: &[u8], format| {
            let sealed = key("old").seal("i", 1, plain, &Bound::default().to_field(path)).unwrap();
            serde_json::from_slice::<serde_json::Value>(sealed.to_field(format).unwrap().as_bytes()).unwrap()
        };
        let (mail, age) = (field("users[].mail", br#""a@b.co""#, Format::Json), field("age", b"4.20", Format::Compact));
        let payload = format!(r#"{{"users":[{{"mail":{mail}}},{{}}], "age":{age}}}"#);
        let config = r#", "fields": ["age", "users[*].mail"]"#;
        assert_eq!(
            decrypted(config, Message::test(payload.clone())).unwrap(),
            br#"{"users":[{"mail":"a@b.co"},{}], "age":4.20}"#
        );
        // Where it was put in the place of another one it does not open.
        let swapped =
            payload.replace("\"age\"", "\"other\"").replace("\"mail\"", "\"age\"").replace("\"other\"", "\"mail\"");
        let error = decrypted(r#", "fields": ["mail"]"#, Message::test(swapped)).unwrap_err();
        assert!(error.reason().starts_with("payload: `mail`: it does not open with the key `old`"), "{error}");
    }

    #[test]
    fn what_is_bound_has_to_be_the_same() {
        let bound = Bind::read(&["topic".to_owned()]).unwrap().of(&Message::test("").with_topic("a")).unwrap();
        let sealed = key("new").seal("i", 0, b"text", &bound).unwrap().to_payload(Format::Json).unwrap();
        let message = |topic: &str| Message::test(sealed.clone()).with_topic(topic);
        assert_eq!(decrypted(r#", "bind": ["topic"]"#, message("a")).unwrap(), b"text");
        for (config, topic) in [(r#", "bind": ["topic"]"#, "b"), ("", "a")] {
            let error = decrypted(config, message(topic)).unwrap_err();
            assert!(
                error.reason().starts_with("payload: it does not open with the key `new`: it was changed"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_was_never_sealed_is_rejected_without_being_shown() {
        for payload in ["secret", r#"{"kid":"secret"}"#, ""] {
            let error = decrypted("", Message::test(payload)).unwrap_err();
            assert_eq!(error, Error::reject("payload: it is not what `encrypt` writes"));
        }
        let error = decrypted(r#", "fields": ["a"]"#, Message::test(r#"{"a":"secret"}"#)).unwrap_err();
        assert_eq!(error, Error::reject("payload: `a`: it is not what `encrypt` writes"));
        let broken = key("new").seal("i", 1, b"secret", &Bound::default().to_field("a")).unwrap();
        let broken = format!(r#"{{"a":{}}}"#, String::from_utf8(broken.to_payload(Format::Json).unwrap()).unwrap());
        let error = decrypted(r#", "fields": ["a"]"#, Message::test(broken)).unwrap_err();
        assert_eq!(error, Error::reject("payload: `a`: what was encrypted is not JSON"));
    }
}
