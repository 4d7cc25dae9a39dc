//! Between the generated bindings and the plugin's traits: one plugin per instance, kept in a slot. Components only.

pub use crate::bindings::types as wire;
use crate::{
    BatchPublisher, BatchedReply, Body, Change, Durability, Error, Failure, FileAppend, Filter, HttpReply, HttpRequest,
    Message, Plan, Publisher, RedisValue, Reply, Request, Result, Verdict, WebSocketSend, bindings, config,
};
use serde::de::DeserializeOwned;
use std::{cell::RefCell, thread::LocalKey, time::Duration};

/// Where an instance keeps its plugin.
pub type Slot<P> = RefCell<Option<P>>;

/// What a publisher answers.
pub type Asked = Result<Vec<wire::Request>, wire::Fault>;

/// Makes the plugin of this instance.
///
/// # Errors
/// Why the config will not do.
pub fn init<P, C: DeserializeOwned>(
    slot: &'static LocalKey<Slot<P>>,
    config: &str,
    new: fn(C) -> Result<P>,
) -> Result<(), String> {
    let config = config::parse(config).map_err(|fault| fault.to_string())?;
    let plugin = new(config).map_err(|error| error.to_string())?;
    slot.set(Some(plugin));
    Ok(())
}

/// One call of a filter.
///
/// # Errors
/// As the plugin says.
pub fn filter<P: Filter>(slot: &'static LocalKey<Slot<P>>, payload: Vec<u8>) -> Result<wire::Verdict, wire::Fault> {
    let verdict = with(slot, |plugin| plugin.filter(Message::of_call(payload)))?;
    Ok(verdict.into())
}

/// The first call of a publisher for a message.
///
/// # Errors
/// As the plugin says.
pub fn publish<P: Publisher>(slot: &'static LocalKey<Slot<P>>, payload: Vec<u8>) -> Asked {
    let requests = with(slot, |plugin| plugin.publish(&Message::of_call(payload)))?;
    Ok(requests.into_iter().map(Into::into).collect())
}

/// The further calls of a publisher for a message.
///
/// # Errors
/// As the plugin says.
pub fn answered<P: Publisher>(slot: &'static LocalKey<Slot<P>>, payload: Vec<u8>, replies: Vec<wire::Reply>) -> Asked {
    let replies: Vec<Reply> = replies.into_iter().map(Into::into).collect();
    let requests = with(slot, |plugin| plugin.answered(&Message::of_call(payload), &replies))?;
    Ok(requests.into_iter().map(Into::into).collect())
}

/// What a publisher of batches answers.
pub type Planned = Result<wire::BatchAnswer, wire::Fault>;

/// The first call of a publisher for a batch.
///
/// # Errors
/// As the plugin says.
pub fn publish_batch<P: BatchPublisher>(
    slot: &'static LocalKey<Slot<P>>,
    messages: Vec<wire::BatchedMessage>,
) -> Planned {
    let messages = batch(messages, 0);
    let plan = with(slot, |plugin| plugin.publish_batch(&messages))?;
    Ok(plan.into())
}

/// The further calls of a publisher for a batch.
///
/// # Errors
/// As the plugin says.
pub fn answered_batch<P: BatchPublisher>(
    slot: &'static LocalKey<Slot<P>>,
    messages: Vec<wire::BatchedMessage>,
    replies: Vec<wire::BatchedReply>,
) -> Planned {
    let messages = batch(messages, bindings::envelope::round());
    let replies: Vec<BatchedReply> = replies.into_iter().map(Into::into).collect();
    let plan = with(slot, |plugin| plugin.answered_batch(&messages, &replies))?;
    Ok(plan.into())
}

fn batch(messages: Vec<wire::BatchedMessage>, round: u32) -> Vec<Message> {
    messages.into_iter().map(|message| Message::of_batch(message, round)).collect()
}

impl From<Plan> for wire::BatchAnswer {
    fn from(plan: Plan) -> Self {
        let Plan { requests, faults } = plan;
        let request = |(request, carries): (Request, Vec<usize>)| wire::BatchedRequest {
            request: request.into(),
            carries: carries.into_iter().map(place).collect(),
        };
        Self {
            requests: requests.into_iter().map(request).collect(),
            faults: faults.into_iter().map(|(index, error)| (place(index), error.into())).collect(),
        }
    }
}

/// What is no place in any batch stays none.
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl From<wire::BatchedReply> for BatchedReply {
    fn from(reply: wire::BatchedReply) -> Self {
        let carries = reply.carries.into_iter().filter_map(|place| usize::try_from(place).ok());
        Self::new(reply.reply.into(), carries)
    }
}

