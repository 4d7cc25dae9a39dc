//! One exchange under way: what is put into the request for its route, and the reply up to its last byte.

use super::{
    Allowance, Net, cause, coding,
    incoming::{self, Unusable},
    outgoing::Outgoing,
    place::Place,
    room::Usage,
    route::Route,
};
use crate::{
    config::Compress,
    event::{self, Timeout},
    request::{Failure, HttpReply},
};
use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_ENCODING, HeaderValue},
};
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use std::{pin::pin, sync::Arc, time::Duration};

/// Bodies shorter than that are sent as they are: to pack them costs more than it saves.
const WORTH_PACKING: usize = 1024;

/// See the module.
pub(super) struct Exchange<'a> {
    pub(super) net: &'a Arc<Net>,
    pub(super) route: &'a Route,
    pub(super) allowance: &'a Allowance,
    pub(super) place: &'a Place,
    /// Whether a packed reply is unpacked.
    pub(super) unpack: bool,
}

/// Puts into `outgoing` what the operator says of its `route`.
pub(super) async fn prepare(route: &Route, outgoing: &mut Outgoing) -> Result<(), Failure> {
    let Outgoing { place, request, .. } = outgoing;
    if let Some(proxy) = route.forwarder(&place.uri) {
        proxy.present(place, request.headers_mut())?;
    }
    if let Some(Compress::Gzip) = route.said.settings.compress
        && request.body().len() >= WORTH_PACKING
        && !request.headers().contains_key(CONTENT_ENCODING)
    {
        // Rare, and large.
        let packed = Box::pin(coding::packed(request.body())).await;
        if packed.len() < request.body().len() {
            *request.body_mut() = packed;
            request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(coding::GZIP));
        }
    }
    Ok(())
}

impl Exchange<'_> {
    /// The complete reply to `request`.
    pub(super) async fn reply(&self, request: Request<Bytes>) -> Result<HttpReply, Failure> {
        let (place, largest) = (self.place, self.allowance.largest);
        let mut response = self.head(request.map(Full::new)).await?;
        let usage = response.extensions_mut().remove::<Arc<Usage>>();
        let reply = incoming::whole(response, largest, self.unpack).await.map_err(|why| match why {
            Unusable::TooLarge => place.too_large(format_args!("the reply is longer than {} KiB", largest / 1024)),
            Unusable::Broken(error) => cause::failure(place, &error),
            Unusable::Garbled(error) => place.unreachable(format_args!("the reply is no whole gzip: {error}")),
        })?;
        if let Some(usage) = usage {
            usage.rest();
        }
        match self.route.forwarder(&place.uri) {
            Some(proxy) if reply.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(place.unreachable(proxy.refused(StatusCode::PROXY_AUTHENTICATION_REQUIRED)))
            }
            _ => Ok(reply),
        }
    }

    /// The reply as far as its head.
    async fn head(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let (place, reach) = (self.place, &self.allowance.reach);
        let failed = |error| cause::failure(place, &error);
        let Some(longest) = self.route.said.settings.first_byte_timeout else {
            return self.route.send(self.net, reach, request).await.map_err(failed);
        };
        let connection = capture_connection(&mut request);
        let response = self.route.send(self.net, reach, request);
        match select(response, pin!(later(connection, longest))).await {
            Either::Left((response, _)) => response.map_err(failed),
            Either::Right(((), _)) => Err(unbegun(place, longest)),
        }
    }
}

/// There has been a connection for so long, and no reply has begun.
pub(super) fn unbegun(place: &Place, longest: Duration) -> Failure {
    event::request_timed_out(Timeout::FirstByte);
    place.unreachable(format_args!("no reply began within {longest:?} (`first_byte_timeout`)"))
}

/// When there has been a connection for so long.
async fn later(mut connection: CaptureConnection, time: Duration) {
    if connection.wait_for_connection_metadata().await.is_none() {
        // There is none, as the exchange itself tells.
        return std::future::pending().await;
    }
    tokio::time::sleep(time).await;
}
