//! Which path answers what.

use super::{Window, metrics, status::Status};
use crate::metrics::CONTENT_TYPE;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// The answer to a request. Its body, if it has one, is never read.
pub(super) fn answer<B>(window: &Window, request: &Request<B>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "this can only be read: use GET\n");
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/health/live" => response(StatusCode::OK, TEXT, "live\n"),
        "/metrics" => response(StatusCode::OK, CONTENT_TYPE, metrics::exposition(window)),
        "/status" => match serde_json::to_vec(&Status::of(window)) {
            Ok(status) => response(StatusCode::OK, JSON, status),
            Err(error) => response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
        },
        _ => response(StatusCode::NOT_FOUND, TEXT, "here are /health/live, /metrics and /status\n"),
    }
}

fn response(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
