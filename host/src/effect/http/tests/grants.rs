//! Every grant with its denial.

use super::*;
use crate::effect::http::{grant::Grants, lookup::Lookups, reach::Reach};

fn below(suffix: &str) -> HttpGrant {
    HttpGrant {
        host: HostPattern::Below(suffix.into()),
        port: None,
    }
}

fn at(port: u16, grant: HttpGrant) -> HttpGrant {
    HttpGrant {
        port: Some(port),
        ..grant
    }
}

fn named(grants: &[HttpGrant], host: &str, port: u16) -> bool {
    Grants::new(grants).admit(host, port)
}

fn reached(grants: &[HttpGrant], name: &str, address: &str) -> bool {
    Reach::new(grants).admits(name, address.parse().unwrap())
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
    assert!(
        !named(&[below(".0.0.1")], "127.0.0.1", 80),
        "an address has no parts"
    );
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
        assert!(
            named(&grants, host, 8443) && !named(&grants, host, 443),
            "{host}"
        );
    }
}

#[test]
fn addresses_are_granted_however_they_are_written() {
    for written in ["::1", "[::1]", "0:0:0:0:0:0:0:1"] {
        assert!(
            named(&[exact(written)], "[::1]", 80) && named(&[exact(written)], "[0::1]", 80),
            "{written}"
        );
    }
    let grants = [exact("127.0.0.1")];
    assert!(named(&grants, "127.0.0.1", 80));
    for host in [
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ] {
        assert!(!named(&grants, host, 80), "{host}");
    }
}

#[test]
fn everything_public_is_reached_without_being_named() {
    for address in [
        "1.1.1.1:80",
        "8.8.8.8:443",
        "9.255.255.255:1",
        "11.0.0.0:1",
        "100.63.255.255:1",
        "100.128.0.0:1",
        "126.255.255.255:1",
        "128.0.0.1:1",
        "169.253.255.255:1",
        "169.255.0.0:1",
        "172.15.255.255:1",
        "172.32.0.0:1",
        "192.0.1.1:1",
        "192.167.255.255:1",
        "192.169.0.0:1",
        "198.17.255.255:1",
        "198.20.0.0:1",
        "223.255.255.255:1",
        "[2606:4700::1111]:80",
        "[2001:200::1]:80",
        "[2a00:1450::1]:80",
        "[3ffe::1]:80",
    ] {
        assert!(reached(&[], "example.com", address), "{address}");
    }
}

/// One of each special range, mostly its ends.
const SPECIAL: [&str; 48] = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
];

#[test]
fn nothing_special_is_reached_unless_named() {
    let others = [
        any(),
        below(".example.com"),
        exact("example.com"),
        exact("localhost"),
        exact("10.1.2.3"),
        exact("fd00::99"),
    ];
    for special in SPECIAL {
        let address = SocketAddr::new(special.parse().unwrap(), 80).to_string();
        assert!(
            !reached(&others, "example.com", &address),
            "{address} by name"
        );
        assert!(!reached(&others, special, &address), "{address} by itself");
        assert!(
            reached(&[exact(special)], "example.com", &address),
            "{address} granted"
        );
        assert!(
            reached(&[at(80, exact(special))], special, &address),
            "{address} granted with its port"
        );
        assert!(
            !reached(&[at(81, exact(special))], special, &address),
            "{address} granted with another port"
        );
    }
}

#[test]
fn localhost_leads_to_loopback_alone_and_only_if_named() {
    let grants = [at(8080, exact("LocalHost"))];
    assert!(
        reached(&grants, "localhost", "127.0.0.1:8080")
            && reached(&grants, "LOCALHOST", "[::1]:8080")
    );
    assert!(
        !reached(&grants, "localhost", "127.0.0.1:8081"),
        "another port"
    );
    assert!(
        !reached(&grants, "localhost", "10.0.0.1:8080"),
        "not loopback"
    );
    assert!(
        !reached(&grants, "localhost", "1.1.1.1:8080"),
        "not loopback"
    );
    assert!(
        !reached(&grants, "example.com", "127.0.0.1:8080"),
        "another name"
    );
    assert!(
        !reached(&grants, "localhost.", "127.0.0.1:8080"),
        "another name"
    );
    assert!(
        !reached(&[any()], "localhost", "127.0.0.1:8080"),
        "not named"
    );
}

