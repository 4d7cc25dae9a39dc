//! How much a plugin may answer: bytes, messages, requests, and words about what went wrong.

use super::{console::prefix, fault::beyond};
use crate::{
    config::Limits,
    message::{Change, Fault, Limit, Message, Verdict},
    request::{BatchAnswer, Batched, Request},
};
use bytes::Bytes;

/// Bytes of a reason that a plugin gives; what is beyond is cut.
const REASON_BYTES: usize = 4096;
/// Bytes that one call may hand over beside an answer: lists, and what goes to the host's own functions.
const ASIDE: usize = 1 << 20;
/// Headers that one message may be given or lose at once: each is compared with all others.
const HEADERS: usize = 1_000;
/// Bytes that one child or request takes before anything is in it.
const EACH: usize = 128;

/// Bytes one call may hand to the host in all; a list of a thousand names for the same bytes costs a thousand times.
pub(super) fn bytes_per_call(limits: &Limits) -> usize {
    let records = limits.children.saturating_add(limits.requests).saturating_mul(EACH);
    bytes(limits).saturating_add(ASIDE).saturating_add(records)
}

/// `verdict`, if that is within `limits`.
pub(super) fn verdict(limits: &Limits, verdict: Verdict) -> Result<Verdict, Fault> {
    match &verdict {
        Verdict::Pass => {}
        Verdict::Drop(None) => {}
        Verdict::Drop(Some(reason)) => return Ok(Verdict::Drop(Some(shortened(reason)))),
        Verdict::Replace(change) => {
            allowed_headers(change)?;
            allowed_bytes(limits, change_bytes(change))?;
        }
        Verdict::Split(changes) => {
            if changes.len() > limits.children {
                return Err(too_many_children(limits, changes.len()));
            }
            changes.iter().try_for_each(allowed_headers)?;
            allowed_bytes(limits, changes.iter().map(change_bytes).sum())?;
        }
    }
    Ok(verdict)
}

/// The requests made for `message`, if they are within `limits`.
pub(super) fn requests(limits: &Limits, message: &Message, requests: Vec<Request>) -> Result<Vec<Request>, Fault> {
    if requests.len() > limits.requests {
        return Err(too_many_requests(limits, requests.len()));
    }
    allowed_bytes(limits, requests_bytes(&requests, message))?;
    Ok(requests)
}

/// The answer for a batch, if it is within `limits`.
pub(super) fn batch(limits: &Limits, messages: &[&Message], answer: BatchAnswer) -> Result<BatchAnswer, Fault> {
    if answer.requests.len() > limits.requests {
        return Err(too_many_requests(limits, answer.requests.len()));
    }
    allowed_bytes(limits, batch_bytes(&answer, messages))?;
    Ok(answer)
}

/// `fault` with no more words than anybody reads.
pub(super) fn fault(fault: Fault) -> Fault {
    fault.reworded(shortened)
}

/// A reason of which no more is left than anybody reads.
pub(super) fn shortened(reason: &str) -> String {
    prefix(reason, REASON_BYTES).to_owned()
}

/// One message has become so many.
pub(super) fn too_many_children(limits: &Limits, count: usize) -> Fault {
    let most = limits.children;
    beyond(Limit::Children, format!("made {count} messages of one, more than the {most} that `limits.children` allows"))
}

/// So many requests were asked for, for one message.
pub(super) fn too_many_requests(limits: &Limits, count: usize) -> Fault {
    let most = limits.requests;
    beyond(
        Limit::Requests,
        format!("asked for {count} requests for one message, more than the {most} that `limits.requests` allows"),
    )
}

/// Requests were asked for once more than they may be.
pub(super) fn too_many_rounds(limits: &Limits) -> Fault {
    let most = limits.rounds;
    beyond(
        Limit::Rounds,
        format!("still asked for requests after the {most} rounds for one message that `limits.rounds` allows"),
    )
}

/// More bytes than an answer may have were on their way.
pub(super) fn too_long(limits: &Limits) -> Fault {
    let kib = limits.answer_kib;
    beyond(Limit::Answer, format!("answered with more bytes than `limits.answer_kib` = {kib} allows"))
}

/// Bytes of one answer.
pub(super) fn bytes(limits: &Limits) -> usize {
    usize::try_from(limits.answer_kib).unwrap_or(usize::MAX).saturating_mul(1 << 10)
}

fn allowed_bytes(limits: &Limits, found: usize) -> Result<(), Fault> {
    if found <= bytes(limits) {
        return Ok(());
    }
    let kib = limits.answer_kib;
    Err(beyond(Limit::Answer, format!("answered with {found} bytes, more than `limits.answer_kib` = {kib} allows")))
}

fn allowed_headers(change: &Change) -> Result<(), Fault> {
    match change.headers.len() {
        ..=HEADERS => Ok(()),
        count => Err(beyond(
            Limit::Answer,
            format!("answered with {count} headers for one message, more than the {HEADERS} that are allowed"),
        )),
    }
}

/// Bytes that `verdict` brought back.
pub(super) fn verdict_bytes(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Replace(change) => change_bytes(change),
        Verdict::Split(changes) => changes.iter().map(change_bytes).sum(),
        Verdict::Pass | Verdict::Drop(_) => 0,
    }
}

/// Bytes that the answer for a batch brought back.
pub(super) fn batch_bytes(answer: &BatchAnswer, messages: &[&Message]) -> usize {
    let bytes = |Batched { what, carries }: &Batched<Request>| {
        carries.first().and_then(|first| messages.get(*first)).map_or(0, |message| request_bytes(what, message))
    };
    answer.requests.iter().map(bytes).sum()
}

/// Bytes that the requests made for `message` brought back.
pub(super) fn requests_bytes(requests: &[Request], message: &Message) -> usize {
    requests.iter().map(|request| request_bytes(request, message)).sum()
}

fn change_bytes(change: &Change) -> usize {
    let headers = change.headers.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len));
    let topic = change.topic.as_ref().map_or(0, String::len);
    topic + headers.sum::<usize>() + change.payload.as_ref().map_or(0, Bytes::len)
}

/// A body that is the payload of `message` is shared, however many requests have it.
fn request_bytes(request: &Request, message: &Message) -> usize {
    let own = |bytes: &Bytes| if bytes.as_ptr() == message.payload.as_ptr() { 0 } else { bytes.len() };
    match request {
        Request::Http(http) => {
            let headers = http.headers.iter().map(|(name, value)| name.len() + value.len());
            http.method.len() + http.url.len() + headers.sum::<usize>() + own(&http.body)
        }
        Request::Redis(words) | Request::RedisWithSettling(words) => words.iter().map(Bytes::len).sum(),
        Request::WebSocket(send) => {
            let headers = send.headers.iter().map(|(name, value)| name.len() + value.len());
            let subprotocols = send.subprotocols.iter().map(String::len);
            send.url.len() + headers.chain(subprotocols).sum::<usize>() + own(&send.body)
        }
        Request::File(append) => append.dir.len() + append.path.len() + own(&append.line),
    }
}
