//! The dialect of push stream, byte by byte where its server was seen to answer so.

use super::*;
use crate::config::PushStream;

/// What the module's own client for browsers wants.
const TEMPLATE: &str = r#"{"id":~id~,"channel":"~channel~","text":"~text~","tag":"~tag~","time":"~time~"}"#;

fn dialect(template: &str) -> config::Edge {
    let dialect = PushStream { template: template.to_owned(), open: true };
    config::Edge { push_stream: Some(dialect), ..settings() }
}

/// Sends a request and returns the whole answer, whose connection ends.
async fn asked(edge: &Edge, method: &str, path: &str, headers: &str, body: &str) -> String {
    let mut client = Client::connect(edge).await;
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    client
        .say(&format!("{method} {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{headers}{length}\r\n{body}"))
        .await;
    client.rest().await
}

async fn post(edge: &Edge, id: &str, body: &str) -> String {
    asked(edge, "POST", &format!("/pub?id={id}"), "", body).await
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head").1
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let found = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {answer}"))
}

#[tokio::test]
async fn publishing_answers_with_figures_of_the_channel() {
    let edge = start(&dialect("~text~"));
    let answer = post(&edge, "open1", "hello").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(header(&answer, "cache-control"), "no-cache, no-store, must-revalidate");
    assert_eq!(
        body(&answer),
        "{\"channel\": \"open1\", \"published_messages\": 1, \"stored_messages\": 1, \"subscribers\": 0}\r\n"
    );
    let several = post(&edge, "/open1/open2", "again").await;
    let infos = body(&several).split_once("\"infos\": [\r\n").expect("a list").1;
    assert!(infos.starts_with("{\"channel\": \"open1\", \"published_messages\": 2, "), "{infos}");
    assert!(infos.contains("},\r\n{\"channel\": \"open2\", ") && infos.ends_with("}\r\n]}\r\n"), "{infos}");
    let read = asked(&edge, "GET", "/pub?id=open1", "", "").await;
    assert!(body(&read).contains("\"published_messages\": 2"), "{read}");
    let all = asked(&edge, "GET", "/channels-stats?id=ALL", "", "").await;
    assert!(body(&all).contains("\"channels\": 2, \"wildcard_channels\": 0"), "{all}");
    let some = asked(&edge, "GET", "/channels-stats?id=open1*", "", "").await;
    assert!(body(&some).contains("open1") && !body(&some).contains("open2"), "{some}");
    let summary = asked(&edge, "GET", "/channels-stats", "", "").await;
    assert!(body(&summary).contains("\"published_messages\": 3, \"stored_messages\": 3"), "{summary}");
}

#[tokio::test]
async fn what_cannot_be_published_is_explained_in_known_words() {
    let edge = start(&dialect("~text~"));
    for (path, sent, status, why) in [
        ("/pub?id=open", "", "400", "Empty post requests are not allowed."),
        ("/pub", "x", "400", "No channel id provided."),
        ("/pub?id=ALL", "x", "403", "Channel id not authorized for this method."),
        ("/pub?id=a*", "x", "403", "Channel id not authorized for this method."),
    ] {
        let answer = asked(&edge, "POST", path, "", sent).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(header(&answer, "x-nginx-pushstream-explain"), why);
    }
    assert!(asked(&edge, "GET", "/pub?id=none", "", "").await.starts_with("HTTP/1.1 404 "));
    let wrong = asked(&edge, "DELETE", "/pub?id=open", "", "").await;
    assert_eq!((header(&wrong, "allow"), wrong.starts_with("HTTP/1.1 405 ")), ("GET, POST, PUT", true));
}

#[tokio::test]
async fn publishing_and_figures_take_a_token_unless_anyone_may() {
    let mut closed = dialect("~text~");
    closed.push_stream.as_mut().expect("is on").open = false;
    let edge = start(&closed);
    assert!(post(&edge, "open", "x").await.starts_with("HTTP/1.1 401 "));
    let some = token(&serde_json::json!({"exp": 9_999_999_999_u64, "publish": ["open*"]}));
    let bearer = format!("authorization: Bearer {some}\r\n");
    assert!(asked(&edge, "POST", "/pub?id=open", &bearer, "x").await.starts_with("HTTP/1.1 200 "));
    assert!(asked(&edge, "POST", "/pub?id=secret", &bearer, "x").await.starts_with("HTTP/1.1 403 "));
    assert!(asked(&edge, "GET", "/channels-stats?id=open*", &bearer, "").await.starts_with("HTTP/1.1 200 "));
    assert!(asked(&edge, "GET", "/channels-stats", &bearer, "").await.starts_with("HTTP/1.1 403 "));
    assert!(
        asked(&edge, "GET", "/sub/secret", "", "").await.starts_with("HTTP/1.1 401 "),
        "reading needs the right to it"
    );
    let mut mute = Client::websocket(&edge, "/ws/open").await;
    mute.send_frame(1, b"x").await;
    assert_eq!(mute.frame().await, (8, "\u{3}\u{fffd}".to_owned()), "who may not publish may not speak");
}

