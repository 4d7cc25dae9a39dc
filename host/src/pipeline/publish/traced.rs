//! Requests of messages that are part of a trace: each is a span, and takes the trace on to its server.

use super::{Out, Publisher};
use crate::{
    effect::limit::Pass,
    request::{Reply, Request, Settling},
    trace::{Said, Trace, number, text},
};
use futures_util::{FutureExt, future::BoxFuture};
use http::Uri;

const TRACEPARENT: &str = "traceparent";

impl Publisher {
    /// Has `request` carried out.
    pub(super) fn send<'a>(
        &'a self,
        out: &Out<'a>,
        key: &str,
        settling: Settling,
        request: Request,
        pass: Option<Pass>,
    ) -> BoxFuture<'a, Reply> {
        match out.trace {
            Some(trace) => self.send_traced(trace, out, key, settling, request, pass),
            None => out.effects.carry_out(&self.allowance, key, settling, request, pass),
        }
    }

    fn send_traced<'a>(
        &'a self,
        trace: &'a Trace,
        out: &Out<'a>,
        key: &str,
        settling: Settling,
        mut request: Request,
        pass: Option<Pass>,
    ) -> BoxFuture<'a, Reply> {
        let span = trace.child();
        let (name, mut said) = about(&request);
        if let Request::Http(request) = &mut request
            && !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT))
        {
            request.headers.push((TRACEPARENT.to_owned(), span.traceparent()));
        }
        let reply = out.effects.carry_out(&self.allowance, key, settling, request, pass);
        async move {
            let reply = reply.await;
            let failed = came(&reply, &mut said);
            span.requested(&self.name, &name, said, failed);
            reply
        }
        .boxed()
    }
}

/// What a span is called, and says of where the request goes: no path, no argument and no body, which are of the message.
fn about(request: &Request) -> (String, Vec<(&'static str, Said)>) {
    match request {
        Request::Http(request) => {
            // What else stands there is refused later on, and may be anything.
            let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
            let method = known.into_iter().find(|known| *known == request.method).unwrap_or("_OTHER");
            let mut said = vec![("http.request.method", text(method))];
            said.extend(server(&request.url));
            (method.to_owned(), said)
        }
        Request::WebSocket(send) => ("websocket send".to_owned(), server(&send.url)),
        Request::Redis(_) => ("redis command".to_owned(), vec![("db.system.name", text("redis"))]),
        Request::RedisWithSettling(_) => {
            ("redis command with settling".to_owned(), vec![("db.system.name", text("redis"))])
        }
        Request::File(_) => ("file append".to_owned(), Vec::new()),
    }
}

fn server(url: &str) -> Vec<(&'static str, Said)> {
    let uri: Option<Uri> = url.parse().ok();
    let authority = uri.as_ref().and_then(Uri::authority);
    let mut said: Vec<_> = authority.iter().map(|authority| ("server.address", text(authority.host()))).collect();
    said.extend(authority.and_then(|authority| authority.port_u16()).map(|port| ("server.port", number(port.into()))));
    said
}

/// Adds what came of a request; true where it failed.
fn came(reply: &Reply, said: &mut Vec<(&'static str, Said)>) -> bool {
    match reply {
        Reply::Http(Ok(reply)) => {
            said.push(("http.response.status_code", Said::Number(i64::from(reply.status))));
            reply.status >= 400
        }
        Reply::Http(Err(_)) | Reply::WebSocket(Err(_)) | Reply::Redis(Err(_)) | Reply::File(Err(_)) => true,
        Reply::WebSocket(Ok(_)) | Reply::Redis(Ok(_)) | Reply::File(Ok(())) => false,
    }
}
