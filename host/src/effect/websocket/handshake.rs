//! How a WebSocket begins (RFC 6455, section 4).

use super::Target;
use crate::{
    effect::http::{Allowance, Http, Refused, Switched},
    random,
    request::{Failure, HttpRequest, WebSocketSend},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};
use sha1_smol::Sha1;

/// What both sides hash behind the key, so that only who knows WebSockets answers right.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A connection to `target` on which the server speaks WebSocket.
pub(super) async fn open(http: &Http, allowance: &Allowance, target: &Target) -> Result<Switched, Refused> {
    let url = over_http(&target.url)?;
    let invalid = |why: String| Failure::Invalid(format!("{}: {why}", super::shown(&target.url)));
    if let Some((name, _)) = target.headers.iter().find(|(name, _)| is_of_the_handshake(name)) {
        return Err(invalid(format!("the header `{}` is the host's to set", name.escape_debug())).into());
    }
    let key = STANDARD.encode(random::key().first_chunk::<16>().unwrap_or(&[0; 16]));
    let ours = headers(&key, &target.subprotocols).map_err(invalid)?;
    let switched = http.upgrade(allowance, get(url, target.headers.clone()), ours).await?;
    agreed(&switched.headers, &key, &target.subprotocols).map_err(invalid)?;
    Ok(switched)
}

/// Refuses a handshake that is not granted or cannot begin.
pub(super) fn test(allowance: &Allowance, wanted: &WebSocketSend) -> Result<(), Failure> {
    let url = over_http(&wanted.url)?;
    allowance.test(get(url, wanted.headers.clone()))
}

/// Whether the server has agreed to what was asked for, and to nothing else.
fn agreed(headers: &HeaderMap, key: &str, offered: &[String]) -> Result<(), String> {
    let said = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let upgrades = |value: &str| value.split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
    if !said(header::UPGRADE).is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
        || !said(header::CONNECTION).is_some_and(upgrades)
        || said(header::SEC_WEBSOCKET_ACCEPT) != Some(&*accept(key))
    {
        return Err("the server does not speak WebSocket".to_owned());
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Err("the server wants an extension that was not offered".to_owned());
    }
    match said(header::SEC_WEBSOCKET_PROTOCOL) {
        Some(chosen) if !offered.iter().any(|wanted| wanted == chosen) => {
            Err(format!("the server chose the subprotocol `{}`, which was not offered", chosen.escape_debug()))
        }
        None if !offered.is_empty() => Err("the server knows none of the subprotocols that were offered".to_owned()),
        _ => Ok(()),
    }
}

fn over_http(url: &str) -> Result<String, Failure> {
    let rest = |scheme: &str| url.get(..scheme.len()).filter(|known| known.eq_ignore_ascii_case(scheme)).map(str::len);
    let (scheme, length) = match (rest("ws://"), rest("wss://")) {
        (Some(length), _) => ("http://", length),
        (_, Some(length)) => ("https://", length),
        _ => return Err(Failure::Invalid(format!("{}: the URL is neither `ws` nor `wss`", super::shown(url)))),
    };
    Ok([scheme, url.get(length..).unwrap_or_default()].concat())
}

fn get(url: String, headers: Vec<(String, String)>) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), url, headers, body: Bytes::new(), template: false, timeout: None }
}

fn is_of_the_handshake(name: &str) -> bool {
    name.get(..14).is_some_and(|begin| begin.eq_ignore_ascii_case("sec-websocket-"))
}

fn headers(key: &str, subprotocols: &[String]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::try_from(key).map_err(|error| error.to_string())?);
    if !subprotocols.is_empty() {
        let unfit = |_| "a subprotocol cannot be sent as it is".to_owned();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::try_from(subprotocols.join(", ")).map_err(unfit)?);
    }
    Ok(headers)
}

pub(super) fn accept(key: &str) -> String {
    let mut hash = Sha1::from(key);
    hash.update(MAGIC);
    STANDARD.encode(hash.digest().bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_accepted_as_the_rfc_shows_it() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn only_urls_of_websockets_are_taken() {
        assert_eq!(over_http("ws://h:1/a").unwrap(), "http://h:1/a");
        assert_eq!(over_http("WSS://h/").unwrap(), "https://h/");
        for url in ["http://h/", "h", "", "wsss://h/", "ß://h/"] {
            assert!(over_http(url).is_err(), "{url}");
        }
    }
}
