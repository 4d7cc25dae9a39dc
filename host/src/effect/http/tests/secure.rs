//! HTTPS, by HTTP/1.1 and HTTP/2.

use super::*;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Request as Incoming, Response,
    body::{self, Frame},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};
use std::{convert::Infallible, io};
use tokio_rustls::TlsAcceptor;

/// Speaks TLS as `localhost`, and what ALPN agrees on.
pub(super) struct Secure {
    pub(super) server: Server,
    /// The root to trust, as PEM.
    pub(super) root: String,
}

impl Secure {
    pub(super) async fn start(alpn: &[&str]) -> Self {
        let root = Authority::new();
        Self::with(&root, None, alpn).await
    }

    /// One that `root` vouches for, and that lets those in whom `clients` vouches for, or everybody.
    pub(super) async fn with(root: &Authority, clients: Option<&Authority>, alpn: &[&str]) -> Self {
        let mut config = root.server(clients);
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = Server::start(move |peer| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(stream) = acceptor.accept(peer.stream).await else {
                    return;
                };
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let (io, answer) = (TokioIo::new(stream), service_fn(answer));
                if h2 {
                    http2::Builder::new(TokioExecutor::new()).serve_connection(io, answer).await.ok();
                } else {
                    http1::Builder::new().serve_connection(io, answer).await.ok();
                }
            }
        })
        .await;
        Self { server, root: root.pem() }
    }

    fn effects(&self) -> Effects {
        Effects::with_roots(self.root.as_bytes()).unwrap()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.server.address.port())
    }

    pub(super) fn connections(&self) -> usize {
        self.server.heard().len()
    }
}

/// A root of its own making.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// The certificate of somebody with this name, and the key.
    pub(super) fn issue(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new(vec![name.into()]).unwrap().signed_by(&key, &self.0).unwrap(), key)
    }

    fn server(&self, clients: Option<&Self>) -> ServerConfig {
        let (certificate, key) = self.issue("localhost");
        let provider = Arc::new(ring::default_provider());
        let verifier = match clients {
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.0.der().clone()).unwrap();
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap()
            }
            None => WebPkiClientVerifier::no_client_auth(),
        };
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap()
    }
}

/// Tells how the request came, or does as its path says.
async fn answer(request: Incoming<body::Incoming>) -> Result<Response<BoxBody<Bytes, io::Error>>, Infallible> {
    let whole = |bytes: Bytes| Full::new(bytes).map_err(|never| match never {}).boxed();
    let piece = |bytes: &'static [u8]| Ok::<_, io::Error>(Frame::data(Bytes::from_static(bytes)));
    let path = request.uri().path().to_owned();
    let told = format!("{:?} {}", request.version(), request.headers().contains_key("idempotency-key"));
    let body = match path.as_str() {
        "/endless" => BodyExt::boxed(StreamBody::new(futures_util::stream::repeat_with(move || piece(&[b'x'; 4096])))),
        "/broken" => {
            let pieces = [piece(b"abc"), Err(io::Error::other("on purpose"))];
            BodyExt::boxed(StreamBody::new(futures_util::stream::iter(pieces)))
        }
        "/silent" => std::future::pending().await,
        "/headers" => whole(format!("{:?}", request.headers()).into()),
        _ => {
            let sent = request.into_body().collect().await.unwrap().to_bytes();
            whole([told.as_bytes(), b" ", &sent].concat().into())
        }
    };
    Ok(Response::new(body))
}

pub(super) fn allowance() -> Allowance {
    Allowance::new(&settings(vec![exact("localhost")]))
}

#[tokio::test]
async fn the_best_common_protocol_is_spoken() {
    for (alpn, expected) in [
        (&["h2", "http/1.1"][..], "HTTP/2.0 true body"),
        (&["http/1.1"], "HTTP/1.1 true body"),
        (&[], "HTTP/1.1 true body"),
    ] {
        let secure = Secure::start(alpn).await;
        let effects = secure.effects();
        for _ in 0..3 {
            let reply = carry_out(&effects, &allowance(), post(&secure.url("/"), "body")).await.unwrap();
            assert_eq!((reply.status, reply.body.as_ref()), (200, expected.as_bytes()));
        }
        assert_eq!(secure.connections(), 1, "{alpn:?}");
    }
}

