//! A job as producers push it: `{"class":"Name","args":[…]}`, whatever else is in it and however it is spaced.

use super::ruby;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use sha1_smol::Sha1;
use std::fmt;

/// Why an item of a queue is no job.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Flaw {
    /// It is not text at all, not JSON, or no object.
    #[error("not a job: {0}")]
    Malformed(String),
    /// Nobody knows what to do with it.
    #[error("the job has no class")]
    NoClass,
}

/// What a job is an instance of.
pub(super) fn class(raw: &[u8]) -> Result<String, Flaw> {
    head(raw)?.class.ok_or(Flaw::NoClass)
}

fn head(raw: &[u8]) -> Result<Head, Flaw> {
    let malformed = |error: &dyn fmt::Display| Flaw::Malformed(error.to_string());
    let text = std::str::from_utf8(raw).map_err(|error| malformed(&error))?;
    serde_json::from_str(text).map_err(|error| malformed(&error))
}

/// The job for a member `payload` of Resque's records, as Ruby writes it. What is no object is put where Resque's tools,
/// which look for a class and arguments in it, survive it: as the only argument of no class.
pub(super) fn payload(raw: &[u8]) -> String {
    match (head(raw), std::str::from_utf8(raw)) {
        (Ok(_), Ok(text)) => ruby::compact(text),
        _ => format!(r#"{{"class":null,"args":[{}]}}"#, ruby::string(&String::from_utf8_lossy(raw))),
    }
}

/// A job as resque-scheduler and resque-retry see it.
#[derive(Debug, PartialEq)]
pub(super) struct Job {
    pub(super) class: String,
    /// A JSON array, as Ruby writes it.
    args: String,
}

impl Job {
    pub(super) fn read(raw: &[u8]) -> Result<Self, Flaw> {
        let class = class(raw)?;
        let job = payload(raw);
        let args = ruby::member(&job, "args").filter(|args| args.starts_with('[')).unwrap_or("[]");
        Ok(Self { class, args: args.to_owned() })
    }

    /// As it is pushed.
    pub(super) fn json(&self) -> String {
        format!(r#"{{"class":{},"args":{}}}"#, ruby::string(&self.class), self.args)
    }

    /// As it waits for its time.
    pub(super) fn delayed(&self, queue: &str) -> String {
        format!(r#"{{"class":{},"args":{},"queue":{}}}"#, ruby::string(&self.class), self.args, ruby::string(queue))
    }

    /// Under which resque-retry counts its attempts: class and arguments, without white space.
    pub(super) fn counter(&self) -> String {
        let args = ruby::join(&self.args).filter(|args| !args.is_empty());
        let digest = args.map_or_else(String::new, |args| format!(":{}", Sha1::from(args).digest()));
        format!("resque-retry:{}{digest}", self.class).split_whitespace().collect()
    }
}

/// What has to be known of a job to hand it on.
struct Head {
    class: Option<String>,
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// Where a member is there more than once, Ruby takes the last.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
        let mut class = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == "class" {
                class = map.next_value::<serde_json::Value>()?.as_str().map(str::to_owned);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Head { class: class.filter(|class| !class.is_empty()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_found_in_every_dialect() {
        for job in [
            r#"{"class":"add","args":[1]}"#,
            r#"{"class":"add","queue":"math","args":[1,2]}"#,
            r#"{"class": "x", "class": "add", "args": [1], "enqueue_timestamp": 1795299962.94}"#,
            r#" {"args":{"class":"inner"},"class":"add"} "#,
        ] {
            assert_eq!(class(job.as_bytes()).as_deref(), Ok("add"), "{job}");
        }
    }

    #[test]
    fn what_is_no_job_is_told_and_kept_readable() {
        for (raw, flaw, kept) in [
            (&b"no json"[..], "not a job: expected ident at line 1 column 2", r#"{"class":null,"args":["no json"]}"#),
            (
                b"[1]",
                "not a job: invalid type: sequence, expected an object at line 1 column 0",
                r#"{"class":null,"args":["[1]"]}"#,
            ),
            (
                b"{\"class\":\"\xff\"}",
                "not a job: invalid utf-8 sequence of 1 bytes from index 10",
                "{\"class\":null,\"args\":[\"{\\\"class\\\":\\\"\u{fffd}\\\"}\"]}",
            ),
            (b"", "not a job: EOF while parsing a value at line 1 column 0", r#"{"class":null,"args":[""]}"#),
            (b"{\"args\": [1]}", "the job has no class", r#"{"args":[1]}"#),
            (b"{\"class\":null}", "the job has no class", r#"{"class":null}"#),
            (b"{\"class\":\"\"}", "the job has no class", r#"{"class":""}"#),
        ] {
            assert_eq!(class(raw).unwrap_err().to_string(), flaw);
            assert_eq!(payload(raw), kept);
        }
    }

    #[test]
    fn a_job_is_scheduled_and_counted_as_by_ruby() {
        let job = Job::read(br#"{"class": "My Job", "queue": "old", "args": [1, "a b"]}"#).unwrap();
        assert_eq!(job.json(), r#"{"class":"My Job","args":[1,"a b"]}"#);
        assert_eq!(job.delayed("low"), r#"{"class":"My Job","args":[1,"a b"],"queue":"low"}"#);
        // printf '1-a b' | sha1sum
        assert_eq!(job.counter(), "resque-retry:MyJob:1ff1d60fdd6aa4918462d88fb896c86c0e98e2a0");
        assert_eq!(Job::read(br#"{"class":"A","args":[]}"#).unwrap().counter(), "resque-retry:A");
        assert_eq!(Job::read(br#"{"class":"A","args":[""]}"#).unwrap().counter(), "resque-retry:A");
        assert_eq!(Job::read(br#"{"class":"A"}"#).unwrap().json(), r#"{"class":"A","args":[]}"#);
    }
}
