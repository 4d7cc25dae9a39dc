//! What a publisher of batches wants for many messages at once, and how it judges replies unless it says otherwise.

use crate::{Error, Reply, Request, reply};

/// What is to be done for a batch. A message that no request carries and that has not failed is done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub(crate) requests: Vec<(Request, Vec<usize>)>,
    pub(crate) faults: Vec<(usize, Error)>,
}

/// What came of one request for some messages of a batch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BatchedReply {
    /// What came of it.
    pub reply: Reply,
    /// The messages that it carried, by their places in the batch of this call.
    pub carries: Vec<usize>,
}

impl Plan {
    /// With which all messages are done.
    pub fn new() -> Self {
        Self::default()
    }

    /// A request for the messages at these places of the batch, from 0, of which there is at least one. If its body is
    /// [`Body::Payload`](crate::Body::Payload), that is the payload of the first.
    pub fn send(&mut self, request: impl Into<Request>, carries: impl IntoIterator<Item = usize>) {
        self.requests.push((request.into(), carries.into_iter().collect()));
    }

    /// The message at this place has failed, whatever becomes of requests that carry it; the first error counts.
    pub fn fail(&mut self, place: usize, error: impl Into<Error>) {
        self.faults.push((place, error.into()));
    }

    /// The requests so far, with the messages that each carries.
    pub fn requests(&self) -> &[(Request, Vec<usize>)] {
        &self.requests
    }

    /// The messages that have failed so far.
    pub fn faults(&self) -> &[(usize, Error)] {
        &self.faults
    }
}

impl BatchedReply {
    /// As the host gives it; for a test.
    pub fn new(reply: Reply, carries: impl IntoIterator<Item = usize>) -> Self {
        Self { reply, carries: carries.into_iter().collect() }
    }
}

/// The default judgement over all replies of a round: each message by the replies to the requests that carried it, as
/// [`reply::judge`] does.
pub fn judge(replies: &[BatchedReply]) -> Plan {
    let mut plan = Plan::new();
    let mut places: Vec<usize> = replies.iter().flat_map(|reply| reply.carries.iter().copied()).collect();
    places.sort_unstable();
    places.dedup();
    for place in places {
        let own = replies.iter().filter(|reply| reply.carries.contains(&place)).map(|reply| &reply.reply);
        if let Err(error) = reply::judge_all(own) {
            plan.fail(place, error);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_judged_by_the_replies_to_its_own_requests() {
        let replies = [
            BatchedReply::new(Reply::test(200, ""), [0, 1]),
            BatchedReply::new(Reply::test(503, ""), [1, 2]),
            BatchedReply::new(Reply::test(404, ""), [2]),
        ];
        let plan = judge(&replies);
        assert!(plan.requests().is_empty());
        let faults: Vec<(usize, bool)> =
            plan.faults().iter().map(|(place, error)| (*place, error.is_retry())).collect();
        assert_eq!(faults, [(1, true), (2, false)]);
        assert_eq!(judge(&[]), Plan::new());
    }
}
