//! What `cargo xtask fuzz` does with the bytes of a reply.

use super::{
    cause,
    connection::{Broken, Connection},
    place::Place,
    wire::{self, Fault, Reading},
};
use crate::request::Failure;
use bytes::{Buf, Bytes};
use hyper::{Method, Request, Uri};
use std::future::poll_fn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Of a reply's body, in bytes.
const LARGEST: usize = 1024;

/// Whatever a server sends, it is a reply within the limits, or a failure that is told in one line.
pub(in crate::effect) fn fuzz(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let Ok(runtime) = runtime else { return };
    let place = Place { method: Method::POST, uri: Uri::from_static("http://server/path") };
    match runtime.block_on(exchange(&place, bytes)) {
        Ok(length) => assert!(length <= LARGEST),
        Err(Failure::Unreachable(why) | Failure::TooLarge(why)) => {
            assert!(why.starts_with("POST http://server/path: ") && !why.contains('\n'), "{why}");
        }
        Err(other) => assert_eq!(other, Failure::Unreachable(String::new())),
    }
}

async fn exchange(place: &Place, bytes: &[u8]) -> Result<usize, Failure> {
    let (ours, mut theirs) = tokio::io::duplex(256);
    let server = async {
        // Whoever hangs up while it is being sent is what is looked for, too.
        drop(theirs.read(&mut [0; 256]).await);
        drop(theirs.write_all(bytes).await);
        drop(theirs);
    };
    let client = async {
        let request = Request::post("/path").body(Bytes::from_static(b"body")).map_err(|_| place.invalid(""))?;
        let mut unsent = wire::written(&request, false).chain(request.into_body());
        let (mut connection, mut reading) = (Connection::new(ours), Reading::new(&place.method, LARGEST));
        let whole = poll_fn(|cx| connection.poll_reply(cx, &mut unsent, &mut reading, Reading::is_complete)).await;
        match whole {
            Ok(()) => Ok(reading.reply().body.len()),
            Err(Broken::Reply(Fault::BodyTooLarge)) => Err(place.too_large("the reply is too long")),
            Err(Broken::Reply(fault)) => Err(cause::failure(place, &fault)),
            Err(Broken::Lost(error)) => Err(cause::failure(place, &error)),
        }
    };
    tokio::join!(client, server).0
}
