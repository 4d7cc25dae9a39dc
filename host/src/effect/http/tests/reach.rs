//! Every kind of address, and the grants that open it.

use super::*;
use crate::effect::http::reach::Reach;

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
    let others =
        [any(), below(".example.com"), exact("example.com"), exact("localhost"), exact("10.1.2.3"), exact("fd00::99")];
    for special in SPECIAL {
        let address = SocketAddr::new(special.parse().unwrap(), 80).to_string();
        assert!(!reached(&others, "example.com", &address), "{address} by name");
        assert!(!reached(&others, special, &address), "{address} by itself");
        assert!(reached(&[exact(special)], "example.com", &address), "{address} granted");
        assert!(reached(&[at(80, exact(special))], special, &address), "{address} granted with its port");
        assert!(!reached(&[at(81, exact(special))], special, &address), "{address} granted with another port");
    }
}

#[test]
fn localhost_leads_to_loopback_alone_and_only_if_named() {
    let grants = [at(8080, exact("LocalHost"))];
    assert!(reached(&grants, "localhost", "127.0.0.1:8080") && reached(&grants, "LOCALHOST", "[::1]:8080"));
    assert!(!reached(&grants, "localhost", "127.0.0.1:8081"), "another port");
    assert!(!reached(&grants, "localhost", "10.0.0.1:8080"), "not loopback");
    assert!(!reached(&grants, "localhost", "1.1.1.1:8080"), "not loopback");
    assert!(!reached(&grants, "example.com", "127.0.0.1:8080"), "another name");
    assert!(!reached(&grants, "localhost.", "127.0.0.1:8080"), "another name");
    assert!(!reached(&[any()], "localhost", "127.0.0.1:8080"), "not named");
}

#[test]
fn reaches_are_equal_where_they_lead_to_the_same() {
    let one = Reach::new(&[exact("10.0.0.1"), any(), exact("::1"), exact("a.example")]);
    let other = Reach::new(&[exact("[::1]"), exact("10.0.0.1"), exact("10.0.0.1"), exact("1.1.1.1")]);
    assert_eq!(one, other);
    assert_ne!(one, Reach::new(&[at(80, exact("10.0.0.1")), exact("::1")]));
    assert_ne!(one, Reach::new(&[exact("10.0.0.1"), exact("::1"), exact("localhost")]));
    assert_eq!(Reach::new(&[any()]), Reach::new(&[]));
}

fn reached(grants: &[HttpGrant], name: &str, address: &str) -> bool {
    Reach::new(grants).admits(name, address.parse().unwrap())
}
