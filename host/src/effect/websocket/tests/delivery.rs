//! What counts as sent, and what is left when a connection ends.

use super::{faults::refused, *};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

/// Sends each of `numbers`, again where it failed; which ones were sent at the first attempt.
async fn send_until_sent(plugin: &Plugin, url: &str, numbers: &[String]) -> Vec<String> {
    let mut left: Vec<String> = numbers.to_vec();
    let mut at_first = None;
    for _ in 0..100 {
        let sent = join_all(left.iter().map(|number| plugin.send(text(url, number)))).await;
        let (done, failed): (Vec<_>, Vec<_>) = left.into_iter().zip(sent).partition(|(_, sent)| sent.is_ok());
        at_first.get_or_insert_with(|| done.into_iter().map(|(number, _)| number).collect());
        left = failed.into_iter().map(|(number, _)| number).collect();
        if left.is_empty() {
            return at_first.unwrap();
        }
    }
    panic!("{} are still not sent", left.len());
}

#[tokio::test]
async fn a_message_that_the_system_has_taken_and_the_server_has_not_read_is_not_sent() {
    let server = Server::start(|number, mut socket, heard| async move {
        if number == 0 {
            // The bytes have come, and nobody reads a message out of them.
            socket.get_mut().read_u8().await.unwrap();
            return;
        }
        while next(&mut socket, &heard).await.is_some() {}
    })
    .await;
    let plugin = Plugin::new();
    refused(plugin.send(text(&server.url(), "one")).await, "unreachable", "not confirmed: ");
    assert_eq!(plugin.send(text(&server.url(), "one")).await, Ok(None));
    assert_eq!(server.heard(), ["one"]);
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back_misses_nothing() {
    let server = Server::start(|number, mut socket, heard| async move {
        let mut some = 0;
        while next(&mut socket, &heard).await.is_some() {
            some += 1;
            if number < 5 && some == 7 {
                // In the middle of what it was sent.
                socket.close(Some(CloseFrame { code: CloseCode::Away, reason: "restart".into() })).await.ok();
                return;
            }
        }
    })
    .await;
    let plugin = Plugin::new();
    let mut numbers: Vec<String> = (100..300).map(|number| number.to_string()).collect();
    let at_first = send_until_sent(&plugin, &server.url(), &numbers).await;
    assert!(at_first.len() < numbers.len(), "it went in the middle");
    let mut heard = server.heard();
    heard.sort_unstable();
    heard.dedup();
    numbers.sort_unstable();
    assert_eq!(heard, numbers);
    assert!(server.connections() > 5, "{}", server.connections());
}

#[tokio::test]
async fn what_a_server_judges_is_refused_if_it_was_alone() {
    for (code, kind, shown) in [
        (CloseCode::Size, "invalid", "not confirmed: the server closed the connection: 1009 so there"),
        (CloseCode::Unsupported, "invalid", "1003 so there"),
        (CloseCode::Invalid, "invalid", "1007 so there"),
        (CloseCode::Policy, "unreachable", "1008 so there"),
        (CloseCode::Away, "unreachable", "1001 so there"),
        (CloseCode::Error, "unreachable", "1011 so there"),
    ] {
        let server = Server::start(move |_, mut socket, heard| async move {
            next(&mut socket, &heard).await;
            socket.close(Some(CloseFrame { code, reason: "so there".into() })).await.ok();
            while next(&mut socket, &heard).await.is_some() {}
        })
        .await;
        refused(Plugin::new().send(text(&server.url(), "x")).await, kind, shown);
    }
}

#[tokio::test]
async fn of_several_none_is_refused_for_what_one_of_them_was() {
    let server = Server::start(|number, mut socket, heard| async move {
        while let Some(message) = next(&mut socket, &heard).await {
            if message == "poison" {
                socket.close(Some(CloseFrame { code: CloseCode::Size, reason: "".into() })).await.ok();
                while socket.next().await.is_some() {}
            } else if number > 0 {
                socket.send(Message::text("fine")).await.ok();
            }
        }
    })
    .await;
    let plugin = Plugin::new();
    let together = ["good", "poison"].map(|body| plugin.send(asking(&server.url(), body)));
    for sent in join_all(together).await {
        refused(sent, "unreachable", "1009");
    }
    refused(plugin.send(asking(&server.url(), "poison")).await, "invalid", "1009");
    assert_eq!(plugin.send(asking(&server.url(), "good")).await, Ok(Some(Bytes::from_static(b"fine"))));
}

#[tokio::test]
async fn pings_of_the_server_are_answered() {
    let server = Server::start(|_, mut socket, heard| async move {
        next(&mut socket, &heard).await;
        socket.send(Message::Ping(Bytes::from_static(b"are you there"))).await.ok();
        while let Some(Ok(message)) = socket.next().await {
            if message == Message::Pong(Bytes::from_static(b"are you there")) {
                socket.send(Message::text("you are")).await.ok();
            }
        }
    })
    .await;
    assert_eq!(Plugin::new().send(asking(&server.url(), "x")).await, Ok(Some(Bytes::from_static(b"you are"))));
}

#[tokio::test]
async fn pongs_that_nobody_asked_for_confirm_nothing() {
    let server = Server::raw(|_, mut stream, head| async move {
        let pong = |content: &[u8]| [&[0x8a, content.len() as u8], content].concat();
        stream.write_all(agreed(&head).as_bytes()).await.ok();
        stream.write_all(&[pong(b""), pong(b"I am here"), pong(b"and there")].concat()).await.ok();
        while let Ok(1..) = stream.read(&mut [0; 4096]).await {}
    })
    .await;
    let send = WebSocketSend { timeout: Some(Duration::from_millis(150)), ..text(&server.url(), "x") };
    refused(Plugin::new().send(send).await, "unreachable", "has not confirmed the message within 150ms");
}