#[test]
fn reaches_are_equal_where_they_lead_to_the_same() {
    let one = Reach::new(&[exact("10.0.0.1"), any(), exact("::1"), exact("a.example")]);
    let other = Reach::new(&[
        exact("[::1]"),
        exact("10.0.0.1"),
        exact("10.0.0.1"),
        exact("1.1.1.1"),
    ]);
    assert_eq!(one, other);
    assert_ne!(one, Reach::new(&[at(80, exact("10.0.0.1")), exact("::1")]));
    assert_ne!(
        one,
        Reach::new(&[exact("10.0.0.1"), exact("::1"), exact("localhost")])
    );
    assert_eq!(Reach::new(&[any()]), Reach::new(&[]));
}

#[tokio::test]
async fn a_host_that_is_not_granted_is_denied_by_name() {
    let allowance = Allowance::new(&settings(vec![exact("example.com")]));
    let failure = carry_out(
        &Effects::new().unwrap(),
        &allowance,
        post("https://example.org/in?token=secret", "x"),
    )
    .await
    .unwrap_err();
    assert_eq!(
        failure,
        Failure::Denied(
            "POST https://example.org/in: `allow_http` does not name `example.org:443`".into()
        )
    );
}

#[tokio::test]
async fn no_way_of_writing_an_address_gets_around_the_check() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let port = server.address.port();
    let (effects, allowance) = (
        Effects::new().unwrap(),
        Allowance::new(&settings(vec![any()])),
    );
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
            let failure = carry_out(&effects, &allowance, request("GET", &url))
                .await
                .unwrap_err();
            match &failure {
                Failure::Denied(text) => {
                    assert!(text.contains("is not a public address"), "{text}")
                }
                // A form that the system's resolver does not know, or that is no URL or none for TLS, leads nowhere either.
                Failure::Unreachable(text) => assert!(
                    text.contains("cannot be looked up") || text.ends_with("invalid dns name"),
                    "{text}"
                ),
                Failure::Invalid(text) => assert!(text.contains("is not a URL"), "{text}"),
                Failure::TooLarge(_) => panic!("{failure}"),
            }
        }
    }
    assert!(server.heard().is_empty(), "connected");
}

#[tokio::test]
async fn localhost_is_reached_by_its_name_if_that_is_granted() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let port = server.address.port();
    let allowance = Allowance::new(&settings(vec![at(port, exact("localhost"))]));
    let effects = Effects::new().unwrap();
    let url = |host: &str| format!("http://{host}:{port}/");
    assert_eq!(
        carry_out(&effects, &allowance, request("GET", &url("localhost")))
            .await
            .unwrap()
            .status,
        200
    );
    let failure = carry_out(&effects, &allowance, request("GET", &url("127.0.0.1")))
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Denied(_)), "{failure:?}");
}

#[tokio::test]
async fn a_name_that_leads_to_a_granted_address_works_at_the_granted_port_only() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let port = server.address.port();
    // A name to us, since it is not written as an address.
    let url = format!("http://2130706433:{port}/");
    let effects = Effects::new().unwrap();
    let right = Allowance::new(&settings(vec![any(), at(port, exact("127.0.0.1"))]));
    assert_eq!(
        carry_out(&effects, &right, request("GET", &url))
            .await
            .unwrap()
            .status,
        200
    );
    let wrong = Allowance::new(&settings(vec![any(), at(1, exact("127.0.0.1"))]));
    let failure = carry_out(&effects, &wrong, request("GET", &url))
        .await
        .unwrap_err();
    assert_eq!(
        failure,
        Failure::Denied(format!(
            "GET {url}: `127.0.0.1:{port}` is not a public address, `allow_http` has to name it"
        ))
    );
}

#[tokio::test]
async fn a_pooled_connection_is_of_no_use_to_a_plugin_that_may_not_dial_it() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
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
    assert_eq!(
        addresses,
        lookups.addresses("localhost").await.unwrap(),
        "and again"
    );
}
