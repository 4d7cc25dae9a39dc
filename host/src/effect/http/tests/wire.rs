//! What is sent, and what becomes of every kind of answer.

use super::*;

fn status_and_body(reply: Result<HttpReply, Failure>) -> (u16, String) {
    let reply = reply.unwrap();
    (reply.status, String::from_utf8(reply.body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_request_arrives_as_written_with_the_defaults_it_lacks() {
    let server = Server::answering(OK).await;
    let mut request = post(&server.url("/events?auth=1"), "hello");
    request.headers = vec![("X-One".into(), "a".into()), ("x-one".into(), "ä".into())];
    assert_eq!(status_and_body(reply_to(request).await), (200, "ok".into()));
    let expected = format!(
        "POST /events?auth=1 HTTP/1.1\r\nx-one: a\r\nx-one: ä\r\nidempotency-key: message-1/pusher\r\nuser-agent: gristmill/{}\r\n\
         accept-encoding: gzip\r\nhost: {}\r\ncontent-length: 5\r\n\r\nhello",
        env!("CARGO_PKG_VERSION"),
        server.address
    );
    assert_eq!(server.heard(), [expected]);
}

#[tokio::test]
async fn a_plugins_own_key_and_agent_win() {
    let server = Server::answering(OK).await;
    let mut request = post(&server.url("/"), "");
    request.headers = vec![("Idempotency-Key".into(), "mine".into()), ("User-Agent".into(), "me/1".into())];
    reply_to(request).await.unwrap();
    let heard = server.heard().concat();
    assert!(heard.contains("idempotency-key: mine\r\n") && heard.contains("user-agent: me/1\r\n"), "{heard}");
    assert!(!heard.contains("message-1") && !heard.contains("gristmill"), "{heard}");
}

#[tokio::test]
async fn a_key_that_is_no_header_or_too_long_for_one_is_sent_as_its_digest() {
    let server = Server::answering(OK).await;
    let effects = Effects::new().unwrap();
    for key in ["a\r\nx-evil: 1", "é", "two words", &"k".repeat(256), "", &"k".repeat(255)] {
        let wanted = Request::Http(request("GET", &server.url("/")));
        let reply = effects.carry_out(&loopback(), key, Ok(0), wanted, None).await;
        let Reply::Http(reply) = reply else { panic!("{reply:?}") };
        reply.unwrap();
    }
    let heard = server.heard().concat();
    let keys: Vec<&str> = heard.lines().filter_map(|line| line.strip_prefix("idempotency-key: ")).collect();
    assert_eq!(keys.iter().map(|key| key.len()).collect::<Vec<_>>(), [64, 64, 64, 64, 0, 255]);
    // By sha256sum.
    assert_eq!(keys[1], "4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c");
    assert!(!heard.contains("evil"), "{heard}");
}

#[tokio::test]
async fn an_empty_body_has_a_length_where_one_is_expected() {
    for (method, expected) in [("POST", true), ("PUT", true), ("PATCH", true), ("GET", false), ("DELETE", false)] {
        let server = Server::answering(OK).await;
        reply_to(request(method, &server.url("/"))).await.unwrap();
        assert_eq!(server.heard().concat().contains("content-length: 0\r\n"), expected, "{method}");
    }
}

#[tokio::test]
async fn a_reply_is_handed_on_with_its_headers() {
    let server = Server::answering(
        "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 3\r\n\r\nwow",
    )
    .await;
    let reply = reply_to(request("GET", &server.url("/"))).await.unwrap();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![
        header("retry-after", "7"),
        header("set-cookie", "a"),
        header("set-cookie", "b"),
        header("content-length", "3"),
    ];
    assert_eq!(reply, HttpReply { status: 429, headers, body: Bytes::from_static(b"wow") });
}

#[tokio::test]
async fn a_header_that_is_no_text_is_left_out() {
    let server = Server::start(|mut peer| async move {
        peer.request().await;
        peer.stream
            .write_all(b"HTTP/1.1 200 OK\r\nx-bytes: \xff\xfe\r\nx-text: \xc3\xa4\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        peer.hung_up().await;
    })
    .await;
    let reply = reply_to(request("GET", &server.url("/"))).await.unwrap();
    assert_eq!(reply.headers, [("x-text".to_owned(), "ä".to_owned()), ("content-length".to_owned(), "0".to_owned())]);
}

#[tokio::test]
async fn a_redirect_is_a_reply_and_is_not_followed() {
    let target = Server::answering(OK).await;
    let location = target.url("/");
    let server = Server::start(move |mut peer| {
        let reply = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        async move {
            while peer.request().await {
                peer.say(&reply).await;
            }
        }
    })
    .await;
    assert_eq!(reply_to(request("GET", &server.url("/"))).await.unwrap().status, 302);
    assert!(target.heard().is_empty());
}

#[tokio::test]
async fn every_framing_of_a_reply_is_understood() {
    let cases = [
        (
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nx-trailer: 1\r\n\r\n",
            200,
            "abcdefg",
        ),
        ("GET", "HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end"),
        ("GET", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end", 200, "until the end"),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n", 200, ""),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 999999999\r\n\r\n", 304, ""),
        (
            "POST",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 201 Made\r\ncontent-length: 1\r\n\r\n!",
            201,
            "!",
        ),
        ("POST", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, ""),
        ("GET", "HTTP/1.1 599 \r\ncontent-length: 0\r\n\r\n", 599, ""),
    ];
    for (method, reply, status, body) in cases {
        let server = Server::answering_once(reply).await;
        let got = status_and_body(reply_to(request(method, &server.url("/"))).await);
        assert_eq!(got, (status, body.to_owned()), "{reply}");
    }
}

#[tokio::test]
async fn replies_that_break_off_or_are_none_say_so() {
    let cut_short = "the connection was closed before the reply was complete";
    let cases = [
        ("", cut_short),
        ("HTTP/1.1 200 OK\r\ncontent-le", cut_short),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", cut_short),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab", cut_short),
        ("SSH-2.0-OpenSSH_9.6\r\n", "the reply is not HTTP: invalid HTTP version parsed"),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "the reply is not HTTP: invalid HTTP header parsed"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nabc",
            "the reply is not HTTP: invalid content-length parsed",
        ),
    ];
    for (reply, why) in cases {
        let server = Server::answering_once(reply).await;
        let failure = reply_to(request("GET", &server.url("/a?secret"))).await.unwrap_err();
        assert_eq!(failure, Failure::Unreachable(format!("GET {}: {why}", server.url("/a"))), "{reply}");
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_body_is_named() {
    let server = Server::start(|mut peer| async move {
        peer.request().await;
        peer.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
        // Closing with unread input resets the connection.
        peer.stream.set_zero_linger().unwrap();
    })
    .await;
    let failure = reply_to(request("GET", &server.url("/"))).await.unwrap_err();
    assert_eq!(failure, Failure::Unreachable(format!("GET {}: connection reset", server.url("/"))));
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let failure = reply_to(post("http://127.0.0.1:9/a/b?token=secret", "x")).await.unwrap_err();
    assert_eq!(failure, Failure::Unreachable("POST http://127.0.0.1:9/a/b: connection refused".into()));
}

#[tokio::test]
async fn a_name_without_an_address_says_so() {
    let allowance = Allowance::new(&settings(vec![any()]));
    let failure =
        carry_out(&Effects::new().unwrap(), &allowance, request("GET", "http://nowhere.invalid/")).await.unwrap_err();
    let Failure::Unreachable(text) = failure else { panic!("{failure:?}") };
    assert!(text.starts_with("GET http://nowhere.invalid/: the name cannot be looked up: failed to lookup"), "{text}");
}
