//! Publishing and statistics: `/pub?id=` and `/channels-stats`.

use super::{path, stats};
use crate::edge::{
    access::Rights,
    head::{Head, argument},
    hub::{Draft, Refused},
    message::More,
    settings::Settings,
    shard::Shard,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use std::rc::Rc;
use tokio::time::timeout;

const EXPLAIN: HeaderName = HeaderName::from_static("x-nginx-pushstream-explain");

/// Why a request is not done, in the words that clients know.
struct Not(StatusCode, &'static str);

/// Answers a request of this dialect that reads no channels.
pub(in crate::edge) async fn answer(
    shard: &Rc<Shard>,
    parts: &Parts,
    head: &Head,
    body: Incoming,
) -> Response<Full<Bytes>> {
    let publishes = head.path.trim_end_matches('/') == "/pub";
    let answered = match (publishes, &parts.method) {
        (_, &Method::OPTIONS) => Ok(Response::default()),
        (true, &Method::POST | &Method::PUT) => publish(shard, head, body).await.map(json),
        (true, &Method::GET) => channels(shard, head).map(json),
        (false, &Method::GET) => statistics(shard, head).map(json),
        _ => Err(Not(StatusCode::METHOD_NOT_ALLOWED, "")),
    };
    let mut response = answered.unwrap_or_else(|not| refused(&not, publishes));
    for (name, value) in [
        (header::EXPIRES, "Thu, 01 Jan 1970 00:00:01 GMT"),
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn publish(shard: &Rc<Shard>, head: &Head, body: Incoming) -> Result<String, Not> {
    let names = named(head)?;
    let settings = shard.settings().clone();
    check(&settings, head, names.iter().map(String::as_str))?;
    let data = whole(&settings, body).await?;
    let more = head.header("event-id").map(|id| Box::new(More { key: Some(id.into()) }));
    let event = head.header("event-type").filter(|event| !event.is_empty()).map(Into::into);
    let hub = &shard.shared().hub;
    for name in &names {
        let draft = Draft { event: event.clone(), data: data.clone(), more: more.clone() };
        hub.publish_draft(name, draft).await.map_err(|refused| match refused {
            Refused::Full => Not(StatusCode::FORBIDDEN, "Number of channels were exceeded."),
            Refused::Name => Not(StatusCode::BAD_REQUEST, "Channel id is too large."),
            Refused::Busy | Refused::Ended => Not(StatusCode::SERVICE_UNAVAILABLE, "The node ends."),
        })?;
    }
    Ok(told(shard, &names).unwrap_or_default())
}

/// The body, which is text.
async fn whole(settings: &Settings, body: Incoming) -> Result<Bytes, Not> {
    let limit = settings.edge.limits.message_bytes;
    let read = timeout(settings.edge.timeouts.body, Limited::new(body, limit).collect()).await;
    let data = read
        .map_err(|_| Not(StatusCode::REQUEST_TIMEOUT, "The body takes too long."))?
        .map_err(|_| Not(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."))?
        .to_bytes();
    if data.is_empty() {
        return Err(Not(StatusCode::BAD_REQUEST, "Empty post requests are not allowed."));
    }
    match std::str::from_utf8(&data) {
        Ok(_) => Ok(data),
        Err(_) => Err(Not(StatusCode::BAD_REQUEST, "The body is no text in UTF-8.")),
    }
}

fn channels(shard: &Shard, head: &Head) -> Result<String, Not> {
    let names = named(head)?;
    check(&shard.settings(), head, names.iter().map(String::as_str))?;
    told(shard, &names).ok_or(Not(StatusCode::NOT_FOUND, ""))
}

/// Nothing where one channel is asked for that is not there.
fn told(shard: &Shard, names: &[String]) -> Option<String> {
    let hub = &shard.shared().hub;
    match names {
        [name] => hub.figures(name).map(|figures| stats::one(name, &figures) + "\r\n"),
        names => {
            let known = names.iter().filter_map(|name| Some((name.as_str().into(), hub.figures(name)?)));
            Some(stats::several(&shard.shared().hub.all().0, &known.collect::<Vec<_>>(), shard.shared().uptime()))
        }
    }
}

fn statistics(shard: &Shard, head: &Head) -> Result<String, Not> {
    let settings = shard.settings();
    let hub = &shard.shared().hub;
    let uptime = shard.shared().uptime();
    let id = argument(&head.query, "id").filter(|id| !id.is_empty());
    let begins = match id.as_deref() {
        Some("ALL") => Some(""),
        Some(id) => id.strip_suffix('*'),
        None => None,
    };
    match (id.as_deref(), begins) {
        (None, _) => {
            check(&settings, head, ["*"])?;
            Ok(stats::summary(&hub.all().0, uptime))
        }
        (Some(id), Some(begins)) => {
            check(&settings, head, [if id == "ALL" { "*" } else { id }])?;
            let (all, mut channels) = hub.all();
            channels.retain(|(name, _)| name.starts_with(begins));
            Ok(stats::several(&all, &channels, uptime))
        }
        (Some(_), None) => channels(shard, head),
    }
}

fn named(head: &Head) -> Result<Vec<String>, Not> {
    let id = argument(&head.query, "id").unwrap_or_default();
    let named = path::channels(&id).map_err(|unnamed| {
        let (status, why) = unnamed.told();
        Not(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), why)
    })?;
    Ok(named.into_iter().map(|(name, _)| name).collect())
}

/// Who may publish to a channel may ask how many read it.
fn check<'a>(settings: &Settings, head: &Head, channels: impl IntoIterator<Item = &'a str>) -> Result<(), Not> {
    if settings.edge.push_stream.as_ref().is_some_and(|dialect| dialect.open) {
        return Ok(());
    }
    let invalid = |_| Not(StatusCode::UNAUTHORIZED, "The token is not valid.");
    let rights: Rights = settings.access.rights(head).map_err(invalid)?;
    match channels.into_iter().all(|channel| rights.may_publish(channel)) {
        true => Ok(()),
        false if rights.until.is_none() => Err(Not(StatusCode::UNAUTHORIZED, "A token has to name the channel.")),
        false => Err(Not(StatusCode::FORBIDDEN, "Channel id not authorized for this method.")),
    }
}

fn json(text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refused(Not(status, why): &Not, publishes: bool) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = *status;
    if !why.is_empty() {
        response.headers_mut().insert(EXPLAIN, HeaderValue::from_static(why));
    }
    if *status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = if publishes { "GET, POST, PUT" } else { "GET" };
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    }
    response
}
