//! Proxies that requests go through: what they are told, what they are never asked, and how they fail.

use super::{
    secure::{Authority, Secure, allowance},
    *,
};
use crate::config::{Proxy, ProxyLogin};

/// Base64 of the login below.
const BASIC: &str = "Basic bWU6czNjcmV0";

/// Goes by the proxy at this server.
fn through(server: &Server) -> Endpoint {
    let login = Some(ProxyLogin { user: "me".into(), password: "s3cret".into() });
    let proxy = Some(Proxy { host: "127.0.0.1".into(), port: server.address.port(), login });
    Endpoint { proxy, ..Endpoint::default() }
}

/// Says `reply` to whoever wants to be connected, and then passes on what comes both ways.
async fn tunnelling(reply: &'static str) -> Server {
    Server::start(move |mut peer| async move {
        peer.request().await;
        let asked = peer.heard.lock().unwrap()[peer.number].clone();
        let target = asked.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
        peer.say(reply).await;
        let mut server = TcpStream::connect(target).await.unwrap();
        tokio::io::copy_bidirectional(&mut peer.stream, &mut server).await.ok();
    })
    .await
}

const CONNECTED: &str = "HTTP/1.1 200 Connection established\r\nvia: a test\r\n\r\n";

async fn asked(effects: &Effects, grants: Vec<HttpGrant>, request: HttpRequest) -> Result<HttpReply, Failure> {
    carry_out(effects, &Allowance::new(&settings(grants)), request).await
}

#[tokio::test]
async fn a_proxy_is_told_the_whole_url_and_who_we_are() {
    let proxy = Server::answering(OK).await;
    let effects = with_endpoint("*", through(&proxy));
    for path in ["/a?b=c", "/", "/d"] {
        let url = format!("http://hooks.example.com:8080{path}");
        assert_eq!(asked(&effects, vec![below(".example.com")], post(&url, "x")).await.unwrap().status, 200);
    }
    let heard = proxy.heard();
    assert_eq!(heard.len(), 1, "they share a connection");
    assert!(heard[0].starts_with("POST http://hooks.example.com:8080/a?b=c HTTP/1.1\r\n"), "{}", heard[0]);
    assert_eq!(heard[0].matches("host: hooks.example.com:8080\r\n").count(), 3, "{}", heard[0]);
    assert_eq!(heard[0].matches(&format!("proxy-authorization: {BASIC}\r\n")).count(), 3, "{}", heard[0]);
}

#[tokio::test]
async fn what_is_encrypted_goes_through_a_tunnel_that_alone_says_who_we_are() {
    let root = Authority::new();
    for alpn in [&["h2"][..], &["http/1.1"]] {
        let secure = Secure::with(&root, None, alpn).await;
        let proxy = tunnelling(CONNECTED).await;
        let effects = Effects::with_roots(root.pem().as_bytes()).unwrap();
        configure(&effects, "*", through(&proxy));
        for _ in 0..3 {
            let reply = carry_out(&effects, &allowance(), post(&secure.url("/headers"), "x")).await.unwrap();
            let told = String::from_utf8(reply.body.to_vec()).unwrap();
            assert!(told.contains("idempotency-key") && !told.contains("proxy"), "{told}");
        }
        let port = secure.server.address.port();
        let head = format!("CONNECT localhost:{port} HTTP/1.1\r\nhost: localhost:{port}\r\n");
        let expected = format!("{head}proxy-authorization: {BASIC}\r\n\r\n");
        assert_eq!(proxy.heard(), [expected]);
    }
}

#[tokio::test]
async fn the_certificate_is_that_of_the_server_and_not_of_its_proxy() {
    let secure = Secure::start(&["h2"]).await;
    let proxy = tunnelling(CONNECTED).await;
    let effects = with_endpoint("*", through(&proxy));
    let failure = carry_out(&effects, &allowance(), post(&secure.url("/"), "x")).await.unwrap_err();
    assert!(failure.to_string().contains("tls: "), "{failure}");
}

#[tokio::test]
async fn a_server_with_a_table_of_its_own_is_reached_as_that_says() {
    let (proxy, server) = (Server::answering(OK).await, Server::answering(OK).await);
    let effects = Effects::new().unwrap();
    let tables = [("*".to_owned(), through(&proxy)), ("127.0.0.1".to_owned(), Endpoint::default())];
    effects.configure(&Endpoints::read(&tables.into()).unwrap());
    assert!(asked(&effects, vec![any()], post("http://a.example/", "x")).await.is_ok());
    assert!(carry_out(&effects, &loopback(), post(&server.url("/"), "x")).await.is_ok());
    assert_eq!((proxy.heard().len(), server.heard().len()), (1, 1));
}

