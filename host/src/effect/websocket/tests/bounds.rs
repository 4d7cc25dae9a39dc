//! How many connections there are, how long, and what servers say of how much they want.

use super::{faults::refused, *};
use crate::{
    effect::{self, Effects, limit::Most},
    request::{Reply, Request},
};
use tokio_util::sync::CancellationToken;

/// Notes how each connection ended.
async fn leaving() -> Server {
    Server::start(|_, mut socket, heard| async move {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(Some(frame)) = message {
                heard.lock().unwrap().push(format!("closed with {}", u16::from(frame.code)));
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_plugin_that_goes_takes_leave_of_its_servers() {
    let server = leaving().await;
    let plugin = Plugin::new();
    plugin.send(text(&server.url(), "x")).await.unwrap();
    drop(plugin.links);
    assert_eq!(server.hears(1).await, ["closed with 1000"]);
}

#[tokio::test]
async fn a_node_that_ends_takes_leave_of_all_servers() {
    let server = leaving().await;
    let plugin = Plugin::new();
    plugin.send(text(&server.url(), "x")).await.unwrap();
    plugin.sockets.finish().await;
    assert_eq!(server.hears(1).await, ["closed with 1000"]);
}

#[tokio::test]
async fn an_unused_connection_is_closed_and_another_made_when_it_is_needed() {
    let server = leaving().await;
    let pace = Pace { idle: Duration::from_millis(300), ..pace() };
    let plugin = Plugin { links: Links::of(8, pace), ..Plugin::new() };
    plugin.send(text(&server.url(), "x")).await.unwrap();
    assert_eq!(server.hears(1).await, ["closed with 1000"]);
    plugin.send(text(&server.url(), "x")).await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn connections_beyond_the_most_replace_those_that_nobody_uses() {
    let server = Server::echo().await;
    let plugin = Plugin { links: Links::of(2, pace()), ..Plugin::new() };
    let urls: Vec<String> = (0..10).map(|number| format!("{}&n={number}", server.url())).collect();
    let sent = join_all(urls.iter().map(|url| plugin.send(asking(url, "x")))).await;
    assert!(sent.iter().all(|sent| *sent == Ok(Some(Bytes::from_static(b"re: x")))), "{sent:?}");
    assert_eq!(server.connections(), 10);
    assert!(plugin.links.count() <= 2, "{}", plugin.links.count());
}

#[tokio::test]
async fn a_connection_in_use_is_not_taken_away_for_another() {
    let server = Server::start(|number, mut socket, heard| async move {
        while next(&mut socket, &heard).await.is_some() {
            tokio::time::sleep(Duration::from_millis(if number == 0 { 400 } else { 0 })).await;
            socket.send(Message::text("here")).await.ok();
        }
    })
    .await;
    let plugin = Plugin { links: Links::of(1, pace()), ..Plugin::new() };
    let other = format!("{}&other", server.url());
    let sent = tokio::join!(plugin.send(asking(&server.url(), "x")), plugin.send(asking(&other, "x")));
    let here = || Ok(Some(Bytes::from_static(b"here")));
    assert_eq!(sent, (here(), here()));
}

#[tokio::test]
async fn a_server_that_wants_to_be_left_alone_is() {
    let server = Server::raw(|_, mut stream, _| async move {
        let answer = "HTTP/1.1 503 x\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.ok();
    })
    .await;
    let effects = Effects::new().unwrap();
    let allowance = effect::Allowance::new(&settings(anywhere()));
    let (share, quiet) = (effects.share(100, Most::These(100)), CancellationToken::new());
    let request = Request::WebSocket(text(&server.url(), "x"));
    let mut admitted = effects.admit(&share, [&request], &quiet).await.unwrap();
    let Reply::WebSocket(sent) = effects.carry_out(&allowance, "k", Ok(0), request.clone(), admitted.take_pass()).await
    else {
        panic!("another reply");
    };
    refused(sent, "unreachable", "503");
    let held = effects.admit(&share, [&request], &quiet).await.unwrap_err();
    assert!(held.after > Duration::from_secs(20), "{held:?}");
}

#[test]
fn a_secure_one_is_another_server_than_one_that_is_not() {
    for (url, port) in [("ws://h/", 80), ("wss://h/", 443), ("WSS://h/", 443), ("wss://h:81/", 81)] {
        assert_eq!(crate::effect::http::port(&url.parse().unwrap()), port, "{url}");
    }
}
