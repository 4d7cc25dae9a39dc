//! A plugin's request as the one that is sent, or why it cannot be.

use super::{
    coding,
    grant::Grants,
    place::{Cut, Place},
    secrets,
};
use crate::{
    config::Secrets,
    request::{Failure, HttpRequest},
};
use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, Uri,
    header::{self, HeaderName, HeaderValue},
};
use sha2::{Digest, Sha256};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Of a key that is sent as it is, in bytes: servers keep them in columns of 255.
const LONGEST_KEY: usize = 255;
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("gristmill/", env!("CARGO_PKG_VERSION")));

/// A request as it is sent.
pub(super) struct Outgoing {
    /// How failures name it.
    pub(super) place: Place,
    /// Boxed, as it is large, and gone while its reply is waited for.
    pub(super) request: Box<Request<Bytes>>,
    /// Whether it holds a secret.
    pub(super) secret: bool,
    /// Whether the reply is to be unpacked: the plugin did not ask for packed ones itself, or it has to be searched for secrets.
    pub(super) unpack: bool,
}

/// The request that `wanted` describes.
pub(super) fn prepare(
    grants: &Grants,
    secrets: &Secrets,
    idempotency_key: Option<&str>,
    wanted: HttpRequest,
) -> Result<Outgoing, Failure> {
    let method = method(&wanted.method)?;
    let uri = uri(&method, &wanted.url)?;
    let place = Place { method, uri };
    check_target(&place, grants)?;
    let url = secrets::url(&place, secrets)?;
    let mut headers = headers(&place, secrets, idempotency_key, wanted.headers, wanted.body.is_empty())?;
    let asks_for_coding = headers.contains_key(header::ACCEPT_ENCODING);
    // A part of a body is no body that could be unpacked.
    if !asks_for_coding && !headers.contains_key(header::RANGE) {
        let gzip = HeaderValue::from_static(coding::GZIP);
        headers.try_insert(header::ACCEPT_ENCODING, gzip).map_err(|_| place.invalid("too many headers"))?;
    }
    let filled = if wanted.template { secrets.reveal_bytes(&wanted.body).map(Bytes::from) } else { None };
    let secret = url.is_some() || filled.is_some() || headers.values().any(HeaderValue::is_sensitive);
    let unpack = secret || !asks_for_coding;
    let mut request = Request::new(filled.unwrap_or(wanted.body));
    *request.method_mut() = place.method.clone();
    *request.uri_mut() = url.unwrap_or_else(|| place.uri.clone());
    *request.headers_mut() = headers;
    Ok(Outgoing { place, request: Box::new(request), secret, unpack })
}

/// The port that a connection for `uri` goes to.
pub(in crate::effect) fn port(uri: &Uri) -> u16 {
    let is_secure = |scheme: &str| scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss");
    let usual = if uri.scheme_str().is_some_and(is_secure) { 443 } else { 80 };
    uri.port_u16().unwrap_or(usual)
}

fn method(wanted: &str) -> Result<Method, Failure> {
    match Method::from_bytes(wanted.as_bytes()) {
        // A tunnel is no exchange: it has no reply to hand back.
        Ok(Method::CONNECT) | Err(_) => {
            Err(Failure::Invalid(format!("`{}` is not a method that can be sent", Cut(wanted))))
        }
        Ok(method) => Ok(method),
    }
}

fn uri(method: &Method, wanted: &str) -> Result<Uri, Failure> {
    Uri::try_from(wanted).map_err(|cause| {
        // Where user-info ends cannot be told in what is no URL, so nothing of one that may have any is shown.
        let shown = if wanted.contains('@') { "…" } else { wanted.split(['?', '#']).next().unwrap_or_default() };
        Failure::Invalid(format!("{}: `{}` is not a URL: {cause}", Cut(method.as_str()), Cut(shown)))
    })
}

