//! A filter that looks things up: as its config says, or one thing after the other as the message says.

mod ask;

use gristmill_sdk::{Error, Filter, LookupFailure, Message, Result, Verdict, filter, sql, store};
use serde::Deserialize;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const FIRST: &str = "first";

/// The plugin's `config`.
#[derive(Debug, Deserialize)]
pub struct Config {
    mode: Mode,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// Replaces the payload, which says what is to be looked up, by the answers.
    Ask,
    /// Drops a payload that another message had.
    Dedupe,
    /// Replaces the payload by how often there was this one, and by what it was.
    Count,
    /// Puts the name that the database `shop` has for the number in the payload behind it.
    Enrich,
    /// Keeps the first payload that comes, and looks whether it has one each time.
    Remember,
    /// Looks up again and again, whatever the answer.
    Endless,
    /// Looks something up before there is any message.
    InInit,
}

/// The filter.
pub struct Lookups {
    config: Config,
}

#[filter]
impl Filter for Lookups {
    type Config = Config;

    fn new(config: Config) -> Result<Self> {
        if let Mode::InInit = config.mode {
            store::get("early")?;
        }
        Ok(Self { config })
    }

    fn filter(&mut self, mut message: Message) -> Result<Verdict> {
        match self.config.mode {
            Mode::Ask => {
                let answers = ask::all(message.payload())?;
                message.set_json(&answers)?;
            }
            Mode::Dedupe => {
                let (key, id) = (format!("seen:{}", message.text()?), message.id());
                if !store::add(&key, &id, Some(DAY))? && store::get_text(&key)?.is_some_and(|first| first != id) {
                    return Ok(Verdict::drop("seen before"));
                }
            }
            Mode::Count => {
                let count = store::increment(&format!("count:{}", message.text()?), 1, Some(DAY))?;
                let text = format!("{count} {}", message.text()?);
                message.set_payload(text);
            }
            Mode::Enrich => {
                let id: i64 = message.json()?;
                let rows = sql::query("shop", "SELECT name FROM customers WHERE id = ?", (id,))?;
                let customer = rows.first().ok_or(Error::reject("no such customer"))?;
                let named = format!("{id} {}", customer.get::<String>("name")?);
                message.set_payload(named);
            }
            Mode::Remember => {
                if store::get(FIRST)?.is_none() {
                    store::set(FIRST, message.payload(), None)?;
                }
            }
            Mode::Endless => loop {
                if let Err(LookupFailure::Denied(why)) = store::get("x") {
                    return Ok(Verdict::drop(why));
                }
            },
            Mode::InInit => {}
        }
        Ok(message.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::config;

    fn plugin(mode: &str) -> Lookups {
        Lookups::new(config::parse(&format!(r#"{{"mode": "{mode}"}}"#)).unwrap()).unwrap()
    }

    #[test]
    fn a_payload_that_another_message_had_is_dropped() {
        store::clear();
        let mut plugin = plugin("dedupe");
        let message = |id| Message::test("a").with_id(id);
        assert_eq!(plugin.filter(message("1")), Ok(Verdict::Pass));
        assert_eq!(plugin.filter(message("2")), Ok(Verdict::drop("seen before")));
        assert_eq!(plugin.filter(message("1")), Ok(Verdict::Pass), "another attempt");
    }

    #[test]
    fn a_name_is_looked_up() {
        sql::answer(|_, _, _| Ok(sql::Rows::test(["name"], [("ann",)])));
        assert_eq!(plugin("enrich").filter(Message::test("7")), Ok(gristmill_sdk::Change::payload("7 ann").into()));
    }

    #[test]
    fn the_first_payload_is_kept() {
        store::clear();
        let mut plugin = plugin("remember");
        for payload in ["a", "b"] {
            assert_eq!(plugin.filter(Message::test(payload)), Ok(Verdict::Pass));
            assert_eq!(store::get_text(FIRST), Ok(Some("a".to_owned())));
        }
    }

    #[test]
    fn a_store_that_is_away_is_waited_for() {
        store::fail(LookupFailure::Unavailable("away".to_owned()));
        assert!(plugin("count").filter(Message::test("a")).unwrap_err().is_retry());
        store::clear();
    }
}
