//! Batches as they cross: the functions of `batching`, and the types that only those have.

use super::{find, missing, typed, types};
use crate::{
    message::{Fault, Message},
    plugin::{fault::broken, refusal::Cause, state::State},
    request::{BatchAnswer, Batched, Reply},
};
use wasmtime::{
    Store,
    component::{Component, ComponentExportIndex, ComponentType, Instance, Lift, Lower, TypedFunc},
};

type PublishBatch = TypedFunc<(Vec<BatchedMessage<'static>>,), (Result<Answer, types::Fault>,)>;
type AnsweredBatch =
    TypedFunc<(Vec<BatchedMessage<'static>>, Vec<BatchedReply<'static>>), (Result<Answer, types::Fault>,)>;

#[derive(ComponentType, Lower)]
#[component(record)]
struct BatchedMessage<'a> {
    id: &'a str,
    source: &'a str,
    topic: &'a str,
    attempt: u32,
    #[component(name = "received-ms")]
    received_ms: u64,
    headers: &'a [(String, String)],
    payload: &'a [u8],
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct BatchedRequest {
    request: types::Request,
    carries: Vec<u32>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct BatchedReply<'a> {
    reply: types::Reply<'a>,
    carries: Vec<u32>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Answer {
    requests: Vec<BatchedRequest>,
    faults: Vec<(u32, types::Fault)>,
}

/// Where a component keeps the functions.
pub(super) struct Indices {
    publish: ComponentExportIndex,
    answered: ComponentExportIndex,
}

impl Indices {
    pub(super) fn of(component: &Component) -> Result<Self, Cause> {
        let function =
            |function: &'static str| find(component, "batching", function).ok_or_else(|| missing("batching", function));
        Ok(Self { publish: function("publish-batch")?, answered: function("answered-batch")? })
    }
}

/// The functions of one instance.
pub(super) struct Calls {
    publish: PublishBatch,
    answered: AnsweredBatch,
}

impl Calls {
    pub(super) fn of(indices: &Indices, instance: &Instance, store: &mut Store<State>) -> Result<Self, String> {
        Ok(Self {
            publish: typed(instance, store, "publish-batch", indices.publish)?,
            answered: typed(instance, store, "answered-batch", indices.answered)?,
        })
    }

    /// What to send for `messages`.
    pub(super) async fn publish(
        &self,
        store: &mut Store<State>,
        messages: &[&Message],
    ) -> wasmtime::Result<Result<BatchAnswer, Fault>> {
        let publish: TypedFunc<(Vec<BatchedMessage<'_>>,), _> = self.publish;
        let (answer,) = publish.call_async(store, (crossing(messages),)).await?;
        Ok(into_host(answer, messages))
    }

    /// What to send after `replies`.
    pub(super) async fn answered(
        &self,
        store: &mut Store<State>,
        messages: &[&Message],
        replies: &[Batched<Reply>],
    ) -> wasmtime::Result<Result<BatchAnswer, Fault>> {
        let answered: TypedFunc<(Vec<BatchedMessage<'_>>, Vec<BatchedReply<'_>>), _> = self.answered;
        let replies = replies.iter().map(BatchedReply::from).collect();
        let (answer,) = answered.call_async(store, (crossing(messages), replies)).await?;
        Ok(into_host(answer, messages))
    }
}

fn crossing<'a>(messages: &[&'a Message]) -> Vec<BatchedMessage<'a>> {
    messages.iter().map(|message| BatchedMessage::from(*message)).collect()
}

impl<'a> From<&'a Message> for BatchedMessage<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            id: &message.id,
            source: &message.source,
            topic: &message.topic,
            attempt: message.attempt,
            received_ms: message.received_ms,
            headers: &message.headers,
            payload: &message.payload,
        }
    }
}

impl<'a> From<&'a Batched<Reply>> for BatchedReply<'a> {
    fn from(reply: &'a Batched<Reply>) -> Self {
        // A batch has no more than 10,000 messages.
        let carries = reply.carries.iter().filter_map(|&place| u32::try_from(place).ok()).collect();
        Self { reply: types::Reply::from(&reply.what), carries }
    }
}

/// The answer as the host knows it, if every message that it names is one of `messages`.
fn into_host(answer: Result<Answer, types::Fault>, messages: &[&Message]) -> Result<BatchAnswer, Fault> {
    let answer = answer.map_err(types::Fault::into_host)?;
    let request = |BatchedRequest { request, carries }| {
        let carries = carries.into_iter().map(|place| known(place, messages)).collect::<Result<Vec<_>, _>>()?;
        let first = carries.first().and_then(|place| messages.get(*place));
        let first = first.ok_or_else(|| broken("broke the plugin API: a request carries no message".to_owned()))?;
        Ok(Batched { what: request.into_host(first), carries })
    };
    let fault = |(place, fault): (u32, types::Fault)| Ok((known(place, messages)?, fault.into_host()));
    Ok(BatchAnswer {
        requests: answer.requests.into_iter().map(request).collect::<Result<_, Fault>>()?,
        faults: answer.faults.into_iter().map(fault).collect::<Result<_, Fault>>()?,
    })
}

fn known(place: u32, messages: &[&Message]) -> Result<usize, Fault> {
    let count = messages.len();
    let known = usize::try_from(place).ok().filter(|place| *place < count);
    known
        .ok_or_else(|| broken(format!("broke the plugin API: it names the message {place} of {count}, counted from 0")))
}
