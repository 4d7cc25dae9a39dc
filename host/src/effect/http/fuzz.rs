//! What `cargo xtask fuzz` does with the bytes of a reply.

use super::{
    LARGEST_HEAD, cause,
    incoming::{self, Unusable},
    place::Place,
};
use crate::request::Failure;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Uri, client::conn::http1};
use hyper_util::rt::TokioIo;
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
        let failed = |error: hyper::Error| cause::failure(place, &error);
        let handshake = http1::Builder::new().max_buf_size(LARGEST_HEAD as usize).handshake(TokioIo::new(ours));
        let (mut sender, connection) = handshake.await.map_err(failed)?;
        let request =
            Request::post("/path").body(Full::new(Bytes::from_static(b"body"))).map_err(|_| place.invalid(""))?;
        let reply = async {
            let response = sender.send_request(request).await.map_err(failed)?;
            let whole = incoming::whole(response, LARGEST, true).await;
            whole.map(|reply| reply.body.len()).map_err(|why| match why {
                Unusable::TooLarge => place.too_large("the reply is too long"),
                Unusable::Broken(error) => failed(error),
                Unusable::Garbled(error) => place.unreachable(error),
            })
        };
        tokio::select! {
            biased;
            reply = reply => reply,
            // The reply is judged by what came before the end.
            _ = async { drop(connection.await); std::future::pending::<()>().await } => unreachable!(),
        }
    };
    tokio::join!(client, server).0
}
