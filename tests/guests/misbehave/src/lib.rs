//! A filter that misbehaves on purpose, as its config says; what it does is in `deeds`.

mod deeds;

use gristmill_sdk::{Error, Filter, Message, Result, Verdict, filter};
use serde::Deserialize;
use std::time::Duration;

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
pub struct Config {
    mode: Mode,
    /// Misbehaves only for payloads that contain this; others pass.
    #[serde(default)]
    when: String,
    /// How much: bytes, lines, messages or attempts, as the mode says.
    #[serde(default = "plenty")]
    amount: usize,
    /// For `sleep`, and before the next attempt for `retry`, in milliseconds.
    millis: Option<u64>,
}

/// More than any sensible limit allows.
fn plenty() -> usize {
    64 << 20
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// Lets every message pass.
    Pass,
    /// Drops every message.
    Drop,
    /// Executes what no program may.
    Trap,
    /// Panics with a text on stderr.
    Panic,
    /// Calls `exit(0)`.
    Exit,
    Loop,
    LoopInInit,
    TrapInInit,
    /// Refuses its config.
    RefuseConfig,
    /// Takes memory and keeps it until there is none, or `amount` bytes.
    EatMemory,
    EatMemoryInInit,
    /// Calls itself until the stack ends.
    Recurse,
    /// Answers with a payload of `amount` bytes.
    GiantOutput,
    /// Answers with a header of `amount` bytes.
    GiantHeader,
    /// Splits into `amount` messages.
    ManyChildren,
    /// Writes `amount` lines to the log.
    LogFlood,
    /// Writes `amount` bytes to the log in one line.
    LogLine,
    /// Writes `amount` lines to stdout and to stderr.
    PrintFlood,
    /// Fails in a way that heals: after attempt `amount` it passes.
    Retry,
    Reject,
    /// Sleeps for `millis`.
    Sleep,
    /// Sets the header `found` to what it could reach: environment, files, network.
    Snoop,
    /// Sets the header `calls` to how many messages this instance has seen, this one included.
    Count,
    /// Replaces the payload by what it can read of the envelope, as JSON.
    Envelope,
}

/// The filter.
pub struct Misbehave {
    config: Config,
    calls: u64,
}

#[filter]
impl Filter for Misbehave {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        match config.mode {
            Mode::LoopInInit => deeds::endless(),
            Mode::TrapInInit => deeds::trap(),
            Mode::EatMemoryInInit => deeds::eat(config.amount),
            Mode::RefuseConfig => return Err(Error::reject("config.mode: refused on purpose")),
            _ => {}
        }
        Ok(Self { config, calls: 0 })
    }

    fn filter(&mut self, message: Message) -> Result<Verdict> {
        self.calls += 1;
        if contains(message.payload(), self.config.when.as_bytes()) {
            self.misbehave(message)
        } else {
            Ok(Verdict::pass())
        }
    }
}

impl Misbehave {
    fn misbehave(&self, mut message: Message) -> Result<Verdict> {
        let amount = self.config.amount;
        match self.config.mode {
            Mode::Pass | Mode::LoopInInit | Mode::TrapInInit | Mode::EatMemoryInInit | Mode::RefuseConfig => {}
            Mode::Drop => return Ok(Verdict::drop("dropped on purpose")),
            Mode::Trap => deeds::trap(),
            Mode::Panic => deeds::panic(),
            Mode::Exit => std::process::exit(0),
            Mode::Loop => deeds::endless(),
            Mode::EatMemory => deeds::eat(amount),
            Mode::Recurse => message.set_header("depth", deeds::recurse(0).to_string()),
            Mode::GiantOutput => message.set_payload(vec![b'x'; amount]),
            Mode::GiantHeader => message.set_header("giant", "x".repeat(amount)),
            Mode::ManyChildren => {
                return Ok(Verdict::split((0..amount).map(|n| n.to_string().into_bytes())));
            }
            Mode::LogFlood => deeds::flood_log(amount),
            Mode::LogLine => gristmill_sdk::log::warn("x".repeat(amount)),
            Mode::PrintFlood => deeds::flood_output(amount),
            Mode::Retry => return self.retry(&message),
            Mode::Reject => return Err(Error::reject("rejected on purpose")),
            Mode::Sleep => deeds::sleep(self.pause().unwrap_or_default()),
            Mode::Snoop => message.set_header("found", deeds::snoop()),
            Mode::Count => message.set_header("calls", self.calls.to_string()),
            Mode::Envelope => message.set_payload(deeds::envelope(&message)),
        }
        Ok(message.into())
    }

    fn retry(&self, message: &Message) -> Result<Verdict> {
        match (message.attempt() as usize > self.config.amount, self.pause()) {
            (true, _) => Ok(Verdict::pass()),
            (false, Some(pause)) => Err(Error::retry_after(pause, "to be retried on purpose")),
            (false, None) => Err(Error::retry("to be retried on purpose")),
        }
    }

    fn pause(&self) -> Option<Duration> {
        self.config.millis.map(Duration::from_millis)
    }
}

fn contains(payload: &[u8], word: &[u8]) -> bool {
    word.is_empty() || payload.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::{Change, config};

    fn run(json: &str, message: Message) -> Result<Verdict> {
        Misbehave::new(config::parse(json)?)?.filter(message)
    }

    #[test]
    fn only_payloads_with_the_word_are_meant() {
        let config = r#"{"mode": "reject", "when": "bad"}"#;
        assert_eq!(run(config, Message::test("good")), Ok(Verdict::Pass));
        assert_eq!(run(config, Message::test("a bad one")), Err(Error::reject("rejected on purpose")));
    }

    #[test]
    fn a_retry_ends_after_so_many_attempts() {
        let config = r#"{"mode": "retry", "amount": 2, "millis": 10}"#;
        let late = run(config, Message::test("").with_attempt(2)).unwrap_err();
        assert_eq!(late.pause(), Some(Duration::from_millis(10)));
        assert_eq!(run(config, Message::test("").with_attempt(3)), Ok(Verdict::Pass));
    }

    #[test]
    fn outputs_are_as_large_as_asked() {
        assert_eq!(
            run(r#"{"mode": "giant-output", "amount": 3}"#, Message::test("")),
            Ok(Change::payload("xxx").into())
        );
        let Ok(Verdict::Split(children)) = run(r#"{"mode": "many-children", "amount": 3}"#, Message::test("")) else {
            panic!()
        };
        assert_eq!(children.len(), 3);
    }

    #[test]
    fn a_config_can_be_refused() {
        let error = run(r#"{"mode": "refuse-config"}"#, Message::test("")).unwrap_err();
        assert_eq!(error.reason(), "config.mode: refused on purpose");
    }
}