fn with<P, T>(slot: &'static LocalKey<Slot<P>>, call: impl FnOnce(&mut P) -> Result<T>) -> Result<T> {
    slot.with_borrow_mut(|plugin| {
        plugin.as_mut().map_or_else(|| Err(Error::reject("a message came before `init`")), call)
    })
}

/// Milliseconds as the host counts them; what does not fit is as good as for ever.
fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

impl From<Error> for wire::Fault {
    fn from(error: Error) -> Self {
        if error.is_retry() {
            Self::Retry(wire::Advice { after_ms: error.pause().map(millis), reason: error.into_reason() })
        } else {
            Self::Reject(error.into_reason())
        }
    }
}

impl From<Verdict> for wire::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Replace(change) => Self::Replace(change.into()),
            Verdict::Split(children) => Self::Split(children.into_iter().map(Into::into).collect()),
            Verdict::Drop(reason) => Self::Drop(reason),
        }
    }
}

impl From<Change> for wire::Change {
    fn from(change: Change) -> Self {
        Self { topic: change.topic, headers: change.headers, payload: change.payload }
    }
}

impl From<Request> for wire::Request {
    fn from(request: Request) -> Self {
        match request {
            Request::Http(request) => Self::Http(request.into()),
            Request::Redis(words) => Self::Redis(words),
            Request::File(append) => Self::File(append.into()),
            Request::WebSocket(send) => Self::Websocket(send.into()),
            Request::RedisWithSettling(words) => Self::RedisWithSettling(words),
        }
    }
}

impl From<HttpRequest> for wire::HttpRequest {
    fn from(HttpRequest { method, url, headers, body, timeout }: HttpRequest) -> Self {
        Self { method, url, headers, body: body.into(), timeout_ms: timeout.map(millis) }
    }
}

impl From<WebSocketSend> for wire::WebsocketSend {
    fn from(WebSocketSend { url, headers, subprotocols, body, binary, expect, timeout }: WebSocketSend) -> Self {
        let (body, timeout_ms) = (body.into(), timeout.map(millis));
        Self { url, headers, subprotocols, body, binary, expect, timeout_ms }
    }
}

impl From<FileAppend> for wire::FileAppend {
    fn from(FileAppend { dir, path, line, rotation, durability }: FileAppend) -> Self {
        let seconds = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
        let rotation =
            wire::Rotation { bytes: rotation.bytes, every_s: rotation.every.map(seconds), keep: rotation.keep };
        let sync = match durability {
            Durability::Never => wire::Sync::Never,
            Durability::Within(time) => wire::Sync::WithinMs(millis(time)),
            Durability::Always => wire::Sync::Always,
        };
        Self { dir, path, line, rotation, sync }
    }
}

impl From<Body> for wire::Body {
    fn from(body: Body) -> Self {
        match body {
            Body::Payload => Self::Payload,
            Body::Bytes(bytes) => Self::Bytes(bytes),
            Body::Empty => Self::Empty,
            Body::Template(bytes) => Self::Template(bytes),
        }
    }
}

impl From<wire::Reply> for Reply {
    fn from(reply: wire::Reply) -> Self {
        match reply {
            wire::Reply::Http(Ok(wire::HttpReply { status, headers, body })) => {
                Self::Http(Ok(HttpReply { status, headers, body }))
            }
            wire::Reply::Http(Err(failure)) => Self::Http(Err(failure.into())),
            wire::Reply::Redis(Ok(values)) => Self::Redis(Ok(whole(&mut values.into_iter()))),
            wire::Reply::Redis(Err(failure)) => Self::Redis(Err(failure.into())),
            wire::Reply::File(written) => Self::File(written.map_err(Into::into)),
            wire::Reply::Websocket(answer) => Self::WebSocket(answer.map_err(Into::into)),
        }
    }
}

/// The next of `values` with all that it holds, which follows it.
fn whole(values: &mut impl Iterator<Item = wire::RedisValue>) -> RedisValue {
    match values.next() {
        None | Some(wire::RedisValue::Nil) => RedisValue::Nil,
        Some(wire::RedisValue::Number(number)) => RedisValue::Number(number),
        Some(wire::RedisValue::Bytes(bytes)) => RedisValue::Bytes(bytes),
        Some(wire::RedisValue::Items(count)) => RedisValue::List((0..count).map(|_| whole(values)).collect()),
    }
}

impl From<wire::Failure> for Failure {
    fn from(failure: wire::Failure) -> Self {
        match failure {
            wire::Failure::Denied(reason) => Self::Denied(reason),
            wire::Failure::Invalid(reason) => Self::Invalid(reason),
            wire::Failure::Unreachable(reason) => Self::Unreachable(reason),
            wire::Failure::TooLarge(reason) => Self::TooLarge(reason),
        }
    }
}
