//! Tells a publisher what one of its users has earned: looks up where it wants to be told, and calls it back.

use gristmill_sdk::{Error, Message, NoConfig, Publisher, Request, Result, publisher, sql};
use serde::Serialize;

gristmill_sdk::needs!("http", "sql offers");

const LOOKUP: &str = "SELECT publishers.callback_url, publishers.active, offers.coins FROM publishers \
                      LEFT JOIN offers ON offers.id = ? WHERE publishers.id = ?";

/// The publisher.
pub struct Callbacks;

/// What a publisher is told.
#[derive(Serialize)]
struct Earned {
    transaction: u64,
    user: String,
    coins: i64,
}

#[publisher]
impl Publisher for Callbacks {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self> {
        Ok(Self)
    }

    fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
        let job = message.job()?;
        if job.class() != "Callback" {
            return Err(Error::reject(format!("no job of this queue: `{}`", job.class())));
        }
        let (transaction, user, publisher, offer): (u64, String, i64, i64) = job.args()?;
        let rows = sql::query("offers", LOOKUP, (offer, publisher))?;
        let row = rows.first().ok_or_else(|| Error::reject(format!("there is no publisher {publisher}")))?;
        if !row.get::<bool>("active")? {
            return Ok(Vec::new());
        }
        let coins = row.get::<Option<i64>>("coins")?;
        let coins = coins.ok_or_else(|| Error::reject(format!("there is no offer {offer}")))?;
        let url: String = row.get("callback_url")?;
        Ok(Request::post(url).json(&Earned { transaction, user, coins })?.into())
    }
}
