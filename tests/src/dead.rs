//! The dead letters as the command line shows them.

use crate::{Mill, process::Finished};
use serde_json::Value;

/// What `gristmill dead` says and does for one mill.
#[derive(Clone, Copy, Debug)]
pub struct Dead<'a> {
    mill: &'a Mill,
    pipeline: &'a str,
}

impl<'a> Dead<'a> {
    /// The dead letters of `pipeline`.
    pub fn of(mill: &'a Mill, pipeline: &'a str) -> Self {
        Self { mill, pipeline }
    }

    /// `dead list --json`, one value for each letter.
    #[track_caller]
    pub fn list(&self) -> Vec<Value> {
        values(&self.run(&["list", self.pipeline, "--json"]).stdout)
    }

    /// `dead show ID --json`.
    #[track_caller]
    pub fn show(&self, id: &str) -> Value {
        let mut letters = values(&self.run(&["show", self.pipeline, id, "--json"]).stdout);
        assert_eq!(letters.len(), 1, "one letter for one id: {letters:?}");
        letters.remove(0)
    }

    /// `dead replay ID`.
    #[track_caller]
    pub fn replay(&self, id: &str) -> Finished {
        self.run(&["replay", self.pipeline, id])
    }

    /// `dead drop ID`.
    #[track_caller]
    pub fn discard(&self, id: &str) -> Finished {
        self.run(&["drop", self.pipeline, id])
    }

    /// The id by which the command line knows `letter`.
    #[track_caller]
    pub fn id(letter: &Value) -> String {
        letter["id"]
            .as_str()
            .unwrap_or_else(|| panic!("a letter has an id: {letter}"))
            .to_owned()
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> Finished {
        let finished = self.mill.run(&[&["dead"], words].concat());
        assert_eq!(
            finished.code, 0,
            "dead {words:?} fails:\n{}",
            finished.stderr
        );
        finished
    }
}

/// The values in `text`: a JSON array, or one value a line.
#[track_caller]
fn values(text: &str) -> Vec<Value> {
    let parsed: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect();
    let parsed = parsed.unwrap_or_else(|error| panic!("not JSON ({error}): {text}"));
    parsed
        .into_iter()
        .flat_map(|value| {
            if let Value::Array(values) = value {
                values
            } else {
                vec![value]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arrays_and_lines_read_the_same() {
        let expected = vec![json!({"id": "1-0"}), json!({"id": "2-0"})];
        assert_eq!(values("[{\"id\":\"1-0\"},\n {\"id\":\"2-0\"}]\n"), expected);
        assert_eq!(values("{\"id\":\"1-0\"}\n{\"id\":\"2-0\"}\n"), expected);
        assert!(values("").is_empty());
        assert!(values("[]").is_empty());
    }
}
