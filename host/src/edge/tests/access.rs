//! Who may read and publish what.

use super::*;
use serde_json::json;

fn soon() -> u64 {
    crate::edge::access::now() + 60
}

async fn answer(edge: &Edge, request: &str) -> String {
    let mut client = Client::connect(edge).await;
    client.say(request).await;
    let head = client.until("\r\n\r\n").await;
    head + &client.until("\n").await
}

fn post(channel: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST /publish/{channel} HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn a_channel_is_read_with_a_token_that_names_it_and_not_otherwise() {
    let edge = start(&settings());
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n");
    let good = token(&json!({ "exp": soon(), "read": ["user.7.*"] }));
    let old = token(&json!({ "exp": soon() - 120, "read": ["user.7.*"] }));
    for transport in ["sse", "stream", "poll"] {
        for (path, status) in [
            ("user.7.mail".to_owned(), "401"),
            (format!("user.8.mail?access_token={good}"), "403"),
            (format!("user.7.mail/user.8.mail?access_token={good}"), "403"),
            (format!("user.7.mail?access_token={old}"), "401"),
            (format!("user.7.mail?access_token={good}x"), "401"),
        ] {
            let answer = answer(&edge, &get(&format!("/{transport}/{path}"))).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        }
    }
    assert_eq!(edge.0.shared.hub.size().0, 0, "nothing of them has been looked at");
    let mut client = Client::get(&edge, "/sse/user.7.mail", &format!("authorization: Bearer {good}\r\n")).await;
    client.until("true}\n\n").await;
    publish(&edge, "user.7.mail", "1").await;
    client.until("data: 1\n\n").await;
}

#[tokio::test]
async fn a_token_that_ends_ends_the_connection() {
    let mut hasty = settings();
    hasty.timeouts.ping = Duration::from_secs(1);
    let edge = start(&hasty);
    let short = token(&json!({ "exp": soon() - 58, "read": ["a"] }));
    let mut client = Client::get(&edge, &format!("/sse/a?access_token={short}"), "").await;
    let text = client.rest().await;
    assert!(text.contains("{\"bye\":\"expired\""), "{text}");
}

#[tokio::test]
async fn publishing_takes_a_token_too() {
    let edge = start(&settings());
    let may = format!("authorization: Bearer {}\r\n", token(&json!({ "exp": soon(), "publish": ["open"] })));
    let reads = format!("authorization: Bearer {}\r\n", token(&json!({ "exp": soon(), "read": ["*"] })));
    let mut client = Client::get(&edge, "/sse/open", "").await;
    client.until("true}\n\n").await;
    let told = answer(&edge, &post("open?event=hit", &may, "hello")).await;
    assert!(told.starts_with("HTTP/1.1 200 ") && told.contains("{\"id\":\""), "{told}");
    assert!(client.until("\n\n").await.ends_with("event: hit\ndata: hello\n\n"));
    for (channel, headers, body, status) in [
        ("open", "", "x", "401"),
        ("open", &*reads, "x", "403"),
        ("open2", &*may, "x", "403"),
        ("", &*may, "x", "400"),
        ("open/open2", &*may, "x", "400"),
        ("open?event=a%0ab", &*may, "x", "400"),
    ] {
        let told = answer(&edge, &post(channel, headers, body)).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{channel}: {told}");
    }
    let told = answer(&edge, &post("open", &may, &"x".repeat((256 << 10) + 1))).await;
    assert!(told.starts_with("HTTP/1.1 413 "), "{told}");
    let mut client = Client::connect(&edge).await;
    client.say(&format!("POST /publish/open HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n{may}\r\n")).await;
    client.stream.write_all(b"\xff").await.expect("is sent");
    assert!(client.until("\r\n").await.starts_with("HTTP/1.1 400 "));
    let told = answer(&edge, "GET /publish/open HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert!(told.starts_with("HTTP/1.1 405 "), "{told}");
}

#[tokio::test]
async fn a_connection_that_has_published_may_read() {
    let edge = start(&settings());
    let may = format!("authorization: Bearer {}\r\n", token(&json!({ "exp": soon(), "publish": ["open"] })));
    let mut client = Client::connect(&edge).await;
    for number in 0..3 {
        client.say(&post("open", &may, &number.to_string())).await;
        client.until("\"}\n").await;
    }
    client.say("GET /sse/open?last=2 HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert_eq!(numbers(&client.until("data: 2\n\n").await), [1, 2]);
    publish(&edge, "open", "3").await;
    client.until("data: 3\n\n").await;
}

#[tokio::test]
async fn pages_of_other_hosts_need_leave() {
    let origins = vec!["https://app.example.com".to_owned()];
    let edge = start(&config::Edge { origins, ..settings() });
    let get = |origin: &str| format!("GET /sse/open HTTP/1.1\r\nhost: h\r\norigin: {origin}\r\n\r\n");
    let told = answer(&edge, &get("https://evil.example.com")).await;
    assert!(told.starts_with("HTTP/1.1 403 "), "{told}");
    let told = answer(&edge, &get("https://app.example.com")).await;
    assert!(told.contains("access-control-allow-origin: https://app.example.com\r\n"), "{told}");
    let mut client = Client::connect(&edge).await;
    client.say("OPTIONS /publish/open HTTP/1.1\r\nhost: h\r\norigin: https://app.example.com\r\n\r\n").await;
    let told = client.until("\r\n\r\n").await;
    assert!(
        told.starts_with("HTTP/1.1 204 ") && told.contains("access-control-allow-methods: GET, POST, PUT\r\n"),
        "{told}"
    );
    let told = answer(&edge, &post("open", "origin: https://evil.example.com\r\n", "x")).await;
    assert!(told.starts_with("HTTP/1.1 403 "), "{told}");
}

#[tokio::test]
async fn keys_can_be_changed_while_it_runs() {
    let edge = start(&settings());
    let good = token(&json!({ "exp": soon(), "read": ["a"] }));
    let path = format!("GET /sse/a?access_token={good} HTTP/1.1\r\nhost: h\r\n\r\n");
    assert!(answer(&edge, &path).await.starts_with("HTTP/1.1 200 "));
    let other = config::Edge { token_secret: Some("x".repeat(32)), ..settings() };
    edge.configure(Settings::read(&other).expect("no files"));
    assert!(answer(&edge, &path).await.starts_with("HTTP/1.1 401 "));
}
