//! Replies that were given on the command line instead of by a network.

use super::input::pair;
use crate::request::{Failure, HttpReply, RedisValue, Reply, Request};
use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use std::str::FromStr;

#[derive(Debug, Default, Args)]
pub(super) struct Canned {
    /// How a publisher's requests are answered: `503`, `200 BODY`, or `unreachable`, `denied`, `invalid` or `too-large`;
    /// commands of Redis, lines for files and messages over WebSockets, which are answered with BODY, succeed unless they get one of the last four.
    /// Given several times, the first is for the first round, and the last for all that follow [default: 200]
    #[arg(long = "reply", value_name = "REPLY")]
    replies: Vec<Answer>,
    /// A header of every reply
    #[arg(long = "reply-header", value_name = "NAME:VALUE", value_parser = pair)]
    reply_headers: Vec<(String, String)>,
}

/// What is answered to every request of a round.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Status(u16, Bytes),
    Failure(Failure),
}

impl FromStr for Answer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
        let why = || if rest.is_empty() { "as `--reply` says".to_owned() } else { rest.to_owned() };
        Ok(match what {
            "unreachable" => Self::Failure(Failure::Unreachable(why())),
            "denied" => Self::Failure(Failure::Denied(why())),
            "invalid" => Self::Failure(Failure::Invalid(why())),
            "too-large" => Self::Failure(Failure::TooLarge(why())),
            status => {
                let status = status.parse().ok().filter(|status| (100..=999).contains(status));
                let status = status.context(
                    "a reply is a status such as `503`, perhaps with a body behind a space, or `unreachable`, `denied`, `invalid` or `too-large`",
                )?;
                Self::Status(status, Bytes::copy_from_slice(rest.as_bytes()))
            }
        })
    }
}

impl Canned {
    /// One reply for each of the `requests` of this round, which counts from 1.
    pub(super) fn replies(&self, round: u32, requests: &[Request]) -> Vec<Reply> {
        let place = usize::try_from(round).unwrap_or(usize::MAX).saturating_sub(1);
        let answer = self.replies.get(place).or(self.replies.last());
        requests.iter().map(|request| self.reply(answer, request)).collect()
    }

    fn reply(&self, answer: Option<&Answer>, request: &Request) -> Reply {
        let (status, body) = match answer {
            None => (200, Bytes::new()),
            Some(Answer::Status(status, body)) => (*status, body.clone()),
            Some(Answer::Failure(failure)) => return request.failed(failure.clone()),
        };
        match request {
            Request::Http(_) => Reply::Http(Ok(self.http(status, body))),
            Request::RedisWithSettling(_) => Reply::Redis(Ok(RedisValue::queued())),
            Request::Redis(_) => Reply::Redis(Ok(RedisValue::Bytes(Bytes::from_static(b"OK")))),
            Request::File(_) => Reply::File(Ok(())),
            Request::WebSocket(send) => Reply::WebSocket(Ok(send.expect.then_some(body))),
        }
    }

    fn http(&self, status: u16, body: Bytes) -> HttpReply {
        HttpReply { status, headers: self.reply_headers.clone(), body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::HttpRequest;

    fn canned(replies: &[&str]) -> Canned {
        Canned { replies: replies.iter().map(|reply| reply.parse().unwrap()).collect(), reply_headers: Vec::new() }
    }

    fn request() -> Request {
        Request::Http(HttpRequest {
            method: "GET".into(),
            url: "http://h/".into(),
            headers: Vec::new(),
            body: Bytes::new(),
            template: false,
            timeout: None,
        })
    }

    fn status(canned: &Canned, round: u32) -> u16 {
        match &canned.replies(round, &[request()])[..] {
            [Reply::Http(Ok(reply))] => reply.status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_round_has_its_reply_and_the_last_one_stays() {
        let rounds = |replies: &[&str]| [1, 2, 3].map(|round| status(&canned(replies), round));
        assert_eq!(rounds(&[]), [200, 200, 200]);
        assert_eq!(rounds(&["503"]), [503, 503, 503]);
        assert_eq!(rounds(&["429", "204"]), [429, 204, 204]);
    }

    #[test]
    fn every_request_of_a_round_is_answered_with_body_and_headers() {
        let mut canned = canned(&["200 {\"ok\": true}"]);
        canned.reply_headers.push(("retry-after".into(), "7".into()));
        let replies = canned.replies(1, &[request(), request()]);
        let expected = HttpReply {
            status: 200,
            headers: vec![("retry-after".into(), "7".into())],
            body: Bytes::from_static(b"{\"ok\": true}"),
        };
        assert_eq!(replies, [Reply::Http(Ok(expected.clone())), Reply::Http(Ok(expected))]);
    }

    #[test]
    fn a_command_of_redis_succeeds_unless_it_is_to_fail() {
        let command = [Request::Redis(vec![Bytes::from_static(b"PING")])];
        let ok = Reply::Redis(Ok(RedisValue::Bytes(Bytes::from_static(b"OK"))));
        assert_eq!(canned(&["503"]).replies(1, &command), [ok]);
        let later = [Request::RedisWithSettling(vec![Bytes::from_static(b"PING")])];
        assert_eq!(canned(&["503"]).replies(1, &later), [Reply::Redis(Ok(RedisValue::queued()))]);
        let failed = canned(&["denied no"]).replies(1, &command);
        assert_eq!(failed, [Reply::Redis(Err(Failure::Denied("no".into())))]);
    }

    #[test]
    fn a_reply_can_be_a_failure_and_nothing_else() {
        let failure = |text: &str| text.parse::<Answer>().unwrap();
        assert_eq!(failure("unreachable no route"), Answer::Failure(Failure::Unreachable("no route".into())));
        assert!(matches!(failure("denied"), Answer::Failure(Failure::Denied(_))));
        for wrong in ["", "ok", "99", "1000", "2x0"] {
            assert!(wrong.parse::<Answer>().is_err(), "{wrong}");
        }
    }
}
