//! A publisher that sends each batch as the lines of one request. The answer may be a list of statuses, one for each line.
//!
//! A payload may say what is to happen to it: `"do": "trap"` before it is sent, `"trap late"` when the answer is judged, `"reject"`,
//! or `"alone"` in a request of its own; `"astray"` names a message that there is not. `"settle"` is a command that is carried out with the
//! settling of the message, `"settle all"` one for the whole batch.

use gristmill_sdk::{BatchPublisher, BatchedReply, Error, Message, Plan, Reply, Request, Result, batch, publisher};
use serde::Deserialize;

/// The publisher, and its config.
#[derive(Deserialize)]
pub struct Bulk {
    url: String,
}

/// What the payload of a message may say.
#[derive(Deserialize)]
struct Order {
    r#do: Option<String>,
}

#[publisher]
impl BatchPublisher for Bulk {
    type Config = Self;

    fn new(config: Self) -> Result<Self> {
        Ok(config)
    }

    fn publish_batch(&mut self, messages: &[Message]) -> Result<Plan> {
        let mut plan = Plan::new();
        let mut together = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            match order(message)?.as_deref() {
                Some("trap") => trap(),
                Some("reject") => plan.fail(place, Error::reject("as it says")),
                Some("astray") => plan.send(self.request(messages, &[place]), [place, messages.len()]),
                Some("settle") => plan.send(settled(message), [place]),
                Some("settle all") => plan.send(settled(message), 0..messages.len()),
                Some("alone") => plan.send(self.request(messages, &[place]), [place]),
                _ => together.push(place),
            }
        }
        if !together.is_empty() {
            plan.send(self.request(messages, &together), together);
        }
        Ok(plan)
    }

    fn answered_batch(&mut self, messages: &[Message], replies: &[BatchedReply]) -> Result<Plan> {
        for message in messages {
            assert_ne!(order(message)?.as_deref(), Some("trap late"), "poisonous late");
        }
        let mut plan = Plan::new();
        for reply in replies {
            match statuses(reply) {
                Some(statuses) => {
                    for (place, status) in reply.carries.iter().zip(statuses) {
                        if let Err(error) = Reply::test(status, "").success() {
                            plan.fail(*place, error);
                        }
                    }
                }
                None => {
                    for (place, error) in batch::judge(std::slice::from_ref(reply)).faults() {
                        plan.fail(*place, error.clone());
                    }
                }
            }
        }
        Ok(plan)
    }
}

impl Bulk {
    fn request(&self, messages: &[Message], places: &[usize]) -> Request {
        let chosen = || places.iter().filter_map(|place| messages.get(*place));
        let lines: Vec<&[u8]> = chosen().map(Message::payload).collect();
        let attempts: Vec<String> = chosen().map(|message| message.attempt().to_string()).collect();
        let rounds: Vec<String> = chosen().map(|message| message.round().to_string()).collect();
        let request = Request::post(&self.url).header("x-attempts", attempts.join(","));
        request.header("x-rounds", rounds.join(",")).body(lines.join(&b'\n')).into()
    }
}

fn settled(message: &Message) -> Request {
    Request::redis_with_settling([b"RPUSH", b"settled".as_slice(), message.payload()])
}

#[expect(clippy::panic, reason = "that is what it is for")]
fn trap() {
    panic!("poisonous")
}

fn order(message: &Message) -> Result<Option<String>> {
    message.json::<Order>().map(|order| order.r#do)
}

fn statuses(reply: &BatchedReply) -> Option<Vec<u16>> {
    let http = reply.reply.success().ok()?;
    let statuses: Vec<u16> = serde_json::from_slice(&http.body).ok()?;
    (statuses.len() == reply.carries.len()).then_some(statuses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(payloads: &[&str]) -> Plan {
        let messages: Vec<Message> = payloads.iter().map(|&payload| Message::test(payload)).collect();
        Bulk { url: "http://a/".into() }.publish_batch(&messages).unwrap()
    }

    #[test]
    fn a_batch_is_one_request_but_for_what_wants_another() {
        let plan = plan(&[r#"{"n":1}"#, r#"{"do":"alone"}"#, r#"{"do":"reject"}"#, r#"{"n":2}"#]);
        let carries: Vec<&[usize]> = plan.requests().iter().map(|(_, carries)| &carries[..]).collect();
        assert_eq!(carries, [&[1][..], &[0, 3]]);
        assert_eq!(plan.faults(), [(2, Error::reject("as it says"))]);
    }

    #[test]
    fn each_line_is_judged_by_its_own_status() {
        let messages = [Message::test("{}"), Message::test("{}"), Message::test("{}")];
        let mut bulk = Bulk { url: "http://a/".into() };
        let mut judge = |reply| bulk.answered_batch(&messages, &[BatchedReply::new(reply, [0, 1, 2])]).unwrap();
        let faults = judge(Reply::test(200, "[200,404,503]")).faults().to_vec();
        let faults: Vec<(usize, bool)> = faults.iter().map(|(place, error)| (*place, error.is_retry())).collect();
        assert_eq!(faults, [(1, false), (2, true)]);
        assert_eq!(judge(Reply::test(503, "")).faults().len(), 3);
        assert_eq!(judge(Reply::test(200, "")), Plan::new());
    }
}