#[tokio::test]
async fn streams_bring_message_behind_message() {
    let edge = start(&dialect("~text~"));
    post(&edge, "open1", "old").await;
    post(&edge, "open1", "newer").await;
    let mut stream = Client::get(&edge, "/sub/open1.b1/open2", "").await;
    assert!(stream.until("newer").await.contains("content-type: text/plain"));
    post(&edge, "open2", "hello").await;
    post(&edge, "open1", "two").await;
    assert_eq!(stream.until("two").await, "hellotwo");
}

#[tokio::test]
async fn events_have_the_publishers_ids_and_kinds() {
    let edge = start(&dialect("<~text~>"));
    let mut events = Client::get(&edge, "/ev/open", "").await;
    assert!(events.until("\r\n\r\n: \n").await.contains("content-type: text/event-stream; charset=utf-8\r\n"));
    asked(&edge, "POST", "/pub?id=open", "event-id: e1\r\nevent-type: hit\r\n", "a\nb").await;
    assert_eq!(events.until("\n\n").await, "id: e1\nevent: hit\ndata: <a>\ndata: <b>\n\n");
    post(&edge, "open", "c").await;
    let own = events.until("\n\n").await;
    let mut again = Client::get(&edge, "/ev/open", "last-event-id: e1\r\n").await;
    assert!(again.until("data: <c>\n\n").await.contains(&own));
    post(&edge, "open", "d").await;
    let mut again = Client::get(&edge, "/ev/open", &format!("last-event-id: {}\r\n", last_id(&own))).await;
    let behind = again.until("data: <d>\n\n").await;
    assert!(!behind.contains("<c>"), "an event without an id of the publisher's is gone on from too: {behind}");
}

#[tokio::test]
async fn long_polls_go_on_by_time_and_tag_and_miss_nothing() {
    let edge = start(&dialect(TEMPLATE));
    let mut poll = Client::get(&edge, "/lp/open", "if-none-match: 0\r\nif-modified-since: null\r\n").await;
    while edge.0.shared.hub.figures("open").is_none() {
        tokio::task::yield_now().await;
    }
    post(&edge, "open", "0").await;
    let first = poll.until("}").await;
    let (mut time, mut tag) = (header(&first, "last-modified").to_owned(), header(&first, "etag").to_owned());
    assert!(body(&first).starts_with("{\"id\":1,\"channel\":\"open\",\"text\":\"0\",\"tag\":\""), "{first}");
    let mut seen = vec![0];
    for round in 0..5_u32 {
        for number in 1..=round {
            post(&edge, "open", &(seen.len() as u32 + number - 1).to_string()).await;
        }
        let since =
            format!("if-none-match: {tag}\r\nif-modified-since: {time}\r\nx-nginx-pushstream-mode: polling\r\n");
        let answer = asked(&edge, "GET", "/lp/open", &since, "").await;
        assert_eq!(answer.starts_with("HTTP/1.1 304 "), round == 0, "{answer}");
        (time, tag) = (header(&answer, "last-modified").to_owned(), header(&answer, "etag").to_owned());
        let texts = body(&answer).split("\"text\":\"").skip(1);
        seen.extend(texts.map(|text| text.split('"').next().expect("a text").parse::<u32>().expect("a number")));
    }
    assert_eq!(seen, (0..=10).collect::<Vec<_>>());
    let by_argument = format!("/lp/open?callback=cb.on&eventid=&time={}&tag=0", time.replace(' ', "%20"));
    let answer = asked(&edge, "GET", &by_argument, "", "").await;
    assert_eq!(header(&answer, "content-type"), "application/javascript");
    assert!(body(&answer).starts_with("cb.on([{\"id\":") && body(&answer).ends_with("}]);"), "{answer}");
    assert!(asked(&edge, "GET", "/lp/open?callback=alert(1)", "", "").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn what_a_client_says_over_its_websocket_is_published_to_its_channels() {
    let edge = start(&dialect("~channel~ ~id~ ~text~"));
    let (mut one, mut both) =
        (Client::websocket(&edge, "/ws/open1").await, Client::websocket(&edge, "/ws/open1/open2").await);
    both.send_frame(1, b"a").await;
    assert_eq!((both.frame().await.1, both.frame().await.1), ("open1 1 a".to_owned(), "open2 1 a".to_owned()));
    assert_eq!(one.frame().await, (1, "open1 1 a".to_owned()));
    one.send_frame(9, b"still there").await;
    assert_eq!(one.frame().await, (10, "still there".to_owned()), "a pong has what the ping had");
    let mut refused = Client::websocket(&edge, "/ws/secret").await;
    let (opcode, close) = refused.frame().await;
    assert!(opcode == 8 && close.contains("\"http_status\": 401, \"explain\":"), "{close}");
}

#[tokio::test]
async fn without_the_dialect_its_places_are_not_there() {
    let edge = start(&settings());
    for path in ["/pub?id=open", "/channels-stats", "/sub/open", "/ev/open", "/lp/open"] {
        assert!(asked(&edge, "GET", path, "", "").await.starts_with("HTTP/1.1 404 "), "{path}");
    }
}
