//! What is said of servers, and what is said of what makes no sense.

use super::*;

fn endpoint(name: &str, lines: &str) -> Endpoint {
    let config = good(&format!("{MINIMAL}[endpoint.\"{name}\"]\n{lines}\n")).config;
    let [endpoint] = &config.endpoints.values().collect::<Vec<_>>()[..] else { panic!("one") };
    (*endpoint).clone()
}

fn endpoint_refused(name: &str, lines: &str) -> Vec<String> {
    refused(&format!("{MINIMAL}[endpoint.\"{name}\"]\n{lines}\n"))
}

#[test]
fn a_server_without_a_table_is_like_one_with_an_empty_table() {
    let expected = Endpoint {
        rate: None,
        in_flight: 100_000,
        breaker: None,
        tls: Tls::default(),
        proxy: None,
        compress: None,
        connect_timeout: Duration::from_secs(5),
        first_byte_timeout: None,
    };
    assert_eq!(Endpoint::default(), expected);
    assert_eq!(endpoint("a.b", ""), expected);
}

#[test]
fn what_is_written_holds() {
    let read = endpoint(
        "a.b:1",
        "rate = \"30/min\"\nburst = 7\nrate_scope = \"cluster\"\nin_flight = 9\nbreaker = { failures = 1, share = 1, pause = \"1m\" }",
    );
    let rate = Rate { per_second: 0.5, burst: 7, ramp: Duration::ZERO, scope: Scope::Cluster };
    assert_eq!((read.rate, read.in_flight), (Some(rate), 9));
    let (window, pause) = (Duration::from_secs(10), Duration::from_secs(60));
    assert_eq!(read.breaker, Some(Breaker { failures: 1, share: 1.0, window, pause }));
    let (window, pause) = (Duration::from_secs(10), Duration::from_secs(5));
    let breaker = Some(Breaker { failures: 20, share: 0.5, window, pause });
    assert_eq!(endpoint("a.b", "breaker.failures = 20").breaker, breaker);
    assert_eq!(endpoint("*", "breaker.failures = \"never\"").breaker, None);
}

#[test]
fn files_and_bounds_on_time_are_read() {
    let read = endpoint(
        "a.b",
        "tls = { ca = \"ca.pem\", cert = \"/c\", key = \"k\" }\nconnect_timeout = \"2s\"\nfirst_byte_timeout = \"500ms\"",
    );
    let [ca, cert, key] = ["ca.pem", "/c", "k"].map(|path| Some(PathBuf::from(path)));
    assert_eq!(read.tls, Tls { ca, cert, key });
    let times = (Duration::from_secs(2), Some(Duration::from_millis(500)));
    assert_eq!((read.connect_timeout, read.first_byte_timeout), times);
    assert_eq!(endpoint("*", "first_byte_timeout = \"never\"").first_byte_timeout, None);
    assert_eq!(endpoint("*", "compress = \"gzip\"").compress, Some(Compress::Gzip));
    assert_eq!(endpoint("*", "compress = \"never\"").compress, None);
}

#[test]
fn a_proxy_is_read_and_its_password_stays_out_of_sight() {
    let read = endpoint("*", "proxy = \"http://me:${SECRET}@proxy:3128\"").proxy.expect("one");
    let login = ProxyLogin { user: "me".to_owned(), password: "s3cr3t\" = [".to_owned() };
    assert_eq!(read, Proxy { host: "proxy".to_owned(), port: 3128, login: Some(login) });
    assert_eq!(endpoint("a.b", "proxy = \"${EMPTY}\"").proxy, None);
    let plain = format!("{MINIMAL}[endpoint.\"*\"]\nproxy = \"http://me:hunter2@proxy:3128\"\n");
    let shown = effective(&good(&plain));
    assert!(shown.contains("proxy = \"http://me:*******@proxy:3128\"") && !shown.contains("hunter2"), "{shown}");
    for wrong in ["http://me:hunter2@proxy", "https://me:hunter2@proxy:1", "http://me:hunter2%@proxy:1"] {
        let faults = read_text(&plain.replace("http://me:hunter2@proxy:3128", wrong));
        assert!(faults.contains("`proxy` ") && !faults.contains("hunter2"), "{faults}");
    }
}

