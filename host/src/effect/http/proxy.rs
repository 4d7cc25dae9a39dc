//! A proxy between us and a server: tunnels for `https`, whole URLs for `http`.
//!
//! The proxy looks names up, so where they lead cannot be checked here: whoever sets one says that it may reach what it reaches.
//! What can be told by the URL alone is checked as ever.

use super::{LARGEST_HEAD, dial::Error, place::Place};
use crate::{config, request::Failure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    client::conn::http1,
    header::{HOST, HeaderValue, PROXY_AUTHORIZATION},
    http::uri::{PathAndQuery, Scheme},
    upgrade,
};
use hyper_util::rt::TokioIo;
use std::fmt::{self, Display};
use tokio::net::TcpStream;

/// See the module.
pub(super) struct Proxy {
    pub(super) uri: Uri,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    pub(super) fn new(settings: &config::Proxy) -> Option<Self> {
        let host = if settings.host.contains(':') { format!("[{}]", settings.host) } else { settings.host.clone() };
        let authority = format!("{host}:{}", settings.port);
        let builder = Uri::builder().scheme(Scheme::HTTP).authority(authority);
        let uri = builder.path_and_query(PathAndQuery::from_static("/")).build().ok()?;
        Some(Self { uri, authorization: settings.login.as_ref().and_then(basic) })
    }

    /// Says in `headers` who we are, of a request that the proxy is to pass on.
    pub(super) fn present(&self, place: &Place, headers: &mut HeaderMap) -> Result<(), Failure> {
        // It says back all that it was sent, the password among it.
        if place.method == Method::TRACE {
            return Err(place.invalid("this method is not sent through a proxy"));
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        Ok(())
    }

    /// `tcp`, which leads to the proxy, as a way to `host` and `port`.
    pub(super) async fn tunnel(
        &self,
        tcp: TokioIo<TcpStream>,
        host: &str,
        port: u16,
    ) -> Result<TokioIo<TcpStream>, Error> {
        let failed = |error: hyper::Error| self.failed(error);
        let request = self.connect(host, port).map_err(|error| self.failed(error))?;
        let (mut sender, connection) =
            http1::Builder::new().max_buf_size(LARGEST_HEAD as usize).handshake(tcp).await.map_err(failed)?;
        let exchange = async move {
            let mut response = sender.send_request(request).await.map_err(failed)?;
            match response.status() {
                status if status.is_success() => upgrade::on(&mut response).await.map_err(failed),
                status => Err(self.refused(status)),
            }
        };
        // How the connection ends, the exchange tells.
        let (upgraded, _) = tokio::join!(exchange, connection.with_upgrades());
        match upgraded?.downcast::<TokioIo<TcpStream>>() {
            // A server that speaks first speaks no TLS.
            Ok(parts) if parts.read_buf.is_empty() => Ok(parts.io),
            _ => Err(self.failed(Unasked)),
        }
    }

    fn connect(&self, host: &str, port: u16) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let server = format!("{host}:{port}");
        let mut request = Request::connect(&server).header(HOST, server).body(Full::default())?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }

    /// The proxy cannot be reached, or says what is no HTTP.
    pub(super) fn failed(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Proxy { proxy: self.to_string(), cause: cause.into() }
    }

    /// It answers, and does not do as we ask.
    pub(super) fn refused(&self, status: StatusCode) -> Error {
        Error::Refused { proxy: self.to_string(), status }
    }
}

/// Without the login.
impl Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri.authority().map_or("", |authority| authority.as_str()))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("it sends what nobody has asked for")]
struct Unasked;

fn basic(login: &config::ProxyLogin) -> Option<HeaderValue> {
    let credentials = STANDARD.encode(format!("{}:{}", login.user, login.password));
    let mut value = HeaderValue::try_from(format!("Basic {credentials}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether `host`, which is no address in the usual notation, could be one to a proxy: `127.1`, `2130706433`, `0x7f000001`.
pub(super) fn is_obscure(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let digits = last.bytes().all(|byte| byte.is_ascii_digit());
    digits || last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"))
}

/// Whether `host` is a name for the machine itself, whoever looks it up (RFC 6761, section 6.3).
pub(super) fn is_local(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
}
