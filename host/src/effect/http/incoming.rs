//! A reply as the plugin gets it: whole, or not at all.

use super::{coding, connection::Broken as Connection, wire::Fault};
use crate::request::HttpReply;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Response,
    body::{Body, Incoming},
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use std::io;

/// Why a response that has begun is not handed on.
pub(super) enum Unusable {
    /// Its body is longer than allowed.
    TooLarge,
    /// It is no HTTP/1.1, or ends too soon.
    NotHttp(Fault),
    /// The connection broke.
    Lost(io::Error),
    /// The same by HTTP/2.
    Broken(hyper::Error),
    /// It says that it is packed, and cannot be unpacked.
    Garbled(io::Error),
}

impl From<Connection> for Unusable {
    fn from(broken: Connection) -> Self {
        match broken {
            Connection::Reply(Fault::BodyTooLarge) => Self::TooLarge,
            Connection::Reply(fault) => Self::NotHttp(fault),
            Connection::Lost(error) => Self::Lost(error),
        }
    }
}

/// Whether there is anything in `reply` to be unpacked: one without a body may say how that would be packed.
pub(super) fn is_packed(reply: &HttpReply) -> bool {
    !reply.body.is_empty() && coding::is_packed(&reply.headers)
}

/// `reply`, which is packed, as if it never had been, if that is no longer than `largest` bytes.
pub(super) async fn unpacked(mut reply: HttpReply, largest: usize) -> Result<HttpReply, Unusable> {
    reply.body = coding::unpacked(&reply.body, largest).await?;
    reply.headers.retain(|(name, _)| ![CONTENT_ENCODING, CONTENT_LENGTH].iter().any(|gone| *gone == **name));
    Ok(reply)
}

/// All of `response`, if its body is no longer than `largest` bytes.
pub(super) async fn whole(response: Response<Incoming>, largest: usize) -> Result<HttpReply, Unusable> {
    let (head, body) = response.into_parts();
    let body = collect(body, largest).await?;
    Ok(HttpReply { status: head.status.as_u16(), headers: texts(&head.headers), body })
}

/// Almost every reply is one piece, which is then handed on as it was read.
async fn collect(mut body: Incoming, largest: usize) -> Result<Bytes, Unusable> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > largest {
        return Err(Unusable::TooLarge);
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(Unusable::Broken)?.into_data() else {
            continue;
        };
        let before = if joined.is_empty() { first.len() } else { joined.len() };
        if piece.len() > largest - before {
            return Err(Unusable::TooLarge);
        }
        if before == 0 {
            first = piece;
            continue;
        }
        if joined.is_empty() {
            joined.reserve(announced.max(before + piece.len()));
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&piece);
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

pub(super) fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| std::str::from_utf8(value).ok().map(str::to_owned);
    headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value.as_bytes())?))).collect()
}