fn read_text(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

#[test]
fn a_certificate_needs_its_key_at_a_server_too() {
    let text = format!("{MINIMAL}[endpoint.\"a.b\"]\ntls = {{ cert = \"c\" }}\n");
    let (place, message, advice) = only_fault(&text);
    assert_eq!(place, Some((5, 16)));
    assert_eq!(message, "`cert` stands in `tls` of [endpoint.\"a.b\"] without `key`");
    assert_eq!(advice, "set `key` too, or leave both out");
    assert_eq!(endpoint_refused("a", "tls.key = \"k\""), ["`key` stands in `tls` of [endpoint.\"a\"] without `cert`"]);
}

#[test]
fn servers_are_found_however_they_are_spelled() {
    for (written, found) in [
        ("API.Example.com", "api.example.com"),
        ("a:80", "a:80"),
        ("*", "*"),
        ("::1", "[::1]"),
        ("[::1]:8080", "[::1]:8080"),
    ] {
        let config = good(&format!("{MINIMAL}[endpoint.\"{written}\"]\n")).config;
        assert_eq!(config.endpoints.keys().collect::<Vec<_>>(), [found]);
    }
}

#[test]
fn a_name_that_is_no_server_is_refused() {
    for (name, what) in [
        ("*.example.com", "`endpoint` stands for many hosts"),
        ("*:80", "`endpoint` has a port for all hosts"),
        ("https://a.b/", "`endpoint` names a URL"),
        ("10.0.0.0/8", "`endpoint` names a range of addresses"),
        ("a:99999", "`endpoint` has a port that is not from 1 to 65535"),
        ("", "`endpoint` holds an empty entry"),
    ] {
        assert_eq!(endpoint_refused(name, ""), [what], "{name}");
    }
    let twice = refused(&format!("{MINIMAL}[endpoint.\"a.b\"]\n[endpoint.\"A.B\"]\n"));
    assert_eq!(twice, ["[endpoint.\"A.B\"] stands here twice"]);
}

#[test]
fn values_that_make_no_sense_are_refused() {
    for (lines, what) in [
        ("rate = \"5\"", "`rate` does not say in which time"),
        ("in_flight = 0", "`in_flight` is out of range"),
        ("in_flight = 100001", "`in_flight` is out of range"),
        ("breaker = 5", "`breaker` is a whole number, not a table"),
        ("breaker.failures = 0", "`failures` is out of range"),
        ("breaker.failures = \"none\"", "`failures` is a string, not a whole number"),
        ("breaker.share = 0", "`share` is out of range"),
        ("breaker.share = 1.01", "`share` is out of range"),
        ("breaker.share = nan", "`share` is out of range"),
        ("breaker.share = \"50%\"", "`share` is a string, not a number"),
        ("breaker.window = \"99ms\"", "`window` is out of range"),
        ("breaker.pause = 5", "`pause` has no unit"),
        ("breaker.paus = \"5s\"", "unknown key `paus` in `breaker`"),
        ("tls = \"ca.pem\"", "`tls` is a string, not a table"),
        ("tls.crt = \"c\"", "unknown key `crt` in `tls`"),
        ("proxy = 3128", "`proxy` is a whole number, not a string"),
        ("proxy = \"proxy:3128\"", "`proxy` is not the address of a proxy"),
        ("compress = \"br\"", "`compress` is neither \"never\" nor \"gzip\""),
        ("compress = true", "`compress` is true or false, not a string"),
        ("connect_timeout = \"never\"", "`connect_timeout` is not a duration"),
        ("connect_timeout = \"9ms\"", "`connect_timeout` is out of range"),
        ("first_byte_timeout = 3", "`first_byte_timeout` has no unit"),
        ("ramp = \"5s\"", "unknown key `ramp` in [endpoint.a]"),
    ] {
        assert_eq!(endpoint_refused("a", lines), [what], "{lines}");
    }
}