#[tokio::test]
async fn no_proxy_is_asked_for_an_address_that_was_not_granted() {
    let proxy = Server::answering(OK).await;
    let effects = with_endpoint("*", through(&proxy));
    for host in [
        "10.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0X7f.1",
        "0177.0.0.1",
        "10.0.0.1.",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}/");
            let failure = asked(&effects, vec![any()], post(&url, "x")).await.unwrap_err();
            assert!(matches!(failure, Failure::Denied(_)), "{url}: {failure:?}");
        }
    }
    let failure = asked(&effects, vec![exact("a.example")], post("http://b.example/", "x")).await.unwrap_err();
    assert!(matches!(failure, Failure::Denied(_)), "{failure:?}");
    assert!(proxy.heard().is_empty(), "{:?}", proxy.heard());
    for (host, grant) in [("10.0.0.1", exact("10.0.0.1")), ("localhost", exact("localhost")), ("a.b", any())] {
        assert!(asked(&effects, vec![grant], post(&format!("http://{host}/"), "x")).await.is_ok(), "{host}");
    }
    assert_eq!(proxy.heard().len(), 3);
}

#[tokio::test]
async fn nothing_that_a_plugin_can_send_makes_a_proxy_say_the_password() {
    let proxy = Server::answering(OK).await;
    let effects = with_endpoint("*", through(&proxy));
    let failure = asked(&effects, vec![any()], request("TRACE", "http://a.b/")).await.unwrap_err();
    assert_eq!(failure, Failure::Invalid("TRACE http://a.b/: this method is not sent through a proxy".into()));
    let mut own = request("GET", "http://a.b/");
    own.headers.push(("proxy-authorization".into(), "Basic eDp5".into()));
    let failure = asked(&effects, vec![any()], own).await.unwrap_err();
    assert!(matches!(failure, Failure::Invalid(_)), "{failure:?}");
    assert!(proxy.heard().is_empty());
}

#[tokio::test]
async fn a_proxy_that_does_not_do_its_part_is_named_and_its_login_is_not() {
    let root = Authority::new();
    let secure = Secure::with(&root, None, &["h2"]).await;
    for (reply, url, why) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
            secure.url("/"),
            "answered 407 Proxy",
        ),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", secure.url("/"), "answered 403 Forbidden"),
        ("HTTP/1.1 301 Moved\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", secure.url("/"), "answered 301 Moved"),
        ("SSH-2.0-OpenSSH\r\n", secure.url("/"), "the reply is not HTTP: "),
        ("HTTP/1.1 200 OK\r\n\r\nhello", secure.url("/"), "it sends what nobody has asked for"),
        ("", secure.url("/"), "the connection was closed before the reply was complete"),
        ("HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n", "http://a.b/".to_owned(), "answered 407 Proxy"),
    ] {
        let proxy = Server::answering_once(reply).await;
        let effects = Effects::with_roots(root.pem().as_bytes()).unwrap();
        configure(&effects, "*", through(&proxy));
        let failure = asked(&effects, vec![exact("localhost"), any()], post(&url, "x")).await.unwrap_err();
        let Failure::Unreachable(told) = &failure else { panic!("{reply}: {failure:?}") };
        assert!(told.contains(&format!("the proxy `{}`", proxy.address)) && told.contains(why), "{told}");
        assert!(!told.contains("s3cret") && !told.contains(BASIC), "{told}");
    }
    assert_eq!(secure.connections(), 0);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_silent_is_told_from_its_server() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Some(Proxy { host: "127.0.0.1".into(), port: address.port(), login: None });
    let gone = Endpoint { proxy, ..Endpoint::default() };
    let failure = asked(&with_endpoint("*", gone), vec![any()], post("http://a.b/", "x")).await.unwrap_err();
    let expected = format!("POST http://a.b/: the proxy `{address}`: connection refused");
    assert_eq!(failure, Failure::Unreachable(expected));
    let silent = Server::start(|mut peer| async move { peer.hung_up().await }).await;
    let endpoint = Endpoint { connect_timeout: Duration::from_millis(100), ..through(&silent) };
    let failure = asked(&with_endpoint("*", endpoint), vec![any()], post("https://a.b/", "x")).await.unwrap_err();
    assert!(failure.to_string().ends_with("no connection within 100ms (`connect_timeout`)"), "{failure}");
}