#[tokio::test]
async fn a_root_that_is_not_trusted_is_refused() {
    let secure = Secure::start(&["h2"]).await;
    let effects = Effects::with_roots(Authority::new().pem().as_bytes()).unwrap();
    let failure = carry_out(&effects, &allowance(), post(&secure.url("/a?secret"), "x")).await.unwrap_err();
    let Failure::Unreachable(text) = failure else { panic!("{failure:?}") };
    assert!(text.starts_with(&format!("POST {}: tls: invalid peer certificate: ", secure.url("/a"))), "{text}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let secure = Secure::start(&["h2"]).await;
    let url = secure.url("/").replace("localhost", "127.0.0.1");
    let failure = carry_out(&secure.effects(), &loopback(), post(&url, "x")).await.unwrap_err();
    let Failure::Unreachable(text) = failure else { panic!("{failure:?}") };
    assert!(text.starts_with(&format!("POST {url}: tls: invalid peer certificate: ")), "{text}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_named() {
    let plain = Server::answering_once("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let url = plain.url("/").replace("http:", "https:");
    let root = Authority::new().pem();
    let failure =
        carry_out(&Effects::with_roots(root.as_bytes()).unwrap(), &loopback(), post(&url, "x")).await.unwrap_err();
    let Failure::Unreachable(text) = failure else { panic!("{failure:?}") };
    assert!(text.starts_with(&format!("POST {url}: ")), "{text}");
}

#[tokio::test]
async fn many_exchanges_share_one_http2_connection() {
    let secure = Secure::start(&["h2"]).await;
    let (effects, allowance) = (secure.effects(), allowance());
    carry_out(&effects, &allowance, request("GET", &secure.url("/"))).await.unwrap();
    let url = secure.url("/");
    let replies =
        futures_util::future::join_all((0..300).map(|_| carry_out(&effects, &allowance, post(&url, "x")))).await;
    assert!(
        replies.iter().all(|reply| reply.as_ref().is_ok_and(|reply| reply.body.as_ref() == b"HTTP/2.0 true x")),
        "{replies:?}"
    );
    assert_eq!(secure.connections(), 1);
}

#[tokio::test]
async fn a_failed_http2_exchange_leaves_the_others_of_its_connection_alone() {
    let secure = Secure::start(&["h2"]).await;
    let (effects, allowance) = (secure.effects(), allowance());
    carry_out(&effects, &allowance, request("GET", &secure.url("/"))).await.unwrap();
    for _ in 0..5 {
        let failure = carry_out(&effects, &allowance, request("GET", &secure.url("/endless"))).await.unwrap_err();
        assert_eq!(
            failure,
            Failure::TooLarge(format!("GET {}: the reply is longer than 64 KiB", secure.url("/endless")))
        );
        let failure = carry_out(&effects, &allowance, request("GET", &secure.url("/broken"))).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreachable(_)), "{failure:?}");
        let silent = HttpRequest { timeout: Some(Duration::from_millis(20)), ..request("GET", &secure.url("/silent")) };
        let failure = carry_out(&effects, &allowance, silent).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreachable(_)), "{failure:?}");
        assert_eq!(carry_out(&effects, &allowance, request("GET", &secure.url("/"))).await.unwrap().status, 200);
    }
    assert_eq!(secure.connections(), 1);
}

#[test]
fn roots_that_are_none_are_refused() {
    let refusal = |pem: &str| Effects::with_roots(pem.as_bytes()).err().map(|error| error.to_string());
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let root = Authority::new().pem();
    assert_eq!(refusal(&root), None);
    assert_eq!(
        refusal(&format!("{root}{garbage}")),
        Some("root certificate 2 of the additional ones is unusable".into())
    );
    assert_eq!(
        refusal("-----BEGIN CERTIFICATE-----\nAAAA\n"),
        Some("the additional root certificates are not PEM".into())
    );
}
