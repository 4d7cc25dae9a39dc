//! The dead letters as the command line shows them.

use crate::{Mill, Redis, process::Finished};
use serde_json::Value;

/// What `gristmill dead` says and does for one mill.
#[derive(Clone, Copy, Debug)]
pub struct Dead<'a, R = Redis> {
    mill: &'a Mill<R>,
    pipeline: &'a str,
}

impl Dead<'_> {
    /// The entry by which the command line knows `letter`.
    #[track_caller]
    pub fn entry(letter: &Value) -> String {
        letter["entry"].as_str().unwrap_or_else(|| panic!("a letter has an entry: {letter}")).to_owned()
    }
}

impl<'a, R> Dead<'a, R> {
    /// The dead letters of `pipeline`.
    pub fn of(mill: &'a Mill<R>, pipeline: &'a str) -> Self {
        Self { mill, pipeline }
    }

    /// `dead list --json`, one value for each letter, ten thousand at most.
    #[track_caller]
    pub fn list(&self) -> Vec<Value> {
        values(&self.run("list", &["--json", "--limit", "10000"]).stdout)
    }

    /// `dead show ENTRY --json`.
    #[track_caller]
    pub fn show(&self, entry: &str) -> Value {
        let mut letters = values(&self.run("show", &[entry, "--json"]).stdout);
        assert_eq!(letters.len(), 1, "one letter for one entry: {letters:?}");
        letters.remove(0)
    }

    /// `dead show ENTRY --payload`.
    #[track_caller]
    pub fn payload(&self, entry: &str) -> String {
        self.run("show", &[entry, "--payload"]).stdout
    }

    /// `dead replay ENTRY`.
    #[track_caller]
    pub fn replay(&self, entry: &str) -> Finished {
        self.run("replay", &[entry])
    }

    /// `dead replay --all`.
    #[track_caller]
    pub fn replay_all(&self) -> Finished {
        self.run("replay", &["--all"])
    }

    /// `dead drop ENTRY`.
    #[track_caller]
    pub fn discard(&self, entry: &str) -> Finished {
        self.run("drop", &[entry])
    }

    #[track_caller]
    fn run(&self, verb: &str, words: &[&str]) -> Finished {
        let finished = self.mill.run(&[&["dead", verb, "--pipeline", self.pipeline], words].concat());
        assert_eq!(finished.code, 0, "dead {verb} {words:?} fails:\n{}", finished.stderr);
        finished
    }
}

/// The values in `text`: a JSON array, or one value a line.
#[track_caller]
fn values(text: &str) -> Vec<Value> {
    let parsed: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    let parsed = parsed.unwrap_or_else(|error| panic!("not JSON ({error}): {text}"));
    parsed.into_iter().flat_map(|value| if let Value::Array(values) = value { values } else { vec![value] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arrays_and_lines_read_the_same() {
        let expected = vec![json!({"entry": "1-0"}), json!({"entry": "2-0"})];
        assert_eq!(values("[{\"entry\":\"1-0\"},\n {\"entry\":\"2-0\"}]\n"), expected);
        assert_eq!(values("{\"entry\":\"1-0\"}\n{\"entry\":\"2-0\"}\n"), expected);
        assert!(values("").is_empty());
        assert!(values("[]").is_empty());
    }
}
