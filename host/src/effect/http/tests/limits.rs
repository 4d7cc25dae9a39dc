//! Where an exchange ends that would not end by itself.

use super::*;
use std::time::Instant;

#[tokio::test]
async fn the_shorter_of_both_timeouts_ends_an_exchange() {
    let silent = Server::start(|mut peer| async move { peer.hung_up().await }).await;
    for (wish, limit) in [(Some(100), 60_000), (Some(60_000), 100), (None, 100)] {
        let started = Instant::now();
        let allowance = Allowance::new(&config::Plugin {
            http_timeout: Duration::from_millis(limit),
            ..settings(vec![exact("127.0.0.1")])
        });
        let request = HttpRequest { timeout: wish.map(Duration::from_millis), ..post(&silent.url("/x"), "y") };
        let failure = carry_out(&Effects::new().unwrap(), &allowance, request).await.unwrap_err();
        assert_eq!(failure, Failure::Unreachable(format!("POST {}: no complete reply within 100ms", silent.url("/x"))));
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}

#[tokio::test]
async fn a_body_that_drips_for_ever_runs_into_the_timeout() {
    let server = Server::start(|mut peer| async move {
        peer.request().await;
        peer.say("HTTP/1.1 200 OK\r\n\r\n").await;
        while peer.stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let request = HttpRequest { timeout: Some(Duration::from_millis(200)), ..request("GET", &server.url("/")) };
    let failure = reply_to(request).await.unwrap_err();
    assert_eq!(failure, Failure::Unreachable(format!("GET {}: no complete reply within 200ms", server.url("/"))));
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit_and_not_beyond() {
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    let largest = 64 * 1024;
    let cases = [
        (head(largest), largest, true),
        (head(largest + 1), 0, false),
        (head(1 << 60), 0, false),
        ("HTTP/1.0 200 OK\r\n\r\n".to_owned(), largest, true),
        ("HTTP/1.0 200 OK\r\n\r\n".to_owned(), largest + 1, false),
    ];
    for (head, sent, fits) in cases {
        let server = Server::start(move |mut peer| {
            let reply = format!("{head}{}", "x".repeat(sent));
            async move {
                peer.request().await;
                peer.say(&reply).await;
            }
        })
        .await;
        match reply_to(request("GET", &server.url("/"))).await {
            Ok(reply) => {
                assert!(fits && reply.body.len() == sent && reply.body.iter().all(|byte| *byte == b'x'), "{sent}")
            }
            Err(failure) => {
                assert!(!fits, "{failure}");
                assert_eq!(
                    failure,
                    Failure::TooLarge(format!("GET {}: the reply is longer than 64 KiB", server.url("/")))
                );
            }
        }
    }
}

#[tokio::test]
async fn a_body_without_end_is_given_up_at_the_limit() {
    let server = Server::start(|mut peer| async move {
        peer.request().await;
        peer.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while peer.stream.write_all(b"a\r\n0123456789\r\n").await.is_ok() {}
    })
    .await;
    let failure = reply_to(request("GET", &server.url("/"))).await.unwrap_err();
    assert!(matches!(failure, Failure::TooLarge(_)), "{failure:?}");
}

#[tokio::test]
async fn headers_without_end_are_given_up() {
    let too_long = Server::start(|mut peer| async move {
        peer.request().await;
        peer.say("HTTP/1.1 200 OK\r\n").await;
        while peer.stream.write_all(b"x: 0123456789\r\n").await.is_ok() {}
    })
    .await;
    let too_many = Server::start(|mut peer| async move {
        peer.request().await;
        peer.say(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: 1\r\n".repeat(101))).await;
        peer.hung_up().await;
    })
    .await;
    for server in [too_long, too_many] {
        let failure = reply_to(request("GET", &server.url("/"))).await.unwrap_err();
        assert_eq!(failure, Failure::TooLarge(format!("GET {}: the head of the reply is too large", server.url("/"))));
    }
}
