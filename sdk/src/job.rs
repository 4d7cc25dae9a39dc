//! A job of Resque, as [`Message::job`](crate::Message::job) reads it from a payload: a class and its arguments.

use crate::{
    Error, Result,
    json::{Found, Paths},
};
use serde::de::DeserializeOwned;

/// A job as Resque's producers push it, `{"class":"SendMail","args":[7,"hello"]}`; other members are left alone.
///
/// The topic of its message is its class, unless a filter said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Job<'m> {
    class: String,
    /// As it is written.
    all: &'m [u8],
    /// The same one by one.
    args: Vec<&'m [u8]>,
}

impl<'m> Job<'m> {
    pub(crate) fn read(payload: &'m [u8]) -> Result<Self> {
        let found = Paths::new(["class", "args", "args[]"])?.find(payload)?;
        let last = |path| found.iter().rfind(|found| found.path == path);
        let class = last(0).and_then(Found::text).filter(|class| !class.is_empty());
        let class = class.ok_or(Error::reject("not a job: there is no `class`"))?.into_owned();
        let all = last(1).map_or(&b"[]"[..], |args| args.raw);
        if !all.starts_with(b"[") {
            return Err(Error::reject("not a job: `args` is not an array"));
        }
        let within = |found: &&Found<'_>| found.path == 2 && all.as_ptr_range().contains(&found.raw.as_ptr());
        Ok(Self { class, all, args: found.iter().filter(within).map(|found| found.raw).collect() })
    }

    /// What is to be done.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// How many arguments there are.
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// One argument, counted from 0; one that is not there is `null`, as in Ruby, and so `None` for an `Option`.
    ///
    /// # Errors
    /// A rejection if it is not of this type.
    pub fn arg<T: DeserializeOwned>(&self, index: usize) -> Result<T> {
        let raw = self.args.get(index).copied().unwrap_or(b"null");
        serde_json::from_slice(raw).map_err(|error| Error::from(error).within(&format!("args[{index}]")))
    }

    /// All arguments, as a tuple of their number, an array or a `Vec`.
    ///
    /// # Errors
    /// A rejection if they are not of this type.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(self.all).map_err(|error| Error::from(error).within("args"))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Error, Message};

    const MAIL: &str = r#"{"class": "Send\u004dail", "queue": "low", "args": [7, "a b", {"cc": ["x"]}], "at": 1.5}"#;

    #[test]
    fn arguments_are_read_one_by_one_or_together() {
        let message = Message::test(MAIL);
        let job = message.job().unwrap();
        assert_eq!((job.class(), job.len()), ("SendMail", 3));
        assert_eq!((job.arg::<u32>(0), job.arg::<String>(1)), (Ok(7), Ok("a b".to_owned())));
        assert_eq!(job.arg::<Option<bool>>(3), Ok(None));
        let (user, text, options): (u32, String, serde_json::Value) = job.args().unwrap();
        assert_eq!((user, &*text, &options["cc"][0]), (7, "a b", &"x".into()));
    }

    #[test]
    fn an_argument_of_another_type_is_rejected_with_its_place() {
        let message = Message::test(MAIL);
        let job = message.job().unwrap();
        let reason = |error: Error| (error.is_retry(), error.reason().to_owned());
        let (retry, text) = reason(job.arg::<u32>(1).unwrap_err());
        assert!(!retry && text.starts_with("args[1]: invalid type: string"), "{text}");
        let (_, text) = reason(job.args::<(u32,)>().unwrap_err());
        assert!(text.starts_with("args: "), "{text}");
    }

    #[test]
    fn a_job_need_not_have_arguments() {
        for payload in
            [r#"{"class":"Ping"}"#, r#"{"args":[ ],"class":"Ping"}"#, r#"{"class":"Ping","args":[1],"args":[]}"#]
        {
            let message = Message::test(payload);
            let job = message.job().unwrap();
            assert!(job.is_empty() && job.class() == "Ping" && job.args::<[u8; 0]>().is_ok(), "{payload}");
        }
    }

    #[test]
    fn what_is_no_job_is_rejected() {
        for (payload, reason) in [
            (r#"{"args":[]}"#, "payload: not a job: there is no `class`"),
            (r#"{"class":""}"#, "payload: not a job: there is no `class`"),
            (r#"{"class":7}"#, "payload: not a job: there is no `class`"),
            ("[1]", "payload: not a job: there is no `class`"),
            (r#"{"class":"A","args":{}}"#, "payload: not a job: `args` is not an array"),
            ("{", "payload: not JSON at byte 1"),
        ] {
            let error = Message::test(payload).job().unwrap_err();
            assert!(error.reason().starts_with(reason) && !error.is_retry(), "{error}");
        }
    }
}
