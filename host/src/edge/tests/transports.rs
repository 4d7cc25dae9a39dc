//! Each way to read channels.

use super::*;

#[tokio::test]
async fn events_come_as_they_are_published() {
    let edge = start(&settings());
    let mut client = Client::get(&edge, "/sse/open", "").await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-type: text/event-stream\r\n"), "{head}");
    let begin = client.until("\n\n").await;
    assert!(
        begin.starts_with("retry: 2000\nid: ") && begin.ends_with("event: gristmill\ndata: {\"subscribed\":true}\n\n"),
        "{begin}"
    );
    let id = edge.publish("open", Some("hit"), Bytes::from_static(b"a\nb")).await.expect("is published");
    assert_eq!(client.until("\n\n").await, format!("id: {id}\nevent: hit\ndata: a\ndata: b\n\n"));
    publish(&edge, "other", "not for us").await;
    let id = publish(&edge, "open", "c").await;
    assert_eq!(client.until("\n\n").await, format!("id: {id}\ndata: c\n\n"));
}

#[tokio::test]
async fn who_comes_back_gets_what_it_has_missed_and_is_told_whether_that_is_all() {
    let mut few = settings();
    few.channels[0].1.history.messages = 3;
    let edge = start(&few);
    let mut client = Client::get(&edge, "/sse/open", "").await;
    let begin = client.until("true}\n\n").await;
    drop(client);
    for number in 0..3 {
        publish(&edge, "open", &number.to_string()).await;
    }
    let back = format!("last-event-id: {}\r\n", last_id(&begin));
    let mut client = Client::get(&edge, "/sse/open", &back).await;
    let text = client.until("data: 2\n\n").await;
    assert!(text.contains("\"recovered\":true") && numbers(&text) == [0, 1, 2], "{text}");
    publish(&edge, "open", "3").await;
    assert_eq!(numbers(&client.until("data: 3\n\n").await), [3]);
    let mut client = Client::get(&edge, "/sse/open", &back).await;
    let text = client.until("data: 3\n\n").await;
    assert!(text.contains("\"recovered\":false") && numbers(&text) == [1, 2, 3], "{text}");
    let mut client = Client::get(&edge, "/sse/open?last=2", "").await;
    let text = client.until("data: 3\n\n").await;
    assert!(!text.contains("recovered") && numbers(&text) == [2, 3], "{text}");
}

#[tokio::test]
async fn several_channels_come_in_the_order_of_publishing_and_are_named() {
    let edge = start(&settings());
    let mut client = Client::get(&edge, "/sse/open1/open2", "").await;
    client.until("true}\n\n").await;
    for number in 0..40 {
        publish(&edge, if number % 3 == 0 { "open1" } else { "open2" }, &number.to_string()).await;
    }
    let text = client.until("\"data\":\"39\"}\n\n").await;
    let data: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(data.len(), 40);
    for (number, data) in data.iter().enumerate() {
        let object: serde_json::Value = serde_json::from_str(data).expect("is JSON");
        assert_eq!(object["data"], number.to_string());
        assert_eq!(object["channel"], if number % 3 == 0 { "open1" } else { "open2" });
    }
}

#[tokio::test]
async fn a_stream_has_an_object_a_line() {
    let edge = start(&settings());
    let mut client = Client::get(&edge, "/stream/open", "").await;
    let begin = client.until("}\n").await;
    assert!(begin.ends_with("\"gristmill\":{\"subscribed\":true}}\n"), "{begin}");
    let id = publish(&edge, "open", "\"x\"").await;
    let line = client.until("\n").await;
    assert_eq!(line, format!("{{\"id\":\"{id}\",\"channel\":\"open\",\"data\":\"\\\"x\\\"\"}}\n"));
}

