//! What the server answers, and what that means.

use gristmill_sdk::{Error, Result, json::Paths};
use serde::Deserialize;
use std::borrow::Cow;

/// How answers are judged.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// Where in an answer of JSON stands what is judged; without it, that is all of the answer.
    at: Option<String>,
    done: Option<Vec<String>>,
    #[serde(default)]
    retry: Vec<String>,
    #[serde(default)]
    reject: Vec<String>,
}

/// An [`Answer`] whose path has been read.
pub(crate) struct Judge {
    at: Option<(String, Paths)>,
    done: Option<Vec<String>>,
    retry: Vec<String>,
    reject: Vec<String>,
}

impl Judge {
    /// # Errors
    /// A path that is none, or an answer that means two things.
    pub(crate) fn new(answer: Answer) -> Result<Self> {
        let Answer { at, done, retry, reject } = answer;
        let lists = [("done", done.as_deref().unwrap_or_default()), ("retry", &retry), ("reject", &reject)];
        for (index, (name, words)) in lists.iter().enumerate() {
            let others = lists.iter().skip(index + 1);
            let twice = |word: &&String| others.clone().find(|(_, others)| others.contains(word)).map(|other| other.0);
            if let Some((word, other)) = words.iter().find_map(|word| Some((word, twice(&word)?))) {
                return Err(Error::reject(format!("config.answer.{name}: `{word}` is in `{other}`, too")));
            }
        }
        let read = |path: String| {
            let paths = Paths::new([&path]).map_err(|error| Error::reject(format!("config.answer.at: {error}")))?;
            Ok::<_, Error>((path, paths))
        };
        Ok(Self { at: at.map(read).transpose()?, done, retry, reject })
    }

    /// # Errors
    /// A retry or a rejection, as the answer means.
    pub(crate) fn judge(&self, answer: &[u8]) -> Result<()> {
        let said = self.said(answer)?;
        let is_in = |words: &[String]| words.iter().any(|word| *word == said);
        let told = || format!("the server answered `{}`", shown(&said));
        if is_in(&self.reject) {
            return Err(Error::reject(told()));
        }
        if is_in(&self.retry) || self.done.as_deref().is_some_and(|done| !is_in(done)) {
            return Err(Error::retry(told()));
        }
        Ok(())
    }

    /// What is judged. One that is not as it should be may be of a server that is just being changed.
    fn said<'a>(&self, answer: &'a [u8]) -> Result<Cow<'a, str>> {
        let Some((path, paths)) = &self.at else { return Ok(String::from_utf8_lossy(answer)) };
        let nothing = || {
            Error::retry(format!(
                "the server answered `{}`, in which nothing is at `{path}`",
                shown(&String::from_utf8_lossy(answer))
            ))
        };
        let found = paths.find(answer).map_err(|_| nothing())?;
        found.first().and_then(|found| found.text().or_else(|| scalar(found.raw))).ok_or_else(nothing)
    }
}

/// A number, `true` or `false` as it is written.
fn scalar(raw: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(raw).ok()?;
    (!text.starts_with(['{', '[', '"']) && text != "null").then_some(Cow::Borrowed(text))
}

/// Enough of an answer to know it by.
fn shown(answer: &str) -> String {
    const SHOWN: usize = 200;
    let mut rest = answer.chars();
    let mut shown: String = rest.by_ref().take(SHOWN).collect();
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::config;

    fn judge(json: &str) -> Result<Judge> {
        Judge::new(config::parse(json)?)
    }

    /// `done`, `retry` or `reject`.
    fn verdict(json: &str, answer: &str) -> &'static str {
        match judge(json).unwrap().judge(answer.as_bytes()) {
            Ok(()) => "done",
            Err(error) if error.is_retry() => "retry",
            Err(_) => "reject",
        }
    }

    #[test]
    fn any_answer_will_do_where_nothing_is_said_of_it() {
        assert_eq!(["", "ok", "\u{1}"].map(|answer| verdict("{}", answer)), ["done"; 3]);
    }

    #[test]
    fn answers_mean_what_the_config_says() {
        let config = r#"{"done": ["ok"], "reject": ["no"]}"#;
        assert_eq!(["ok", "no", "OK", ""].map(|answer| verdict(config, answer)), ["done", "reject", "retry", "retry"]);
        let config = r#"{"retry": ["busy"], "reject": ["no"]}"#;
        assert_eq!(["ok", "no", "busy"].map(|answer| verdict(config, answer)), ["done", "reject", "retry"]);
    }

    #[test]
    fn a_value_of_the_answer_can_be_judged() {
        let config = r#"{"at": "result.status", "done": ["ok", "7"], "reject": ["invalid"]}"#;
        let answers = [
            r#"{"result": {"status": "ok"}}"#,
            r#"{"result": {"status": 7}}"#,
            r#"{"result": {"status": "invalid"}}"#,
            r#"{"result": {"status": "other"}}"#,
            r#"{"result": {}}"#,
            "ok",
        ];
        let expected = ["done", "done", "reject", "retry", "retry", "retry"];
        assert_eq!(answers.map(|answer| verdict(config, answer)), expected);
        let why = judge(config).unwrap().judge(b"{}").unwrap_err();
        assert_eq!(why.reason(), "the server answered `{}`, in which nothing is at `result.status`");
    }

    #[test]
    fn a_long_answer_is_cut_in_the_reason() {
        let why = judge(r#"{"done": []}"#).unwrap().judge("ä".repeat(1000).as_bytes()).unwrap_err();
        assert!(why.reason().contains(&format!("`{}…`", "ä".repeat(200))), "{}", why.reason());
    }

    #[test]
    fn what_cannot_be_judged_by_is_refused() {
        let why = |json: &str| judge(json).err().unwrap().reason().to_owned();
        assert_eq!(why(r#"{"done": ["a", "b"], "reject": ["b"]}"#), "config.answer.done: `b` is in `reject`, too");
        assert!(why(r#"{"at": "a..b"}"#).starts_with("config.answer.at: "));
    }
}
