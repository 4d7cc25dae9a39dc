//! Requests for several messages at once.

use super::{Reply, Request};
use crate::message::Fault;
use std::collections::HashMap;

/// Something for some messages of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batched<T> {
    /// A request or its reply.
    pub what: T,
    /// Their places in the batch, from 0; at least one.
    pub carries: Vec<usize>,
}

impl Batched<Reply> {
    /// The reply to a request of a message that is alone in its batch.
    pub fn alone(reply: &Reply) -> Self {
        Self { what: reply.clone(), carries: vec![0] }
    }
}

/// What a publisher answers for a batch; a message that is in neither is done.
#[derive(Debug, Default, PartialEq)]
pub struct BatchAnswer {
    /// What to carry out.
    pub requests: Vec<Batched<Request>>,
    /// Messages that have failed, by their places in the batch.
    pub faults: Vec<(usize, Fault)>,
}

/// What an answer says of one message of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// A request carries it, and the reply is to be judged.
    Open,
    /// Nothing more is to be done for it.
    Done,
    /// It has failed, whatever carries it.
    Failed(Fault),
}

impl BatchAnswer {
    /// What it says of each of the `count` messages of the batch, and the requests for those that stay open, by their places
    /// among these.
    pub fn fates(self, count: usize) -> (Vec<Fate>, Vec<Batched<Request>>) {
        let mut faults: HashMap<usize, Fault> = HashMap::new();
        for (place, fault) in self.faults {
            faults.entry(place).or_insert(fault);
        }
        let mut fates: Vec<Fate> =
            (0..count).map(|place| faults.remove(&place).map_or(Fate::Done, Fate::Failed)).collect();
        for place in self.requests.iter().flat_map(|request| &request.carries) {
            if let Some(fate @ Fate::Done) = fates.get_mut(*place) {
                *fate = Fate::Open;
            }
        }
        let mut open = 0..;
        let places: Vec<Option<usize>> =
            fates.iter().map(|fate| if *fate == Fate::Open { open.next() } else { None }).collect();
        let renumbered = self.requests.into_iter().map(|Batched { what, carries }| {
            let carries = carries.into_iter().filter_map(|place| places.get(place).copied().flatten()).collect();
            Batched { what, carries }
        });
        let requests = renumbered.filter(|request: &Batched<Request>| !request.carries.is_empty()).collect();
        (fates, requests)
    }

    /// What it says of a message that was alone in its batch.
    ///
    /// # Errors
    /// The fault that the message has.
    pub fn of_one(self) -> Result<Vec<Request>, Fault> {
        match self.faults.into_iter().next() {
            Some((_, fault)) => Err(fault),
            None => Ok(self.requests.into_iter().map(|request| request.what).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: &'static str, carries: &[usize]) -> Batched<Request> {
        Batched { what: Request::Redis(vec![name.into()]), carries: carries.to_vec() }
    }

    fn reject(reason: &str) -> Fault {
        Fault::Reject { reason: reason.to_owned() }
    }

    #[test]
    fn what_an_answer_says_is_sorted_by_message_and_requests_name_those_that_are_left() {
        let answer = BatchAnswer {
            requests: vec![request("a", &[0, 1, 3]), request("b", &[1]), request("c", &[4, 3])],
            faults: vec![(1, reject("first")), (1, reject("second"))],
        };
        let (fates, requests) = answer.fates(5);
        assert_eq!(fates, [Fate::Open, Fate::Failed(reject("first")), Fate::Done, Fate::Open, Fate::Open]);
        // Nothing is sent for the one that has failed alone.
        assert_eq!(requests, [request("a", &[0, 1]), request("c", &[2, 1])]);
    }

    #[test]
    fn an_answer_without_requests_is_the_end_of_all() {
        let (fates, requests) = BatchAnswer::default().fates(2);
        assert_eq!((fates, requests), (vec![Fate::Done; 2], Vec::new()));
    }
}