fn check_target(place: &Place, grants: &Grants) -> Result<(), Failure> {
    let uri = &place.uri;
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return Err(place.invalid("the URL names no host"));
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(place.invalid("the URL is neither `http` nor `https`"));
    }
    if authority.as_str().contains('@') {
        return Err(place.invalid("the URL holds user-info, send an `authorization` header instead"));
    }
    // A port that is no number up to 65535 would otherwise be taken for an absent one.
    let port_length = authority.port().map_or(0, |port| port.as_str().len() + 1);
    if authority.as_str().len() != authority.host().len() + port_length {
        return Err(place.invalid("the URL's port is not a number up to 65535"));
    }
    let (host, port) = (authority.host(), port(uri));
    if !grants.admit(host, port) {
        return Err(place.denied(format_args!("`allow_http` does not name `{}:{port}`", Cut(host))));
    }
    Ok(())
}

fn headers(
    place: &Place,
    secrets: &Secrets,
    idempotency_key: Option<&str>,
    wanted: Vec<(String, String)>,
    empty: bool,
) -> Result<HeaderMap, Failure> {
    let too_many = |_| place.invalid("too many headers");
    let mut headers = HeaderMap::try_with_capacity(wanted.len() + 5).map_err(too_many)?;
    for (name, value) in wanted {
        let (name, value) = plugin_header(place, secrets, &name, value)?;
        headers.try_append(name, value).map_err(too_many)?;
    }
    if let Some(key) = idempotency_key
        && !headers.contains_key(&IDEMPOTENCY_KEY)
    {
        let key = idempotency(key).ok_or_else(|| unusable(place, IDEMPOTENCY_KEY.as_str()))?;
        headers.try_append(IDEMPOTENCY_KEY, key).map_err(too_many)?;
    }
    if !headers.contains_key(header::USER_AGENT) {
        headers.try_append(header::USER_AGENT, USER_AGENT).map_err(too_many)?;
    }
    // hyper says how long a body is only where there is one, but these methods are expected to have one (RFC 9110, section 8.6).
    if empty && matches!(place.method, Method::POST | Method::PUT | Method::PATCH) {
        headers.try_append(header::CONTENT_LENGTH, HeaderValue::from_static("0")).map_err(too_many)?;
    }
    Ok(headers)
}

/// `key` as a header's value. Ids that others choose may hold anything and be of any length: then it is their SHA-256.
fn idempotency(key: &str) -> Option<HeaderValue> {
    let plain = key.len() <= LONGEST_KEY && key.bytes().all(|byte| byte.is_ascii_graphic());
    let digest = || Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(if plain { key.to_owned() } else { digest() }).ok()
}

/// One that holds a secret is marked as sensitive.
fn plugin_header(
    place: &Place,
    secrets: &Secrets,
    name: &str,
    value: String,
) -> Result<(HeaderName, HeaderValue), Failure> {
    let Ok(known) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err(place.invalid(format_args!("`{}` is not a header name", Cut(name))));
    };
    if belongs_to_the_connection(&known) {
        return Err(place.invalid(format_args!("the header `{known}` is the host's to set")));
    }
    let revealed = secrets.reveal(&value);
    let secret = revealed.is_some();
    let mut value = HeaderValue::try_from(revealed.unwrap_or(value)).map_err(|_| unusable(place, name))?;
    value.set_sensitive(secret);
    Ok((known, value))
}

/// Names the header only: its value may be a secret.
fn unusable(place: &Place, name: &str) -> Failure {
    place.invalid(format_args!("the value of the header `{}` cannot be sent", Cut(name)))
}

/// Headers that say where a message goes, where it ends, or how the connection is used (RFC 9110, section 7.6.1).
/// From a plugin they could smuggle a second request past the grants.
fn belongs_to_the_connection(name: &HeaderName) -> bool {
    const MORE: [&str; 3] = ["keep-alive", "proxy-connection", "http2-settings"];
    matches!(
        *name,
        header::CONNECTION
            | header::CONTENT_LENGTH
            | header::EXPECT
            | header::HOST
            | header::PROXY_AUTHORIZATION
            | header::TE
            | header::TRAILER
            | header::TRANSFER_ENCODING
            | header::UPGRADE
    ) || MORE.contains(&name.as_str())
}
