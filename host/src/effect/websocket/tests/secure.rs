//! WebSockets over TLS.

use super::{faults::refused, *};
use rustls::{ServerConfig, crypto::ring};
use tokio_rustls::TlsAcceptor;

/// A server that calls itself `localhost` and would rather speak HTTP/2, which cannot become a WebSocket; and its certificate.
pub(super) async fn secure() -> (SocketAddr, String, JoinSet<()>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let head = head(&mut stream).await;
            stream.write_all(agreed(&head).as_bytes()).await.ok();
            let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() {
                    socket.send(message).await.ok();
                }
            }
        }
    });
    (address, made.cert.pem(), accepting)
}

#[tokio::test]
async fn a_server_that_is_known_is_spoken_to_over_tls_and_a_stranger_is_not() {
    let (address, certificate, _accepting) = secure().await;
    let url = format!("wss://localhost:{}/", address.port());
    refused(Plugin::new().send(text(&url, "x")).await, "unreachable", "tls: invalid peer certificate");
    let http = Arc::new(Http::new(certificate.as_bytes()).unwrap());
    let plugin = Plugin { sockets: Sockets::new(http), ..Plugin::new() };
    assert_eq!(plugin.send(asking(&url, "x")).await, Ok(Some(Bytes::from_static(b"x"))));
    assert_eq!(plugin.send(text(&url, "x")).await, Ok(None));
}
