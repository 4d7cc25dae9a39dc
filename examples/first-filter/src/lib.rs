//! Lets through the hits of people, and marks them.

use gristmill_sdk::{Message, Result, Verdict, filter};

#[derive(serde::Deserialize)]
struct Hit {
    agent: String,
}

#[filter]
pub fn people_only(mut message: Message) -> Result<Verdict> {
    let hit: Hit = message.json()?;
    if hit.agent.contains("bot") {
        return Ok(Verdict::drop("a bot"));
    }
    message.set_header("audience", "people");
    Ok(message.into())
}
