//! Every grant with its denial.

use super::*;
use crate::effect::http::{grant::Grants, lookup::Lookups};

fn named(grants: &[HttpGrant], host: &str, port: u16) -> bool {
    Grants::new(grants).admit(host, port)
}

#[test]
fn nothing_is_named_unless_granted() {
    for host in ["example.com", "localhost", "127.0.0.1", "[::1]", ""] {
        assert!(!named(&[], host, 80), "{host}");
    }
}

#[test]
fn an_exact_name_is_granted_alone() {
    let grants = [exact("api.example.com")];
    assert!(named(&grants, "api.example.com", 80) && named(&grants, "API.Example.COM", 8443));
    for host in [
        "example.com",
        "x.api.example.com",
        "api.example.com.",
        "api.example.comx",
        "xapi.example.com",
        "api-example.com",
        "",
    ] {
        assert!(!named(&grants, host, 80), "{host}");
    }
}

#[test]
fn a_suffix_grants_what_is_below_it() {
    let grants = [below(".example.com")];
    assert!(named(&grants, "a.example.com", 80) && named(&grants, "a.b.EXAMPLE.com", 80));
    for host in [
        "example.com",
        ".example.com",
        "badexample.com",
        "example.com.evil.net",
        "a.example.com.",
        "äexample.com",
        "c",
        "",
    ] {
        assert!(!named(&grants, host, 80), "{host}");
    }
    assert!(!named(&[below(".0.0.1")], "127.0.0.1", 80), "an address has no parts");
}

#[test]
fn a_port_narrows_every_kind_of_grant() {
    for (grant, host) in [
        (exact("example.com"), "example.com"),
        (exact("::1"), "[::1]"),
        (below(".example.com"), "a.example.com"),
        (any(), "example.com"),
    ] {
        let grants = [at(8443, grant)];
        assert!(named(&grants, host, 8443) && !named(&grants, host, 443), "{host}");
    }
}

#[test]
fn addresses_are_granted_however_they_are_written() {
    for written in ["::1", "[::1]", "0:0:0:0:0:0:0:1"] {
        assert!(named(&[exact(written)], "[::1]", 80) && named(&[exact(written)], "[0::1]", 80), "{written}");
    }
    let grants = [exact("127.0.0.1")];
    assert!(named(&grants, "127.0.0.1", 80));
    for host in ["127.0.0.2", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"]
    {
        assert!(!named(&grants, host, 80), "{host}");
    }
}

#[tokio::test]
async fn a_host_that_is_not_granted_is_denied_by_name() {
    let allowance = Allowance::new(&settings(vec![exact("example.com")]));
    let failure = carry_out(&Effects::new().unwrap(), &allowance, post("https://example.org/in?token=secret", "x"))
        .await
        .unwrap_err();
    assert_eq!(
        failure,
        Failure::Denied("POST https://example.org/in: `allow_http` does not name `example.org:443`".into())
    );
}

#[tokio::test]
async fn no_way_of_writing_an_address_gets_around_the_check() {
    let server = Server::answering(OK).await;
    let port = server.address.port();
    let (effects, allowance) = (Effects::new().unwrap(), Allowance::new(&settings(vec![any()])));
    let hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.01",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[127.0.0.1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "169.254.169.254",
        "[64:ff9b::7f00:1]",
    ];
    for host in hosts {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let failure = carry_out(&effects, &allowance, request("GET", &url)).await.unwrap_err();
            match &failure {
                Failure::Denied(text) => {
                    assert!(text.contains("is not a public address"), "{text}")
                }
                // A form that the system's resolver does not know, or that is no URL or none for TLS, leads nowhere either.
                Failure::Unreachable(text) => {
                    assert!(text.contains("cannot be looked up") || text.ends_with("invalid dns name"), "{text}")
                }
                Failure::Invalid(text) => assert!(text.contains("is not a URL"), "{text}"),
                Failure::TooLarge(_) => panic!("{failure}"),
            }
        }
    }
    assert!(server.heard().is_empty(), "connected");
}

#[tokio::test]
async fn localhost_is_reached_by_its_name_if_that_is_granted() {
    let server = Server::answering(OK).await;
    let port = server.address.port();
    let allowance = Allowance::new(&settings(vec![at(port, exact("localhost"))]));
    let effects = Effects::new().unwrap();
    let url = |host: &str| format!("http://{host}:{port}/");
    assert_eq!(carry_out(&effects, &allowance, request("GET", &url("localhost"))).await.unwrap().status, 200);
    let failure = carry_out(&effects, &allowance, request("GET", &url("127.0.0.1"))).await.unwrap_err();
    assert!(matches!(failure, Failure::Denied(_)), "{failure:?}");
}

#[tokio::test]
async fn a_name_that_leads_to_a_granted_address_works_at_the_granted_port_only() {
    let server = Server::answering(OK).await;
    let port = server.address.port();
    // A name to us, since it is not written as an address.
    let url = format!("http://2130706433:{port}/");
    let effects = Effects::new().unwrap();
    let right = Allowance::new(&settings(vec![any(), at(port, exact("127.0.0.1"))]));
    assert_eq!(carry_out(&effects, &right, request("GET", &url)).await.unwrap().status, 200);
    let wrong = Allowance::new(&settings(vec![any(), at(1, exact("127.0.0.1"))]));
    let failure = carry_out(&effects, &wrong, request("GET", &url)).await.unwrap_err();
    assert_eq!(
        failure,
        Failure::Denied(format!("GET {url}: `127.0.0.1:{port}` is not a public address, `allow_http` has to name it"))
    );
}

#[tokio::test]
async fn a_pooled_connection_is_of_no_use_to_a_plugin_that_may_not_dial_it() {
    let server = Server::answering(OK).await;
    let effects = Effects::new().unwrap();
    let wanted = || request("GET", &server.url("/"));
    carry_out(&effects, &loopback(), wanted()).await.unwrap();
    let stranger = Allowance::new(&settings(vec![any()]));
    let failure = carry_out(&effects, &stranger, wanted()).await.unwrap_err();
    assert!(matches!(failure, Failure::Denied(_)), "{failure:?}");
    assert_eq!(server.heard().concat().matches("GET").count(), 1);

    let peer = Allowance::new(&settings(vec![exact("example.com"), exact("127.0.0.1")]));
    carry_out(&effects, &peer, wanted()).await.unwrap();
    assert_eq!(server.heard().len(), 1, "who may dial it shares it");
}

#[tokio::test]
async fn lookups_of_one_name_at_once_are_one() {
    let lookups = Lookups::new();
    let (one, other) = (lookups.join("localhost"), lookups.join("localhost"));
    assert!(one.ptr_eq(&other) && !one.ptr_eq(&lookups.join("127.1")));
    let addresses = one.await.unwrap();
    assert!(!addresses.is_empty() && addresses.iter().all(|address| address.is_loopback()));
    assert_eq!(addresses, other.await.unwrap());
    assert_eq!(addresses, lookups.addresses("localhost").await.unwrap(), "and again");
}
