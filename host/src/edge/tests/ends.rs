//! How it ends.

use super::*;

#[tokio::test]
async fn clients_are_sent_away_each_to_come_back_at_another_time() {
    let edge = start(&settings());
    let mut clients = Vec::new();
    for number in 0..40 {
        let transport = if number % 2 == 0 { "sse" } else { "stream" };
        let mut client = Client::get(&edge, &format!("/{transport}/open"), "").await;
        client.until("}\n").await;
        clients.push(client);
    }
    let mut frames = Client::websocket(&edge, "/ws/open").await;
    frames.frame().await;
    let mut poll = Client::get(&edge, "/poll/open", "").await;
    while edge.connections() < 42 {
        tokio::task::yield_now().await;
    }
    let ending = edge.clone();
    let ended = async move { ending.end(Duration::from_secs(10)).await };
    let watched = async {
        let mut times = BTreeSet::new();
        for client in &mut clients {
            let text = client.rest().await;
            let (_, time) = text.split_once("{\"bye\":\"draining\",\"retry_ms\":").expect("is told to go");
            times.insert(time.split('}').next().expect("a number").parse::<u64>().expect("a number"));
        }
        let (opcode, _) = frames.frame().await;
        assert_eq!((opcode, frames.frame().await), (1, (8, "\u{3}\u{fffd}draining".to_owned())));
        drop(frames);
        assert!(poll.rest().await.starts_with("HTTP/1.1 503 "));
        times
    };
    let ((), times) = tokio::join!(ended, watched);
    assert!(times.len() > 20, "{times:?}");
    assert!(times.iter().all(|time| (2_000..=4_000).contains(time)), "{times:?}");
    assert!(TcpStream::connect(edge.address()).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_is_published_is_written_before_clients_are_sent_away() {
    let edge = start(&settings());
    let mut client = Client::get(&edge, "/sse/open", "").await;
    client.until("true}\n\n").await;
    for number in 0..500 {
        publish(&edge, "open", &number.to_string()).await;
    }
    let (text, ()) = tokio::join!(client.rest(), edge.end(Duration::from_secs(10)));
    assert_eq!(numbers(&text), (0..500).collect::<Vec<_>>());
    assert!(text.contains("{\"bye\":\"draining\""));
}

#[tokio::test]
async fn a_port_that_is_taken_is_told() {
    let edge = start(&settings());
    let again = Edge::start(edge.address(), Settings::read(&settings()).expect("no files"));
    let told = again.expect_err("it is taken").to_string();
    assert!(told.contains("choose another `[edge] listen`"), "{told}");
}
