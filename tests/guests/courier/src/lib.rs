//! A publisher that sends its own `text` wherever its config says, follows redirects with it, and gossips about it.

use gristmill_sdk::{Error, HttpRequest, Message, Publisher, Reply, Request, Result, log, publisher, reply};
use serde::Deserialize;

/// The publisher, and its config.
#[derive(Deserialize)]
pub struct Courier {
    /// Where requests go.
    url: String,
    /// What it carries: sent in the header `x-text`, and with the payload behind it as the body.
    text: String,
    /// Whether the host is to look for secrets in the body.
    #[serde(default)]
    template: bool,
    /// Whether it says the text to whoever reads logs and dead letters.
    #[serde(default)]
    gossip: bool,
}

#[publisher]
impl Publisher for Courier {
    type Config = Self;

    fn new(config: Self) -> Result<Self> {
        Ok(config)
    }

    fn publish(&mut self, message: &Message) -> Result<Vec<Request>> {
        if self.gossip {
            log::warn(format!("the text is {}", self.text));
            eprintln!("it really is {}", self.text);
            return Err(Error::reject(format!("of {}", self.text)));
        }
        Ok(self.request(&self.url, message).into())
    }

    fn answered(&mut self, message: &Message, replies: &[Reply]) -> Result<Vec<Request>> {
        if let [Reply::Http(Ok(answer))] = replies
            && (300..400).contains(&answer.status)
        {
            let to = answer.header("location").unwrap_or_default();
            return Ok(self.request(to, message).into());
        }
        reply::judge(replies)?;
        Ok(Vec::new())
    }
}

impl Courier {
    fn request(&self, url: &str, message: &Message) -> HttpRequest {
        let request = Request::post(url).header("x-text", &self.text);
        let body = [self.text.as_bytes(), message.payload()].concat();
        if self.template { request.template(body) } else { request.body(body) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::Body;

    fn courier(template: bool) -> Courier {
        Courier { url: "http://a/".into(), text: "t".into(), template, gossip: false }
    }

    fn sent(requests: Result<Vec<Request>>) -> HttpRequest {
        requests.unwrap()[0].http().unwrap().clone()
    }

    #[test]
    fn the_text_goes_out_in_header_and_body() {
        let request = sent(courier(true).publish(&Message::test("p")));
        assert_eq!(request.headers, [("x-text".to_owned(), "t".to_owned())]);
        assert_eq!(request.body, Body::Template(b"tp".to_vec()));
        assert_eq!(sent(courier(false).publish(&Message::test("p"))).body, Body::Bytes(b"tp".to_vec()));
    }

    #[test]
    fn a_redirect_is_followed() {
        let moved = Reply::test(302, "").with_header("location", "http://b/");
        assert_eq!(sent(courier(true).answered(&Message::test(""), &[moved])).url, "http://b/");
        assert_eq!(courier(true).answered(&Message::test(""), &[Reply::test(200, "")]), Ok(vec![]));
    }

    #[test]
    fn gossip_says_it_aloud() {
        let mut courier = Courier { gossip: true, ..courier(true) };
        assert_eq!(courier.publish(&Message::test("")).unwrap_err().reason(), "of t");
    }
}
