//! What is said of how servers are reached: through which proxy, and how soon they have to begin to answer.

use super::{faults::refused, secure::secure, *};
use crate::{
    config::{Endpoint, Proxy, ProxyLogin},
    effect::endpoints::Endpoints,
    metrics::request_timeouts,
};

/// Base64 of the login below.
const BASIC: &str = "Basic bWU6czNjcmV0";
const SHORT: Duration = Duration::from_millis(100);

/// By the proxy at this server.
fn through(proxy: &Server) -> Endpoint {
    let login = Some(ProxyLogin { user: "me".into(), password: "s3cret".into() });
    let proxy = Some(Proxy { host: "127.0.0.1".into(), port: proxy.address.port(), login });
    Endpoint { proxy, ..Endpoint::default() }
}

/// A plugin of a node that trusts the roots in `pem`, and of which this is said for all servers.
fn plugin(pem: &str, endpoint: Endpoint) -> Plugin {
    let http = Http::new(pem.as_bytes()).unwrap();
    http.configure(&Endpoints::read(&[("*".to_owned(), endpoint)].into()).unwrap());
    Plugin { sockets: Sockets::new(Arc::new(http)), ..Plugin::new() }
}

/// Connects those who ask with whom they ask for.
async fn proxy() -> Server {
    Server::raw(|_, mut stream, head| async move {
        let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
        let mut server = TcpStream::connect(target).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        tokio::io::copy_bidirectional(&mut stream, &mut server).await.ok();
    })
    .await
}

fn asked(target: &str) -> String {
    format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\nproxy-authorization: {BASIC}\r\n\r\n")
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_even_for_what_is_not_encrypted_and_alone_is_told_who_we_are() {
    let (server, proxy) = (Server::echo().await, proxy().await);
    let plugin = plugin("", through(&proxy));
    for number in 0..3 {
        let answer = plugin.send(asking(&server.url(), &number.to_string())).await;
        assert_eq!(answer, Ok(Some(Bytes::from(format!("re: {number}")))));
    }
    assert_eq!(*proxy.heads.lock().unwrap(), [asked(&server.address.to_string())]);
    let head = server.heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET /feed?token=t HTTP/1.1\r\n") && !head.contains("proxy"), "{head}");
}

#[tokio::test]
async fn what_is_encrypted_is_so_through_the_tunnel() {
    let (address, certificate, _accepting) = secure().await;
    let proxy = proxy().await;
    let (url, target) = (format!("wss://localhost:{}/", address.port()), format!("localhost:{}", address.port()));
    let stranger = plugin("", through(&proxy));
    refused(stranger.send(text(&url, "x")).await, "unreachable", "tls: invalid peer certificate");
    let plugin = plugin(&certificate, through(&proxy));
    assert_eq!(plugin.send(asking(&url, "x")).await, Ok(Some(Bytes::from_static(b"x"))));
    assert_eq!(*proxy.heads.lock().unwrap(), [asked(&target), asked(&target)]);
}

#[tokio::test]
async fn no_proxy_is_asked_for_what_was_not_granted() {
    let proxy = proxy().await;
    let mut plugin = plugin("", through(&proxy));
    let any = vec![HttpGrant { host: HostPattern::Any, port: None }];
    plugin.allowance = Arc::new(Allowance::new(&settings(any)));
    for host in ["10.0.0.1", "localhost", "2130706433"] {
        refused(plugin.send(text(&format!("ws://{host}/?token=t"), "x")).await, "denied", host);
    }
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_and_may_be_better_disposed_later() {
    for (status, why) in [("407 Proxy Authentication Required", "answered 407"), ("502 Bad Gateway", "answered 502")] {
        let proxy = Server::raw(move |_, mut stream, _| async move {
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.ok();
        })
        .await;
        let sent = plugin("", through(&proxy)).send(text("ws://127.0.0.1:1/?token=t", "x")).await;
        let told = format!("{:?}", sent.as_ref().unwrap_err());
        assert!(told.contains(&format!("the proxy `{}`", proxy.address)), "{told}");
        assert!(!told.contains("s3cret") && !told.contains(BASIC), "{told}");
        refused(sent, "unreachable", why);
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_a_handshake_is_given_up_when_it_should_have_begun_to() {
    let gone = Arc::new(Mutex::new(0));
    let noted = Arc::clone(&gone);
    let server = Server::raw(move |_, mut stream, _| {
        let noted = Arc::clone(&noted);
        async move {
            stream.read_u8().await.ok();
            *noted.lock().unwrap() += 1;
        }
    })
    .await;
    let endpoint = Endpoint { first_byte_timeout: Some(SHORT), ..Endpoint::default() };
    let plugin = plugin("", endpoint.clone());
    let before = request_timeouts("first_byte");
    let late = "no reply began within 100ms (`first_byte_timeout`)";
    refused(plugin.send(text(&server.url(), "x")).await, "unreachable", late);
    assert!(request_timeouts("first_byte") > before);
    for _ in 0..3_000 {
        if *gone.lock().unwrap() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((*gone.lock().unwrap(), server.connections()), (1, 1), "the connection is closed");
    // The same through a proxy, which answers at once: the time is the server's.
    let proxy = proxy().await;
    let plugin = self::plugin("", Endpoint { first_byte_timeout: Some(SHORT), ..through(&proxy) });
    refused(plugin.send(text(&server.url(), "x")).await, "unreachable", late);
    assert_eq!((proxy.connections(), server.connections()), (1, 2));
}

#[tokio::test]
async fn who_has_begun_in_time_may_be_silent_for_longer() {
    let server = Server::echo().await;
    let plugin = plugin("", Endpoint { first_byte_timeout: Some(SHORT * 5), ..Endpoint::default() });
    for number in ["1", "2"] {
        let answer = plugin.send(asking(&server.url(), number)).await;
        assert_eq!(answer, Ok(Some(Bytes::from(format!("re: {number}")))));
        tokio::time::sleep(SHORT * 7).await;
    }
    assert_eq!(server.connections(), 1);
}
