//! Clients that are slow, silent, too many, or up to no good.

use super::*;

#[tokio::test]
async fn who_sends_no_head_is_not_waited_for() {
    let mut hasty = settings();
    hasty.timeouts.head = Duration::from_millis(200);
    let edge = start(&hasty);
    let mut silent = Client::connect(&edge).await;
    assert_eq!(silent.rest().await, "");
    let mut slow = Client::connect(&edge).await;
    slow.say("GET /sse/open HTTP/1.1\r\nhost: ").await;
    assert_eq!(slow.rest().await, "");
    assert_eq!(edge.connections(), 0);
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let edge = start(&settings());
    let mut client = Client::connect(&edge).await;
    client.say(&format!("GET /sse/open HTTP/1.1\r\nx: {}", "x".repeat(16 << 10))).await;
    assert!(client.until("\r\n").await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn more_from_one_address_than_allowed_are_turned_away() {
    let mut few = settings();
    few.limits.per_address = 2;
    let edge = start(&few);
    let mut first = Client::get(&edge, "/sse/open", "").await;
    first.until("true}\n\n").await;
    let mut second = Client::get(&edge, "/sse/open", "").await;
    second.until("true}\n\n").await;
    let mut third = Client::connect(&edge).await;
    assert!(third.until("\r\n").await.starts_with("HTTP/1.1 429 "));
    drop(first);
    while edge.connections() > 1 {
        tokio::task::yield_now().await;
    }
    Client::get(&edge, "/sse/open", "").await.until("true}\n\n").await;
}

#[tokio::test]
async fn a_websocket_that_gives_no_sign_of_life_is_closed() {
    let mut hasty = settings();
    (hasty.timeouts.ping, hasty.timeouts.pong) = (Duration::from_secs(1), Duration::from_secs(1));
    let edge = start(&hasty);
    let mut client = Client::websocket(&edge, "/ws/open").await;
    let text = client.rest().await;
    assert!(text.contains("{\"bye\":\"silent\""), "{text}");
}

/// Publishes so much that slow clients have more waiting than they may, and others have not.
async fn flood(edge: &Edge, count: u32) {
    let filling = "x".repeat(10_000);
    for number in 0..count {
        publish(edge, "open", &format!("{number}\n{filling}")).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn heavy(slow: Slow) -> config::Edge {
    let mut heavy = config::Edge { slow, ..settings() };
    heavy.channels[0].1.history.messages = 1_000;
    heavy.channels[0].1.history.bytes = 64 << 20;
    heavy.limits.queue_bytes = 128 << 10;
    heavy.timeouts.stall = Duration::from_secs(60);
    heavy
}

#[tokio::test]
async fn stalled_clients_change_nothing_for_others_and_lose_nothing() {
    let edge = start(&heavy(Slow::Close));
    let mut stalled = Vec::new();
    for _ in 0..50 {
        let client = Client::narrow(&edge).await;
        stalled.push(client);
    }
    for client in &mut stalled {
        client.say("GET /sse/open HTTP/1.1\r\nhost: h\r\n\r\n").await;
        client.until("true}\n\n").await;
    }
    let mut readers = Vec::new();
    for _ in 0..20 {
        let mut client = Client::get(&edge, "/sse/open", "").await;
        client.until("true}\n\n").await;
        readers.push(client);
    }
    let read = readers.iter_mut().map(|client| async { numbers(&client.until("data: 199\n").await) });
    let (all, ()) = tokio::join!(futures_util::future::join_all(read), flood(&edge, 200));
    assert!(all.iter().all(|numbers| *numbers == (0..200).collect::<Vec<_>>()));
    for mut client in stalled.into_iter().take(5) {
        let text = client.rest().await;
        assert!(text.contains("{\"bye\":\"lagged\""), "{} bytes", text.len());
        let complete = text.rfind("\n\nretry: ").expect("ends with a word");
        let seen = text.get(..complete).expect("is text");
        let back = format!("last-event-id: {}\r\n", last_id(seen));
        let mut again = Client::get(&edge, "/sse/open", &back).await;
        let more = again.until("data: 199\n").await;
        assert!(more.contains("\"recovered\":true"));
        let all: Vec<u32> = numbers(seen).into_iter().chain(numbers(&more)).collect();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_slow_client_may_miss_the_oldest_and_is_told_where() {
    let edge = start(&heavy(Slow::Drop));
    let mut client = Client::narrow(&edge).await;
    client.say("GET /sse/open HTTP/1.1\r\nhost: h\r\n\r\n").await;
    client.until("true}\n\n").await;
    flood(&edge, 200).await;
    let text = client.until("data: 199\n").await;
    let seen = numbers(&text);
    assert!(seen.len() < 200 && seen.is_sorted(), "{seen:?}");
    let gap = text.find("{\"gap\":true}").expect("it is told");
    let jump = seen.windows(2).find(|pair| pair[1] > pair[0] + 1).expect("some are missing");
    let (before, after) = (text.find(&format!("data: {}\n", jump[0])), text.find(&format!("data: {}\n", jump[1])));
    assert!(before < Some(gap) && Some(gap) < after, "{jump:?}");
}

#[tokio::test]
async fn a_client_that_takes_nothing_for_too_long_is_cut_off() {
    let mut hasty = heavy(Slow::Close);
    hasty.timeouts.stall = Duration::from_secs(1);
    hasty.limits.queue_bytes = 64 << 20;
    let edge = start(&hasty);
    let mut client = Client::narrow(&edge).await;
    client.say("GET /sse/open HTTP/1.1\r\nhost: h\r\n\r\n").await;
    client.until("true}\n\n").await;
    flood(&edge, 50).await;
    let gone = async {
        while edge.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, gone).await.expect("it is cut off");
}
