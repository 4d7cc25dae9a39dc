//! A publisher whose messages are commands of Redis; it posts what Redis answers.

use gristmill_sdk::{Message, Publisher, Reply, Request, Result, publisher, reply};

gristmill_sdk::needs!("redis", "http");

/// The publisher, and its config.
#[derive(serde::Deserialize)]
pub struct Commander {
    /// Where the answers go.
    url: String,
    /// Whether the commands are carried out when the message is settled.
    #[serde(default)]
    with_settling: bool,
}

#[publisher]
impl Publisher for Commander {
    type Config = Self;

    fn new(config: Self) -> Result<Self> {
        Ok(config)
    }

    fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
        let commands: Vec<Vec<String>> = message.json()?;
        let request = if self.with_settling { Request::redis_with_settling } else { Request::redis };
        Ok(commands.into_iter().map(request).collect())
    }

    fn answered(&mut self, _: &Message, replies: &[Reply]) -> Result<Vec<Request>> {
        reply::judge(replies)?;
        if self.with_settling {
            return Ok(Vec::new());
        }
        let answers: Vec<_> = replies.iter().filter_map(|reply| reply.redis().ok()).collect();
        if answers.is_empty() {
            return Ok(Vec::new());
        }
        Ok(Request::post(&self.url).body(format!("{answers:?}")).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::{Body, RedisValue};

    #[test]
    fn commands_are_asked_for_and_their_answers_posted() {
        let mut plugin = Commander { url: "http://a/".into(), with_settling: false };
        let message = Message::test(r#"[["GET", "a"]]"#);
        assert_eq!(plugin.publish(&message).unwrap(), [Request::redis(["GET", "a"])]);
        let posted = plugin.answered(&message, &[Reply::Redis(Ok(RedisValue::Number(1)))]).unwrap();
        assert_eq!(posted[0].http().unwrap().body, Body::Bytes(b"[Number(1)]".to_vec()));
        assert_eq!(plugin.answered(&message, &[Reply::test(200, "")]), Ok(vec![]));
    }
}
