//! Bodies that are packed, in both directions.

use super::*;
use crate::config::{Compress, Secrets};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use http_body_util::{BodyExt, Full};
use hyper::{Request as Incoming, Response, body, header::HeaderMap, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    io::{Read, Write},
};

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(body: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    GzDecoder::new(body).read_to_end(&mut unpacked).unwrap();
    unpacked
}

/// A server whose replies have this header and body, and what it was sent.
async fn saying(coding: Option<&'static str>, body: Vec<u8>) -> (Server, Arc<Mutex<Vec<(HeaderMap, Bytes)>>>) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let log = sent.clone();
    let server = Server::start(move |peer| {
        let (log, body) = (log.clone(), Bytes::from(body.clone()));
        async move {
            let answer = service_fn(move |request: Incoming<body::Incoming>| {
                let (log, body) = (log.clone(), body.clone());
                async move {
                    let (head, sent) = request.into_parts();
                    let sent = sent.collect().await.unwrap().to_bytes();
                    log.lock().unwrap().push((head.headers, sent));
                    let mut reply = Response::new(Full::new(body));
                    if let Some(coding) = coding {
                        reply.headers_mut().insert("content-encoding", coding.parse().unwrap());
                    }
                    Ok::<_, Infallible>(reply)
                }
            });
            http1::Builder::new().serve_connection(TokioIo::new(peer.stream), answer).await.ok();
        }
    })
    .await;
    (server, sent)
}

fn header<'a>(reply: &'a HttpReply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn a_packed_reply_comes_unpacked_and_says_nothing_of_it() {
    let text = "all of it, ".repeat(1_000);
    let members = [gzip(&text.as_bytes()[..3_000]), gzip(b""), gzip(&text.as_bytes()[3_000..])].concat();
    for (coding, body) in [("gzip", gzip(text.as_bytes())), ("X-GZIP", gzip(text.as_bytes())), ("gzip", members)] {
        let (server, sent) = saying(Some(coding), body).await;
        let reply = reply_to(post(&server.url("/"), "x")).await.unwrap();
        assert_eq!(reply.body, text.as_bytes(), "{coding}");
        assert_eq!((header(&reply, "content-encoding"), header(&reply, "content-length")), (None, None));
        assert_eq!(sent.lock().unwrap()[0].0["accept-encoding"], "gzip");
    }
}

#[tokio::test]
async fn a_plugin_that_asks_for_a_coding_gets_what_the_server_sends() {
    let packed = gzip(b"all of it");
    let (server, sent) = saying(Some("gzip"), packed.clone()).await;
    let mut request = request("GET", &server.url("/"));
    request.headers.push(("Accept-Encoding".into(), "br, gzip".into()));
    let reply = reply_to(request).await.unwrap();
    assert_eq!((reply.body.as_ref(), header(&reply, "content-encoding")), (&packed[..], Some("gzip")));
    assert_eq!(sent.lock().unwrap()[0].0["accept-encoding"], "br, gzip");
}

#[tokio::test]
async fn what_is_not_packed_with_gzip_alone_or_has_no_body_is_left_as_it_is() {
    for (coding, body) in [
        (Some("br"), "packed"),
        (Some("gzip, br"), "packed"),
        (Some("identity"), "plain"),
        (None, "plain"),
        (Some("gzip"), ""),
    ] {
        let (server, _) = saying(coding, body.into()).await;
        let reply = reply_to(request("GET", &server.url("/"))).await.unwrap();
        assert_eq!((reply.body.as_ref(), header(&reply, "content-encoding")), (body.as_bytes(), coding));
    }
    let (server, sent) = saying(Some("gzip"), gzip(b"x")).await;
    let reply = reply_to(request("HEAD", &server.url("/"))).await.unwrap();
    assert_eq!(header(&reply, "content-encoding"), Some("gzip"));
    let mut part = request("GET", &server.url("/"));
    part.headers.push(("range".into(), "bytes=0-1".into()));
    reply_to(part).await.unwrap();
    assert!(!sent.lock().unwrap()[1].0.contains_key("accept-encoding"));
}

