//! How connections are shared, lost and let go.

use super::*;

#[tokio::test]
async fn exchanges_one_after_the_other_share_a_connection() {
    let server = Server::answering(OK).await;
    let (effects, allowance) = (Effects::new().unwrap(), loopback());
    for _ in 0..3 {
        carry_out(&effects, &allowance, post(&server.url("/"), "x")).await.unwrap();
    }
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_never_sent_again() {
    let server = Server::start(|mut peer| async move {
        peer.request().await;
        peer.say(OK).await;
        peer.request().await;
    })
    .await;
    let (effects, allowance) = (Effects::new().unwrap(), loopback());
    carry_out(&effects, &allowance, post(&server.url("/first"), "x")).await.unwrap();
    let failure = carry_out(&effects, &allowance, post(&server.url("/second"), "x")).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable(_)), "{failure:?}");
    assert_eq!(server.heard().concat().matches("/second").count(), 1);
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_no_request() {
    let server = Server::answering_once(OK).await;
    let (effects, allowance) = (Effects::new().unwrap(), loopback());
    for _ in 0..20 {
        carry_out(&effects, &allowance, post(&server.url("/"), "x")).await.unwrap();
        // The server has hung up by now; its client cannot be asked whether it has noticed.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.heard().len(), 20);
}

#[tokio::test]
async fn a_connection_that_the_server_closes_is_let_go_though_nobody_wants_it() {
    let (gone, mut seen) = tokio::sync::mpsc::channel(1);
    let server = Server::start(move |mut peer| {
        let gone = gone.clone();
        async move {
            peer.request().await;
            peer.say(OK).await;
            peer.stream.shutdown().await.unwrap();
            peer.hung_up().await;
            gone.send(()).await.unwrap();
        }
    })
    .await;
    let effects = Effects::new().unwrap();
    let mut tending = JoinSet::new();
    tending.spawn(effects.clone().tend());
    carry_out(&effects, &loopback(), post(&server.url("/"), "x")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), seen.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_a_body_without_reading_it_is_heard() {
    let server = Server::start(|mut peer| async move {
        peer.say("HTTP/1.1 413 Too long\r\ncontent-length: 0\r\n\r\n").await;
        std::future::pending().await
    })
    .await;
    let (effects, allowance) = (Effects::new().unwrap(), loopback());
    for _ in 0..2 {
        let body = Bytes::from(vec![b'x'; 32 << 20]);
        let reply = carry_out(&effects, &allowance, HttpRequest { body, ..request("POST", &server.url("/")) }).await;
        assert_eq!(reply.unwrap().status, 413);
    }
    assert_eq!(server.heard().len(), 2, "half a request is on the first");
}

#[tokio::test]
async fn dropping_an_exchange_hangs_up() {
    let (gone, mut seen) = tokio::sync::mpsc::channel(1);
    let server = Server::start(move |mut peer| {
        let gone = gone.clone();
        async move {
            peer.request().await;
            peer.hung_up().await;
            gone.send(()).await.unwrap();
        }
    })
    .await;
    let (effects, allowance) = (Effects::new().unwrap(), loopback());
    let exchange = carry_out(&effects, &allowance, post(&server.url("/"), "x"));
    assert!(tokio::time::timeout(Duration::from_millis(100), exchange).await.is_err());
    tokio::time::timeout(Duration::from_secs(2), seen.recv()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_at_once_all_get_their_reply() {
    let server = Server::answering(OK).await;
    let (effects, allowance) = (Effects::new().unwrap(), Arc::new(loopback()));
    let mut tasks = JoinSet::new();
    for number in 0..300 {
        let (effects, allowance) = (effects.clone(), allowance.clone());
        let wanted = post(&server.url(&format!("/{number}")), "x");
        tasks.spawn(async move { carry_out(&effects, &allowance, wanted).await });
    }
    while let Some(reply) = tasks.join_next().await {
        assert_eq!(reply.unwrap().unwrap().status, 200);
    }
    assert_eq!(server.heard().concat().matches("POST ").count(), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bound_on_requests_at_once_bounds_connections() {
    const MOST: usize = 3;
    let open = Arc::new(tokio::sync::Semaphore::new(2 * MOST));
    let server = Server::start(move |mut peer| {
        // One that is still being made when another becomes free is there beside it.
        let place = open.clone().try_acquire_owned().ok();
        async move {
            while place.is_some() && peer.request().await {
                peer.say(OK).await;
            }
        }
    })
    .await;
    let effects = with_endpoint("127.0.0.1", Endpoint { in_flight: MOST, ..Endpoint::default() });
    let allowance = Arc::new(loopback());
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let (effects, allowance, url) = (effects.clone(), allowance.clone(), server.url("/"));
        tasks.spawn(async move {
            for _ in 0..20 {
                assert_eq!(carry_out(&effects, &allowance, post(&url, "x")).await.unwrap().status, 200);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(server.heard().concat().matches("POST ").count(), 1_000);
}
