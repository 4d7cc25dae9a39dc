//! What is refused, and what breaks.

use super::*;

fn why(result: Result<Option<Bytes>, Failure>) -> (&'static str, String) {
    match result.unwrap_err() {
        Failure::Denied(why) => ("denied", why),
        Failure::Invalid(why) => ("invalid", why),
        Failure::Unreachable(why) => ("unreachable", why),
        Failure::TooLarge(why) => ("too large", why),
    }
}

#[track_caller]
pub(super) fn refused(result: Result<Option<Bytes>, Failure>, kind: &str, text: &str) {
    let (known, why) = why(result);
    assert!(known == kind && why.contains(text), "{known}: {why}");
    assert!(!why.contains("token"), "{why}");
}

#[tokio::test]
async fn only_granted_hosts_are_connected_to() {
    let server = Server::silent().await;
    let none = Plugin::granted(vec![]);
    refused(none.send(text(&server.url(), "")).await, "denied", "`allow_http` does not name");
    let any = Plugin::granted(vec![HttpGrant { host: HostPattern::Any, port: None }]);
    refused(any.send(text(&server.url(), "")).await, "denied", "is not a public address");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_is() {
    let server = Server::silent().await;
    let plugin = Plugin::new();
    let http = server.url().replace("ws://", "http://");
    refused(plugin.send(text(&http, "")).await, "invalid", "neither `ws` nor `wss`");
    let binary = WebSocketSend { body: Bytes::from_static(&[0xff]), ..text(&server.url(), "") };
    refused(plugin.send(binary).await, "invalid", "has to be UTF-8");
    for name in ["Sec-WebSocket-Key", "upgrade", "host"] {
        let headers = vec![(name.to_owned(), "x".to_owned())];
        refused(
            plugin.send(WebSocketSend { headers, ..text(&server.url(), "") }).await,
            "invalid",
            "is the host's to set",
        );
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_server_that_refuses_is_judged_by_its_status() {
    for (answer, kind, text_) in [
        ("HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n", "unreachable", "503"),
        ("HTTP/1.1 401 x\r\ncontent-length: 0\r\n\r\n", "invalid", "401"),
        ("HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n", "invalid", "instead of switching"),
        ("HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", "invalid", "does not speak WebSocket"),
    ] {
        let server = Server::raw(move |_, mut stream, _| async move {
            stream.write_all(answer.as_bytes()).await.ok();
        })
        .await;
        refused(Plugin::new().send(text(&server.url(), "x")).await, kind, text_);
    }
}

#[tokio::test]
async fn a_broken_connection_fails_who_waits_and_is_made_anew_for_the_next() {
    let server = Server::start(|number, mut socket, heard| async move {
        while let Some(message) = next(&mut socket, &heard).await {
            if number == 0 {
                return;
            }
            socket.send(Message::text(format!("re: {message}"))).await.ok();
        }
    })
    .await;
    let plugin = Plugin::new();
    refused(plugin.send(asking(&server.url(), "one")).await, "unreachable", "no answer: the connection");
    assert_eq!(plugin.send(asking(&server.url(), "two")).await, Ok(Some(Bytes::from_static(b"re: two"))));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_answer_that_is_late_is_nobody_elses() {
    let server = Server::start(|number, mut socket, heard| async move {
        while let Some(message) = next(&mut socket, &heard).await {
            if number == 0 {
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
            socket.send(Message::text(format!("re: {message}"))).await.ok();
        }
    })
    .await;
    let plugin = Plugin::new();
    let timeout = Some(Duration::from_millis(100));
    let late = plugin.send(WebSocketSend { timeout, ..asking(&server.url(), "one") }).await;
    refused(late, "unreachable", "no answer within 100ms");
    let next = plugin.send(asking(&server.url(), "two")).await;
    assert!(matches!(&next, Ok(Some(answer)) if answer == "re: two") || next.is_err(), "{next:?}");
    assert_eq!(plugin.send(asking(&server.url(), "three")).await, Ok(Some(Bytes::from_static(b"re: three"))));
}

#[tokio::test]
async fn a_server_that_gives_no_sign_of_life_is_given_up() {
    let server = Server::raw(|_, mut stream, head| async move {
        stream.write_all(agreed(&head).as_bytes()).await.ok();
        // It reads, and answers no ping.
        while let Ok(1..) = stream.read(&mut [0; 4096]).await {}
    })
    .await;
    let plugin = Plugin::new();
    refused(plugin.send(asking(&server.url(), "x")).await, "unreachable", "no sign of life");
}

#[tokio::test]
async fn a_message_of_the_server_that_is_too_long_ends_the_connection() {
    let server = Server::start(|_, mut socket, heard| async move {
        next(&mut socket, &heard).await;
        socket.send(Message::text("x".repeat(100_000))).await.ok();
        next(&mut socket, &heard).await;
    })
    .await;
    refused(Plugin::new().send(asking(&server.url(), "x")).await, "unreachable", "longer than `http_response_kib`");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again_by_the_next_message() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    let plugin = Plugin::new();
    for _ in 0..3 {
        refused(plugin.send(text(&url, "x")).await, "unreachable", "connection refused");
    }
}
