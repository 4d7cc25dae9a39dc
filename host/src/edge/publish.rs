//! Publishing by HTTP: `POST /publish/CHANNEL` with a token, the body being the message; and what pages ask before they may ask.

use super::{
    access::{Origin, Rights},
    head::{Bad, Head, argument, channels},
    hub::Refused,
    push_stream,
    shard::Shard,
};
use crate::event;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use std::rc::Rc;
use tokio::time::timeout;

/// Of an event's name, in bytes.
const LONGEST_EVENT: usize = 200;

/// Why something is not published.
struct Not(StatusCode, String);

/// Answers a request that does not read channels.
pub(super) async fn answer(shard: &Rc<Shard>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let head = Head::of(&parts);
    let Some(origin) = shard.settings().access.origin(&head) else {
        return refused(&Not(StatusCode::FORBIDDEN, "pages of this origin may not connect".to_owned()));
    };
    if shard.settings().dialects().push_stream && push_stream::speaks(&head.path) {
        let mut response = push_stream::publish::answer(shard, &parts, &head, body).await;
        if parts.method == Method::OPTIONS {
            offer(response.headers_mut());
        }
        allow(response.headers_mut(), &origin);
        return response;
    }
    let mut response = match (&parts.method, parts.uri.path().strip_prefix("/publish/")) {
        (&Method::OPTIONS, _) => preflight(),
        (&Method::POST, Some(channel)) => match publish(shard, &parts, &head, channel, body).await {
            Ok(id) => json(format!("{{\"id\":\"{id}\"}}\n")),
            Err(not) => {
                event::edge_refused(&shard.shared().told, &not.1);
                refused(&not)
            }
        },
        (_, Some(_)) => {
            let mut response = refused(&Not(StatusCode::METHOD_NOT_ALLOWED, "publish with POST".to_owned()));
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
            response
        }
        _ => refused(&Not(
            StatusCode::NOT_FOUND,
            "here are /sse/CHANNEL, /ws/CHANNEL, /stream/CHANNEL, /poll/CHANNEL and, for POST, /publish/CHANNEL"
                .to_owned(),
        )),
    };
    allow(response.headers_mut(), &origin);
    response
}

async fn publish(shard: &Rc<Shard>, parts: &Parts, head: &Head, channel: &str, body: Incoming) -> Result<String, Not> {
    let bad = |why: &str| Not(StatusCode::BAD_REQUEST, why.to_owned());
    let names = channels(channel).map_err(|Bad { why, .. }| bad(why))?;
    let [channel] = &names[..] else { return Err(bad("a message is published to one channel")) };
    let settings = shard.settings().clone();
    let rights = settings.access.rights(head).map_err(|invalid| Not(StatusCode::UNAUTHORIZED, invalid.to_string()))?;
    may_publish(&rights, channel)?;
    let event = argument(parts.uri.query().unwrap_or_default(), "event").filter(|event| !event.is_empty());
    if event.as_deref().is_some_and(|event| !is_event(event)) {
        return Err(bad("an event's name has at most 200 bytes and no control characters"));
    }
    let limit = settings.edge.limits.message_bytes;
    let read = timeout(settings.edge.timeouts.body, Limited::new(body, limit).collect()).await;
    let slow = |_| Not(StatusCode::REQUEST_TIMEOUT, "the body takes longer than `timeouts.body` allows".to_owned());
    let long = |_| Not(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than `limits.message_kib` allows".to_owned());
    let data = read.map_err(slow)?.map_err(long)?.to_bytes();
    if std::str::from_utf8(&data).is_err() {
        return Err(bad("a message is text in UTF-8"));
    }
    let published = shard.shared().hub.publish(channel, event.as_deref(), data).await;
    published.map_err(|refused| {
        let status = if refused == Refused::Name { StatusCode::BAD_REQUEST } else { StatusCode::SERVICE_UNAVAILABLE };
        Not(status, refused.to_string())
    })
}

fn may_publish(rights: &Rights, channel: &str) -> Result<(), Not> {
    match rights.until {
        _ if rights.may_publish(channel) => Ok(()),
        None => Err(Not(StatusCode::UNAUTHORIZED, "publishing takes a token that names the channel".to_owned())),
        Some(_) => Err(Not(StatusCode::FORBIDDEN, "the token does not let publish to this channel".to_owned())),
    }
}

/// Whether an event can have this name.
pub(super) fn is_event(name: &str) -> bool {
    name.len() <= LONGEST_EVENT && !name.chars().any(char::is_control)
}

/// Source: the Fetch standard, section 3.3.
fn preflight() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    offer(response.headers_mut());
    response
}

/// What a page may send.
fn offer(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, last-event-id, if-modified-since, if-none-match, event-id, event-type",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn allow(headers: &mut HeaderMap, origin: &Origin) {
    match origin {
        Origin::Own => {}
        Origin::Any => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        Origin::This(origin) => {
            let Ok(origin) = HeaderValue::from_str(origin) else { return };
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::VARY, HeaderValue::from_static("origin"));
        }
    }
}

fn json(text: String) -> Response<Full<Bytes>> {
    typed(text, "application/json")
}

fn refused(Not(status, why): &Not) -> Response<Full<Bytes>> {
    let mut response = typed(format!("{why}\n"), "text/plain; charset=utf-8");
    *response.status_mut() = *status;
    if *status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn typed(text: String, kind: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
