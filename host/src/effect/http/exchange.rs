//! One exchange under way: what is put into the request for its route, and the reply up to its last byte.

use super::{
    Allowance, Net, cause, coding,
    connection::{Connection, Unsent},
    incoming::{self, Unusable},
    outgoing::Outgoing,
    place::Place,
    pool::{Lent, Pool, Shared},
    route::Route,
    wire::{self, Reading},
};
use crate::{
    config::Compress,
    event::{self, Timeout},
    request::{Failure, HttpReply},
};
use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use http_body_util::Full;
use hyper::{
    Request, StatusCode,
    header::{CONTENT_ENCODING, HeaderValue},
};
use std::{future::poll_fn, sync::Arc, time::Duration};
use tokio::time::timeout;

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

/// A request of which something may have arrived: it is not sent again.
enum Sent {
    /// With the rest of it, over a connection of its own.
    Alone(Connection, Unsent),
    /// With its reply already.
    Shared(HttpReply),
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
    pub(super) async fn reply(&self, request: Box<Request<Bytes>>) -> Result<HttpReply, Failure> {
        let pool = self.route.pool(self.net, &self.allowance.reach);
        let reply = match self.sent(&pool, request).await? {
            Sent::Alone(connection, unsent) => self.answered(&pool, connection, unsent).await?,
            Sent::Shared(reply) => reply,
        };
        let reply = if self.unpack && incoming::is_packed(&reply) {
            // Rare, and large.
            incoming::unpacked(reply, self.allowance.largest).boxed().await.map_err(|why| self.unusable(why))?
        } else {
            reply
        };
        match self.route.forwarder(&self.place.uri) {
            Some(proxy) if reply.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(self.place.unreachable(proxy.refused(StatusCode::PROXY_AUTHENTICATION_REQUIRED)))
            }
            _ => Ok(reply),
        }
    }

    /// Goes on to another connection only if a kept one turns out to be closed before a byte of `request` was written. What may have
    /// arrived is never repeated here: whether to is for the plugin to judge, under the same idempotency key.
    async fn sent(&self, pool: &Pool, request: Box<Request<Bytes>>) -> Result<Sent, Failure> {
        let (uri, forwarded) = (&self.place.uri, self.route.forwarder(&self.place.uri).is_some());
        loop {
            let kept = pool.kept(uri).await;
            let again = kept.is_some();
            let lent = match kept {
                Some(lent) => lent,
                None => pool.dialled(uri).await.map_err(|error| cause::failure(self.place, &error))?,
            };
            match lent {
                Lent::Alone(mut connection) => {
                    let mut unsent = wire::written(&request, forwarded).chain(request.body().clone());
                    match poll_fn(|cx| connection.poll_begin(cx, &mut unsent)).await {
                        Ok(()) => return Ok(Sent::Alone(connection, unsent)),
                        Err(error) if !again => return Err(cause::failure(self.place, &error)),
                        Err(_) => {}
                    }
                }
                Lent::Shared(shared) => {
                    // Boxed, as it is large and seldom the one that many of wait at once.
                    if let Some(reply) = self.shared(shared, &request, again).boxed().await? {
                        return Ok(Sent::Shared(reply));
                    }
                }
            }
        }
    }

    /// The reply on a connection of its own, which is then kept if it can be.
    async fn answered(
        &self,
        pool: &Pool,
        mut connection: Connection,
        mut unsent: Unsent,
    ) -> Result<HttpReply, Failure> {
        let mut reading = Reading::new(&self.place.method, self.allowance.largest);
        if let Some(longest) = self.route.said.settings.first_byte_timeout {
            let begun = poll_fn(|cx| connection.poll_reply(cx, &mut unsent, &mut reading, Reading::has_begun));
            let begun = timeout(longest, begun).await.map_err(|_| unbegun(self.place, longest))?;
            begun.map_err(|broken| self.unusable(broken.into()))?;
        }
        poll_fn(|cx| connection.poll_reply(cx, &mut unsent, &mut reading, Reading::is_complete))
            .await
            .map_err(|broken| self.unusable(broken.into()))?;
        if reading.leaves_connection() && !unsent.has_remaining() {
            pool.keep(&self.place.uri, connection, &self.net.watch);
        }
        Ok(reading.reply())
    }

    /// The reply by HTTP/2; none where nothing was sent and, as the connection was one of those that are kept, another may do.
    async fn shared(&self, shared: Shared, request: &Request<Bytes>, kept: bool) -> Result<Option<HttpReply>, Failure> {
        let response = shared.send(request.clone().map(Full::new));
        let response = match self.route.said.settings.first_byte_timeout {
            None => response.await,
            Some(longest) => timeout(longest, response).await.map_err(|_| unbegun(self.place, longest))?,
        };
        let response = match response {
            Ok(response) => response,
            Err(mut error) => {
                let unsent = error.take_message().is_some();
                return if unsent && kept { Ok(None) } else { Err(cause::failure(self.place, error.error())) };
            }
        };
        let reply = incoming::whole(response, self.allowance.largest).await;
        reply.map(Some).map_err(|why| self.unusable(why))
    }

    fn unusable(&self, why: Unusable) -> Failure {
        let (place, largest) = (self.place, self.allowance.largest);
        match why {
            Unusable::TooLarge => place.too_large(format_args!("the reply is longer than {} KiB", largest / 1024)),
            Unusable::NotHttp(fault) => cause::failure(place, &fault),
            Unusable::Lost(error) => cause::failure(place, &error),
            Unusable::Broken(error) => cause::failure(place, &error),
            Unusable::Garbled(error) => place.unreachable(format_args!("the reply is no whole gzip: {error}")),
        }
    }
}

/// There has been a connection for so long, and no reply has begun.
pub(super) fn unbegun(place: &Place, longest: Duration) -> Failure {
    event::request_timed_out(Timeout::FirstByte);
    place.unreachable(format_args!("no reply began within {longest:?} (`first_byte_timeout`)"))
}