#[tokio::test]
async fn a_bomb_is_given_up_at_the_limit_and_what_just_fits_is_not() {
    const LARGEST: usize = 64 * 1024;
    for (length, fits) in [(LARGEST, true), (LARGEST + 1, false), (100 << 20, false)] {
        let bomb = gzip(&vec![0; length]);
        let (server, _) = saying(Some("gzip"), bomb).await;
        match reply_to(request("GET", &server.url("/"))).await {
            Ok(reply) => assert!(fits && reply.body.len() == length, "{length}"),
            Err(failure) => {
                let why = format!("GET {}: the reply is longer than 64 KiB", server.url("/"));
                assert!(!fits, "{failure}");
                assert_eq!(failure, Failure::TooLarge(why));
            }
        }
    }
}

#[tokio::test]
async fn a_reply_that_is_no_whole_gzip_is_none() {
    let whole = gzip(&b"all of it, ".repeat(100));
    let mut flipped = whole.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    for body in [whole[..whole.len() - 1].to_vec(), flipped, b"plain".to_vec(), [&whole[..], b"more"].concat()] {
        let (server, _) = saying(Some("gzip"), body).await;
        let failure = reply_to(request("GET", &server.url("/"))).await.unwrap_err();
        let start = format!("GET {}: the reply is no whole gzip: ", server.url("/"));
        assert!(matches!(&failure, Failure::Unreachable(why) if why.starts_with(&start)), "{failure:?}");
    }
}

#[tokio::test]
async fn no_secret_comes_back_packed() {
    let secrets = Secrets::new([("token".to_owned(), "hunter2-hunter2".to_owned())]);
    let token = secrets.stand_in("token").unwrap().to_owned();
    let (server, _) = saying(Some("gzip"), gzip(b"you said hunter2-hunter2")).await;
    let settings = config::Plugin { secrets, ..settings(vec![exact("127.0.0.1")]) };
    for coding in [None, Some("gzip")] {
        let mut request = request("GET", &server.url("/"));
        request.headers.push(("authorization".into(), token.clone()));
        request.headers.extend(coding.map(|coding| ("accept-encoding".to_owned(), coding.to_owned())));
        let reply = carry_out(&Effects::new().unwrap(), &Allowance::new(&settings), request).await.unwrap();
        let told = String::from_utf8_lossy(&reply.body);
        assert!(told.starts_with("you said ") && !told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn bodies_are_packed_where_the_operator_says_so_and_where_it_is_worth_it() {
    let (server, sent) = saying(None, Vec::new()).await;
    let effects = with_endpoint("127.0.0.1", Endpoint { compress: Some(Compress::Gzip), ..Endpoint::default() });
    let long = Bytes::from("{\"id\":1}".repeat(10_000));
    let random: Bytes = (0..4_096u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let random = Bytes::from(gzip(&random));
    let send = async |body: Bytes, coding: Option<&str>| {
        let mut request = HttpRequest { body, ..request("POST", &server.url("/")) };
        request.headers.extend(coding.map(|coding| ("content-encoding".to_owned(), coding.to_owned())));
        carry_out(&effects, &loopback(), request).await.unwrap();
        sent.lock().unwrap().pop().unwrap()
    };
    let (headers, body) = send(long.clone(), None).await;
    assert_eq!(
        (&headers["content-encoding"], &headers["content-length"]),
        (&"gzip".parse().unwrap(), &body.len().into())
    );
    assert!(body.len() < long.len() / 50 && gunzip(&body) == long);
    for (same, coding) in [(Bytes::from("short"), None), (random, None), (long.clone(), Some("identity"))] {
        let (headers, body) = send(same.clone(), coding).await;
        assert_eq!((headers.get("content-encoding").map(|coding| coding.to_str().unwrap()), body), (coding, same));
    }
    configure(&effects, "127.0.0.1", Endpoint::default());
    assert_eq!(send(long.clone(), None).await.1, long);
}
