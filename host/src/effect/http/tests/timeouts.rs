//! Which bound on its time an exchange has reached.

use super::{
    secure::{Authority, Secure, allowance},
    *,
};
use crate::metrics::request_timeouts;

const SHORT: Duration = Duration::from_millis(100);

fn connecting_within(connect_timeout: Duration) -> Effects {
    with_endpoint("*", Endpoint { connect_timeout, ..Endpoint::default() })
}

fn beginning_within(limit: Duration) -> Endpoint {
    Endpoint { first_byte_timeout: Some(limit), ..Endpoint::default() }
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_runs_into_the_time_for_connecting() {
    let silent = Server::start(|mut peer| async move { peer.hung_up().await }).await;
    let url = silent.url("/").replace("http:", "https:");
    let before = request_timeouts("connect");
    let failure = carry_out(&connecting_within(SHORT), &loopback(), post(&url, "x")).await.unwrap_err();
    let expected = format!("POST {url}: no connection within 100ms (`connect_timeout`)");
    assert_eq!(failure, Failure::Unreachable(expected));
    assert!(request_timeouts("connect") > before);
}

#[tokio::test]
async fn the_time_for_connecting_is_not_for_the_reply() {
    let slow = Server::start(|mut peer| async move {
        peer.request().await;
        tokio::time::sleep(SHORT * 3).await;
        peer.say(OK).await;
    })
    .await;
    let reply = carry_out(&connecting_within(SHORT), &loopback(), post(&slow.url("/"), "x")).await;
    assert_eq!(reply.unwrap().status, 200);
}

#[tokio::test]
async fn a_reply_that_does_not_begin_runs_into_the_time_for_that() {
    let silent = Server::start(|mut peer| async move { peer.hung_up().await }).await;
    let before = request_timeouts("first_byte");
    let effects = with_endpoint("127.0.0.1", beginning_within(SHORT));
    let failure = carry_out(&effects, &loopback(), post(&silent.url("/"), "x")).await.unwrap_err();
    let expected = format!("POST {}: no reply began within 100ms (`first_byte_timeout`)", silent.url("/"));
    assert_eq!(failure, Failure::Unreachable(expected));
    assert!(request_timeouts("first_byte") > before);
}

#[tokio::test]
async fn a_reply_that_has_begun_has_the_time_of_the_whole() {
    let dripping = Server::start(|mut peer| async move {
        peer.request().await;
        peer.say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await;
        for _ in 0..5 {
            tokio::time::sleep(SHORT).await;
            peer.say("x").await;
        }
    })
    .await;
    let effects = with_endpoint("127.0.0.1", beginning_within(SHORT * 2));
    let whole = carry_out(&effects, &loopback(), post(&dripping.url("/"), "x")).await.unwrap();
    assert_eq!(whole.body.as_ref(), b"xxxxx");
    let before = request_timeouts("whole");
    let hurried = HttpRequest { timeout: Some(SHORT * 3), ..post(&dripping.url("/"), "x") };
    let failure = carry_out(&effects, &loopback(), hurried).await.unwrap_err();
    let expected = format!("POST {}: no complete reply within 300ms", dripping.url("/"));
    assert_eq!(failure, Failure::Unreachable(expected));
    assert!(request_timeouts("whole") > before);
}

#[tokio::test]
async fn the_time_to_the_first_byte_begins_with_the_connection() {
    let slow = Server::start(|mut peer| async move {
        // Nothing is read before, so the handshake waits.
        tokio::time::sleep(SHORT * 3).await;
        peer.request().await;
    })
    .await;
    let url = slow.url("/").replace("http:", "https:");
    let endpoint = Endpoint { connect_timeout: SHORT * 2, ..beginning_within(SHORT) };
    let failure = carry_out(&with_endpoint("*", endpoint), &loopback(), post(&url, "x")).await.unwrap_err();
    assert!(failure.to_string().ends_with("(`connect_timeout`)"), "{failure}");
}

#[tokio::test]
async fn each_exchange_of_a_shared_connection_has_its_own_time() {
    let root = Authority::new();
    let secure = Secure::with(&root, None, &["h2"]).await;
    let effects = Effects::with_roots(root.pem().as_bytes()).unwrap();
    configure(&effects, "localhost", beginning_within(SHORT * 5));
    let (silent, quick) = (secure.url("/silent"), secure.url("/"));
    let allowance = allowance();
    let waits = carry_out(&effects, &allowance, post(&silent, "x"));
    let others = async {
        for _ in 0..10 {
            tokio::time::sleep(SHORT / 2).await;
            assert_eq!(carry_out(&effects, &allowance, post(&quick, "x")).await.unwrap().status, 200);
        }
    };
    let (failure, ()) = tokio::join!(waits, others);
    assert!(failure.unwrap_err().to_string().ends_with("(`first_byte_timeout`)"));
}
