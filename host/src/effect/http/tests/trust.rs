//! Whom is trusted at servers of which more is said, and who we are there.

use super::{
    secure::{Authority, Secure, allowance},
    *,
};
use crate::config::Tls;
use std::{fs::write, path::PathBuf};
use tempfile::TempDir;

/// A directory with files for TLS.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn with(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        write(&path, text).unwrap();
        path
    }

    /// Trusts `root`.
    fn trusting(&self, root: &Authority) -> Tls {
        Tls { ca: Some(self.with("ca.pem", &root.pem())), ..Tls::default() }
    }

    /// Trusts `root`, and is somebody `known` to the server.
    fn known(&self, root: &Authority, known: &Authority) -> Tls {
        let (cert, key) = known.issue("a client");
        let (cert, key) = (self.with("cert.pem", &cert.pem()), self.with("key.pem", &key.serialize_pem()));
        Tls { cert: Some(cert), key: Some(key), ..self.trusting(root) }
    }
}

fn endpoint(tls: Tls) -> Endpoint {
    Endpoint { tls, ..Endpoint::default() }
}

async fn answered(effects: &Effects, secure: &Secure) -> Result<u16, Failure> {
    carry_out(effects, &allowance(), post(&secure.url("/"), "x")).await.map(|reply| reply.status)
}

fn is_refused(answer: Result<u16, Failure>) -> bool {
    matches!(answer, Err(Failure::Unreachable(why)) if why.contains("tls: invalid peer certificate: "))
}

#[tokio::test]
async fn a_server_is_checked_by_its_own_authority_and_by_no_other() {
    let (files, root) = (Files::new(), Authority::new());
    let secure = Secure::with(&root, None, &["h2"]).await;
    let own = with_endpoint("localhost", endpoint(files.trusting(&root)));
    assert_eq!(answered(&own, &secure).await, Ok(200));
    let port = format!("localhost:{}", secure.server.address.port());
    assert_eq!(answered(&with_endpoint(&port, endpoint(files.trusting(&root))), &secure).await, Ok(200));
    assert!(is_refused(answered(&with_endpoint("localhost:1", endpoint(files.trusting(&root))), &secure).await));
    // Everybody else's roots would do, and do not count here.
    let all = Effects::with_roots(root.pem().as_bytes()).unwrap();
    assert_eq!(answered(&all, &secure).await, Ok(200));
    configure(&all, "localhost", endpoint(files.trusting(&Authority::new())));
    assert!(is_refused(answered(&all, &secure).await));
}

#[tokio::test]
async fn a_server_that_asks_who_we_are_is_shown_the_certificate() {
    let (files, root, clients) = (Files::new(), Authority::new(), Authority::new());
    for alpn in [&["h2"][..], &["http/1.1"]] {
        let secure = Secure::with(&root, Some(&clients), alpn).await;
        let known = with_endpoint("localhost", endpoint(files.known(&root, &clients)));
        assert_eq!(answered(&known, &secure).await, Ok(200));
        let nobody = with_endpoint("localhost", endpoint(files.trusting(&root)));
        let Err(Failure::Unreachable(why)) = answered(&nobody, &secure).await else { panic!("it lets everybody in") };
        assert!(why.contains(&secure.url("/")), "{why}");
        let stranger = with_endpoint("localhost", endpoint(files.known(&root, &Authority::new())));
        assert!(answered(&stranger, &secure).await.is_err());
    }
}

#[tokio::test]
async fn a_changed_file_counts_when_it_is_read_again_and_otherwise_connections_go_on() {
    let (files, root) = (Files::new(), Authority::new());
    let secure = Secure::with(&root, None, &["http/1.1"]).await;
    let tls = files.trusting(&root);
    let effects = with_endpoint("localhost", endpoint(tls.clone()));
    assert_eq!(answered(&effects, &secure).await, Ok(200));
    configure(&effects, "localhost", endpoint(tls.clone()));
    assert_eq!(answered(&effects, &secure).await, Ok(200));
    assert_eq!(secure.connections(), 1, "nothing has changed");
    files.trusting(&Authority::new());
    assert_eq!(answered(&effects, &secure).await, Ok(200), "it was not read again");
    configure(&effects, "localhost", endpoint(tls));
    assert!(is_refused(answered(&effects, &secure).await));
}

#[test]
fn files_that_cannot_be_used_are_refused_each_with_the_reason() {
    let (files, root) = (Files::new(), Authority::new());
    let known = files.known(&root, &root);
    let other = files.with("other.pem", &root.issue("b").1.serialize_pem());
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = files.with("broken.pem", &format!("{}{garbage}", root.pem()));
    let ca = |ca: PathBuf| Tls { ca: Some(ca), ..Tls::default() };
    let (cert, key) = (known.cert.clone().unwrap(), known.key.clone().unwrap());
    let pair =
        |cert: &PathBuf, key: &PathBuf| Tls { cert: Some(cert.clone()), key: Some(key.clone()), ..Tls::default() };
    for (tls, reason) in [
        (ca(files.0.path().join("none")), "cannot read `DIR/none`: No such file or directory (os error 2)"),
        (ca(files.with("empty", "")), "`DIR/empty` holds no certificate as PEM: no items found"),
        (ca(key.clone()), "`DIR/key.pem` holds no certificate as PEM: no items found"),
        (ca(broken), "`DIR/broken.pem` holds a certificate that cannot be used: "),
        (pair(&cert, &cert), "`DIR/cert.pem` holds no private key as PEM: no items found"),
        (pair(&cert, &other), "`DIR/other.pem` is not the key of the certificate in `DIR/cert.pem`: "),
        (Tls { cert: Some(cert.clone()), ..Tls::default() }, "a client certificate needs its key"),
    ] {
        let refused = Endpoints::read(&[("a".to_owned(), endpoint(tls))].into()).unwrap_err();
        let told = refused[0].reason().replace(files.0.path().to_str().unwrap(), "DIR");
        assert!(told.starts_with(reason), "{told}");
    }
    assert!(Endpoints::read(&[("a".to_owned(), endpoint(known))].into()).is_ok());
    let all = [("a".to_owned(), endpoint(ca("/a".into()))), ("b".to_owned(), endpoint(ca("/b".into())))];
    assert_eq!(Endpoints::read(&all.into()).unwrap_err().len(), 2, "every one is told");
}
