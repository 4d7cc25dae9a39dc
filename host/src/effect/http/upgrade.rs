//! Connections that begin as an exchange and go on as something else: granted, looked up and checked as any other.

use super::{
    Allowance, Http, LARGEST_HEAD, cause,
    dial::{Dial, Purpose},
    exchange, incoming,
    outgoing::{self, Outgoing},
    place::Place,
    room::Usage,
    secrets,
};
use crate::request::{Failure, HttpReply, HttpRequest};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1,
    header::{self, HeaderValue},
    upgrade::{self, Upgraded},
};
use hyper_util::rt::TokioIo;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// A server that has agreed to something else.
pub(in crate::effect) struct Switched {
    /// What it said beside.
    pub(in crate::effect) headers: HeaderMap,
    pub(in crate::effect) stream: TokioIo<Upgraded>,
    pub(in crate::effect) usage: Arc<Usage>,
}

/// Why there is no such server.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::effect) struct Refused {
    pub(in crate::effect) failure: Failure,
    /// What it said instead, if it is that.
    pub(in crate::effect) said: Option<HttpReply>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, said: None }
    }
}

impl Http {
    /// A connection of its own on which the server of `wanted` has agreed to what `handshake` asks for; all of it takes as long as it takes.
    pub(in crate::effect) async fn upgrade(
        &self,
        allowance: &Allowance,
        wanted: HttpRequest,
        handshake: HeaderMap,
    ) -> Result<Switched, Refused> {
        let hidden = |failure| secrets::veiled(failure, &allowance.secrets);
        let outgoing = outgoing::prepare(&allowance.grants, &allowance.secrets, None, wanted).map_err(hidden)?;
        let Outgoing { place, request, .. } = outgoing;
        let route = Arc::clone(self.routes.load().to(&place.uri));
        let dial =
            Dial::new(Purpose::Upgrade, Arc::clone(&route.way), Arc::clone(&allowance.reach), Arc::clone(&self.net));
        let request = in_place(&place, *request, handshake).map_err(hidden)?;
        let switched = switched(&place, dial, request, route.said.settings.first_byte_timeout).await;
        switched.map_err(|Refused { failure, said }| Refused { failure: hidden(failure), said })
    }
}

/// `request` as it stands on a connection to its host.
fn in_place(place: &Place, request: Request<Bytes>, handshake: HeaderMap) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = request.map(Full::new);
    let path = request.uri().path_and_query().cloned();
    let authority = place.uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let host = HeaderValue::try_from(authority).map_err(|_| place.invalid("its host cannot be sent"))?;
    *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(header::HOST, host);
    headers.extend(handshake);
    Ok(request)
}

async fn switched(
    place: &Place,
    dial: Dial,
    request: Request<Full<Bytes>>,
    first_byte_timeout: Option<Duration>,
) -> Result<Switched, Refused> {
    let failed = |error: hyper::Error| cause::failure(place, &error);
    let stream = dial.connected(place.uri.clone()).await.map_err(|error| cause::failure(place, &error))?;
    let usage = stream.usage();
    let handshake = http1::Builder::new().max_buf_size(LARGEST_HEAD as usize).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(failed)?;
    let exchange = async move {
        let begins = sender.send_request(request);
        let mut response = match first_byte_timeout {
            None => begins.await,
            Some(longest) => timeout(longest, begins).await.map_err(|_| exchange::unbegun(place, longest))?,
        }
        .map_err(failed)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refused(place, &response));
        }
        let stream = upgrade::on(&mut response).await.map_err(failed)?;
        Ok(Switched { headers: response.into_parts().0.headers, stream: TokioIo::new(stream), usage })
    };
    // The connection ends when it is handed over, or when nobody is left who could ask anything of it; how it ended, the exchange tells.
    let (switched, _) = tokio::join!(exchange, connection.with_upgrades());
    switched
}

/// What may heal is told from what does not as for other exchanges.
fn refused(place: &Place, response: &Response<Incoming>) -> Refused {
    let status = response.status();
    let why = format!("the server answered {status} instead of switching protocols");
    let failure = match status.as_u16() {
        408 | 425 | 429 | 500..=599 => place.unreachable(why),
        _ => place.invalid(why),
    };
    let headers = incoming::texts(response.headers());
    Refused { failure, said: Some(HttpReply { status: status.as_u16(), headers, body: Bytes::new() }) }
}
