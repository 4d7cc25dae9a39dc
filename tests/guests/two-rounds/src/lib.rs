//! A publisher that sends one request after the other, each once the one before has succeeded, and is then done.

use gristmill_sdk::{Message, Publisher, Reply, Request, Result, publisher, reply};

/// The publisher, and its config.
#[derive(serde::Deserialize)]
pub struct TwoRounds {
    /// Where the requests go, in this order.
    urls: Vec<String>,
}

#[publisher]
impl Publisher for TwoRounds {
    type Config = Self;

    fn new(config: Self) -> Result<Self> {
        Ok(config)
    }

    fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
        Ok(self.next(message))
    }

    fn answered(&mut self, message: &Message, replies: &[Reply]) -> Result<Vec<Request>> {
        reply::judge(replies)?;
        Ok(self.next(message))
    }
}

impl TwoRounds {
    fn next(&self, message: &Message) -> Vec<Request> {
        let url = self.urls.get(message.round() as usize);
        url.map(|url| Request::post(url).into()).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_its_request_and_the_last_has_none() {
        let mut plugin = TwoRounds::new(TwoRounds { urls: vec!["http://a/".into(), "http://b/".into()] }).unwrap();
        let message = Message::test("");
        assert_eq!(plugin.publish(&message).unwrap(), [Request::post("http://a/").into()]);
        let second = plugin.answered(&message.clone().with_round(1), &[Reply::test(200, "")]).unwrap();
        assert_eq!(second, [Request::post("http://b/").into()]);
        assert_eq!(plugin.answered(&message.clone().with_round(2), &[Reply::test(200, "")]), Ok(vec![]));
        assert!(plugin.answered(&message.with_round(1), &[Reply::test(500, "")]).unwrap_err().is_retry());
    }
}
