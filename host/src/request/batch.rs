//! Requests for several messages at once.

use super::{Reply, Request};
use crate::message::Fault;

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

impl BatchAnswer {
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