#[tokio::test]
async fn a_websocket_has_an_object_a_frame_and_is_closed_as_it_should_be() {
    let edge = start(&settings());
    let mut client = Client::websocket(&edge, "/ws/open").await;
    assert!(client.frame().await.1.ends_with("\"gristmill\":{\"subscribed\":true}}"));
    let id = publish(&edge, "open", &"x".repeat(200)).await;
    let (opcode, text) = client.frame().await;
    assert_eq!(
        (opcode, text),
        (1, format!("{{\"id\":\"{id}\",\"channel\":\"open\",\"data\":\"{}\"}}", "x".repeat(200)))
    );
    client.send_frame(9, b"hi").await;
    assert_eq!(client.frame().await, (10, "hi".to_owned()));
    client.send_frame(8, &[0x03, 0xe8]).await;
    assert_eq!(client.frame().await, (8, "\u{3}\u{fffd}".to_owned()));
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_websocket_that_breaks_the_protocol_is_told_so() {
    let edge = start(&settings());
    for (opcode, payload, code) in [(3, &b""[..], 1002), (1, b"\xff", 1007), (1, b"hello", 1003), (8, b"x", 1002)] {
        let mut client = Client::websocket(&edge, "/ws/open").await;
        client.frame().await;
        client.send_frame(opcode, payload).await;
        while !client.read.ends_with(&u16::to_be_bytes(code)) {
            assert!(client.more().await, "{code}: {}", client.shown());
        }
    }
}

#[tokio::test]
async fn a_poll_is_answered_when_there_is_something_and_the_connection_stays() {
    let edge = start(&settings());
    let mut client = Client::get(&edge, "/poll/open", "").await;
    assert!(timeout(Duration::from_millis(200), client.stream.readable()).await.is_err(), "there is nothing yet");
    let id = publish(&edge, "open", "1").await;
    let answer = client.until("]}").await;
    assert!(
        answer.ends_with(&format!(
            "{{\"id\":\"{id}\",\"messages\":[{{\"id\":\"{id}\",\"channel\":\"open\",\"data\":\"1\"}}]}}"
        )),
        "{answer}"
    );
    publish(&edge, "open", "2").await;
    let id3 = publish(&edge, "open", "3").await;
    client.say(&format!("GET /poll/open?last_event_id={id} HTTP/1.1\r\nhost: h\r\n\r\n")).await;
    let answer = client.until("]}").await;
    assert!(answer.contains(&format!("{{\"id\":\"{id3}\",\"recovered\":true,\"messages\":[")), "{answer}");
    assert!(answer.contains("\"data\":\"2\"}") && answer.contains("\"data\":\"3\"}"), "{answer}");
}

#[tokio::test]
async fn a_poll_that_has_waited_long_enough_is_answered_with_nothing() {
    let mut hasty = settings();
    hasty.timeouts.ping = Duration::from_secs(1);
    let edge = start(&hasty);
    let id = publish(&edge, "open", "1").await;
    let mut client = Client::get(&edge, &format!("/poll/open?last_event_id={id}"), "").await;
    let answer = client.until("]}").await;
    assert!(answer.ends_with(&format!("{{\"id\":\"{id}\",\"recovered\":true,\"messages\":[]}}")), "{answer}");
}

#[tokio::test]
async fn what_gathers_while_it_is_busy_comes_together_and_in_order() {
    let edge = start(&config::Edge { coalesce: Duration::from_millis(50), ..settings() });
    let mut client = Client::get(&edge, "/sse/open", "").await;
    client.until("true}\n\n").await;
    for number in 0..100 {
        publish(&edge, "open", &number.to_string()).await;
    }
    let text = client.until("data: 99\n\n").await;
    assert_eq!(numbers(&text), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn signs_of_life_come_by_themselves() {
    let mut hasty = settings();
    hasty.timeouts.ping = Duration::from_secs(1);
    let edge = start(&hasty);
    let mut events = Client::get(&edge, "/sse/open", "").await;
    events.until("true}\n\n").await;
    let mut frames = Client::websocket(&edge, "/ws/open").await;
    frames.frame().await;
    assert_eq!(events.until(":\n\n").await, ":\n\n");
    assert_eq!(frames.frame().await, (9, String::new()));
}
