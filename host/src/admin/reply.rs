//! What answers are made of.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use serde::Serialize;
use serde_json::json;
use std::convert::Infallible;

/// An answer, whole or in the making.
pub(super) type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// An answer with this body, which nobody is to keep or to take for something else.
pub(super) fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    with(status, kind, Full::new(body.into()).boxed_unsync())
}

/// The same with a body that is still in the making.
pub(super) fn with(status: StatusCode, kind: &'static str, body: UnsyncBoxBody<Bytes, Infallible>) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// A value.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => whole(status, JSON, body),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()).reply(),
    }
}

/// What went wrong, in a sentence.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    error: String,
}

pub(super) fn problem(status: StatusCode, error: &str) -> Problem {
    Problem { status, error: error.to_owned() }
}

impl Problem {
    pub(super) fn reply(&self) -> Reply {
        whole(self.status, JSON, json!({ "error": self.error }).to_string())
    }
}
