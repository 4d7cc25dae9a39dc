//! Secrets on their way out, and what a server says of them on the way back.
//!
//! They go where the stand-ins were, in a request whose target has been checked already: never into the part of a URL that says
//! where the request goes. Nobody follows a redirect but the plugin, with another request under the same rules.

use super::place::Place;
use crate::{
    config::Secrets,
    request::{Failure, HttpReply},
};
use hyper::{Uri, http::uri::PathAndQuery};

/// The URL of `place` with the secrets in it, if it names any.
pub(super) fn url(place: &Place, secrets: &Secrets) -> Result<Option<Uri>, Failure> {
    let path = place.uri.path_and_query().and_then(|path| secrets.reveal(path.as_str()));
    let Some(path) = path else { return Ok(None) };
    let unfit = || place.invalid("a secret in it cannot stand in a URL as it is, it has to be percent-encoded");
    // What follows a `#` would be cut off without a word.
    if path.contains('#') {
        return Err(unfit());
    }
    let mut parts = place.uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| unfit())?);
    Uri::from_parts(parts).map(Some).map_err(|_| unfit())
}

/// `failure` with names for the secrets and their stand-ins: it is read by the plugin, and stands in logs and dead letters.
pub(super) fn veiled(failure: Failure, secrets: &Secrets) -> Failure {
    failure.reworded(|text| secrets.hide(text).into_owned())
}

/// `reply` without the secrets that the server said back, which it may do in an error or in a redirect.
pub(super) fn unsaid(mut reply: HttpReply, secrets: &Secrets) -> HttpReply {
    for (_, value) in &mut reply.headers {
        if let Some(hidden) = secrets.hide_bytes(value.as_bytes()) {
            *value = String::from_utf8_lossy(&hidden).into_owned();
        }
    }
    if let Some(hidden) = secrets.hide_bytes(&reply.body) {
        reply.body = hidden.into();
    }
    reply
}
