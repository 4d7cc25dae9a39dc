//! One tried message as JSON, for programs.

use super::{
    bench::{Broke, End, Exchange, Tried},
    diff::{self, Edit, Payload},
    text::failure_name,
};
use crate::{
    cli::payload,
    message::Message,
    plugin::Said,
    request::{HttpReply, RedisValue, Reply, Request},
};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Everything about `tried`; what does not apply is left out.
pub(super) fn object(tried: &Tried) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
    put("id", (*tried.message.id).into());
    put("verdict", tried.end.verdict().to_string().into());
    if let Some(reason) = tried.end.reason() {
        put("reason", reason.into());
    }
    if let End::Retry { after: Some(after), .. } = &tried.end {
        put("after_ms", millis(*after));
    }
    if !tried.end.messages().is_empty() {
        put("messages", tried.end.messages().iter().map(|after| changed(&tried.message, after)).collect());
    }
    if !tried.rounds.is_empty() {
        put("rounds", tried.rounds.iter().map(|exchanges| round(exchanges)).collect());
    }
    if let Some(size) = tried.batch {
        put("batch", size.into());
    }
    if let Some(Broke { size, reason }) = &tried.broke {
        put("batch_broke", json!({ "messages": size, "reason": reason }));
    }
    put("log", log(&tried.said));
    if tried.said.more > 0 {
        put("log_more", tried.said.more.into());
    }
    if let Some(start) = tried.start {
        put("start_us", micros(start));
    }
    put("time_us", micros(tried.took));
    if let Some(memory) = tried.memory {
        put("memory_bytes", memory.into());
    }
    Value::Object(object)
}

/// A message that goes on, and how it differs from the one that came.
fn changed(before: &Message, after: &Message) -> Value {
    let headers: Vec<_> = after.headers.iter().map(|(name, value)| json!([name, value])).collect();
    let mut object = json!({ "id": *after.id, "topic": *after.topic, "headers": headers });
    let (key, payload) = payload::for_json(&after.payload);
    let mut changes = json!({});
    if let Some((before, after)) = diff::topic(before, after) {
        put(&mut changes, "topic", json!({ "before": before, "after": after }));
    }
    let headers = diff::headers(before, after);
    if !headers.is_empty() {
        put(&mut changes, "headers", json!(headers));
    }
    if let Some(payload) = payload_changes(&before.payload, &after.payload) {
        put(&mut changes, "payload", payload);
    }
    put(&mut object, key, payload.into());
    put(&mut object, "changes", changes);
    object
}

fn payload_changes(before: &[u8], after: &[u8]) -> Option<Value> {
    match diff::payload(before, after) {
        Payload::Same => None,
        Payload::SameValues => Some(json!([])),
        Payload::Json(changes) => Some(json!(changes)),
        Payload::Lines(edits) => Some(edits.iter().map(edit).collect()),
        Payload::Bytes(same) => {
            Some(json!({ "same_bytes": same, "before_bytes": before.len(), "after_bytes": after.len() }))
        }
    }
}

fn edit(edit: &Edit) -> Value {
    match edit {
        Edit::Removed(line) => json!({ "removed": line }),
        Edit::Added(line) => json!({ "added": line }),
        Edit::Kept(count) => json!({ "kept": count }),
    }
}

fn round(exchanges: &[Exchange]) -> Value {
    json!({
        "requests": exchanges.iter().map(carrying).collect::<Vec<_>>(),
        "replies": exchanges.iter().map(|exchange| reply(&exchange.reply)).collect::<Vec<_>>(),
    })
}

/// The request, and which messages of a batch it is for.
fn carrying(exchange: &Exchange) -> Value {
    let mut object = request(&exchange.request);
    if !exchange.carries.is_empty() {
        put(&mut object, "carries", exchange.carries.iter().map(|id| &**id).collect());
    }
    object
}

fn request(request: &Request) -> Value {
    let text =
        |words: &[Bytes]| words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>();
    let http = match request {
        Request::Http(http) => http,
        Request::Redis(words) => return json!({ "redis": text(words) }),
        Request::RedisWithSettling(words) => return json!({ "redis_with_settling": text(words) }),
        Request::WebSocket(send) => {
            let mut object = json!({ "websocket": send.url, "expect": send.expect });
            put_body(&mut object, &send.body);
            return object;
        }
        Request::File(append) => {
            let mut object = json!({ "file": format!("{}/{}", append.dir, append.path) });
            put_body(&mut object, &append.line);
            return object;
        }
    };
    let mut object = json!({ "method": http.method, "url": http.url, "headers": http.headers });
    put_body(&mut object, &http.body);
    if let Some(timeout) = http.timeout {
        put(&mut object, "timeout_ms", millis(timeout));
    }
    object
}

fn reply(reply: &Reply) -> Value {
    match reply {
        Reply::Http(Err(failure))
        | Reply::Redis(Err(failure))
        | Reply::File(Err(failure))
        | Reply::WebSocket(Err(failure)) => {
            json!({ "failure": failure_name(failure), "reason": failure.to_string() })
        }
        Reply::WebSocket(Ok(answer)) => {
            let mut object = json!({ "websocket": "OK" });
            if let Some(answer) = answer {
                put_body(&mut object, answer);
            }
            object
        }
        Reply::Http(Ok(HttpReply { status, headers, body })) => {
            let mut object = json!({ "status": status, "headers": headers });
            put_body(&mut object, body);
            object
        }
        Reply::Redis(Ok(value)) if *value == RedisValue::queued() => json!({ "redis": "QUEUED" }),
        Reply::Redis(Ok(_)) => json!({ "redis": "OK" }),
        Reply::File(Ok(())) => json!({ "file": "OK" }),
    }
}

fn put_body(object: &mut Value, body: &[u8]) {
    let (key, body) = payload::for_json(body);
    put(object, if key == "payload" { "body" } else { "body_base64" }, body.into());
}

fn log(said: &Said) -> Value {
    let lines = said.lines.iter();
    lines.map(|line| json!({ "level": line.loudness.to_string(), "text": line.text })).collect()
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// With the fraction: many calls take less than one.
fn micros(time: Duration) -> Value {
    (time.as_nanos() as f64 / 1e3).into()
}

fn millis(time: Duration) -> Value {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).into()
}
